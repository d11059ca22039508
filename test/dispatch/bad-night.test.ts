import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { newProject, type Project, type TestRole } from "../support/project.js";
import { eventually } from "../support/tmux.js";

let project: Project;
afterEach(() => project.end());

async function begin(roles: Record<string, TestRole>, more?: Record<string, unknown>): Promise<void> {
  project = await newProject(roles, more);
}

// biome-ignore lint/suspicious/noExplicitAny: tests reach into it
const json = async (line: string | string[]): Promise<any> => {
  const ran = await project.here(typeof line === "string" ? `${line} --json` : [...line, "--json"]);
  if (ran.code !== 0) throw new Error(`mu ${line} ended with ${ran.code}: ${ran.stderr}`);
  return ran.json();
};
const add = (name: string, role: string, flags = "") =>
  json(`task add ${name} --title ${name} --role ${role} ${flags}`);
const task = async (name: string) => (await json(`task show ${name}`)).task;
const runs = async (flags = "") => (await json(`runs list -n 0 ${flags}`)).items;
const inProject = (name: string) => join(project.project, name);
const result = (usd: number) => `echo "{\\"text\\":\\"ok\\",\\"cost_usd\\":${usd}}"`;

/** A name space of its own for mounts, where the kernel lets one have it. */
const APART = ["-rm", "sh", "-c"];
const canMount = spawnSync("unshare", [...APART, "mount -t tmpfs none /mnt"]).status === 0;

describe("a full disk", () => {
  /** Drains with a disk for the output of runs that is as small as this. */
  const drainOn = async (size: string) => {
    const runsFolder = join(project.folder, "state", "runs");
    mkdirSync(runsFolder, { recursive: true });
    const script = `mount -t tmpfs -o ${size} none '${runsFolder}' && exec mu dispatch --once --json`;
    return project.sh(`exec unshare ${APART.join(" ")} "$SCRIPT"`, { env: { SCRIPT: script } });
  };

  it.skipIf(!canMount)(
    "loses neither the result of a run nor its cost, and the run says that it was full",
    async () => {
      await begin({ code: { sh: `cat > /dev/null; head -c 1000000 /dev/zero | tr '\\0' x; echo; ${result(0.25)}` } });
      await add("chatty", "code");
      expect((await drainOn("size=64k")).code).toBe(0);
      expect(await task("chatty")).toMatchObject({ status: "CLOSED", attempts: 0 });
      const [run] = await runs();
      expect(run).toMatchObject({ state: "done", costUsd: 0.25, costBasis: "cli" });
      expect(run.reason).toBe("not all of its output could be kept (ENOSPC)");
      expect((await json("budget")).project).toMatchObject({ settledUsd: 0.25, reservedUsd: 0 });
    },
  );

  it.skipIf(!canMount)("on which nothing of a run can be kept fails it before it costs anything", async () => {
    await begin({ code: { sh: `touch began; ${result(0.25)}`, access: "full" } });
    await add("silent", "code", "--max-retries 0");
    expect((await drainOn("size=64k,nr_inodes=1")).code).toBe(1);
    expect((await task("silent")).holdReason).toContain("ENOSPC: no space left on device");
    expect(existsSync(inProject("began"))).toBe(false);
  });
});

it("two runners of one run carry it out once", async () => {
  await begin({ code: { sh: `echo $$ >> began; cat > /dev/null; ${result(0.25)}`, access: "full" } });
  await add("once", "code");
  // A dispatcher that starts two runners at once wherever it should start one.
  const twice = `require("node:child_process").spawn(process.execPath, process.argv.slice(1), { stdio: "inherit" });`;
  writeFileSync(
    join(project.folder, "twice.cjs"),
    `if (process.argv[2] === "runner") require("node:fs").appendFileSync("../runners", ".");
    if (process.argv[2] === "runner" && process.env.SECOND === undefined) {
      process.env.SECOND = "1";
      ${twice}
    }`,
  );
  const ran = await project.mu("dispatch --once --json", {
    env: { NODE_OPTIONS: `--require=${join(project.folder, "twice.cjs")}` },
  });
  expect(ran.code).toBe(0);
  await eventually("both runners began", async () => readFileSync(inProject("../runners"), "utf8") === "..");
  expect(readFileSync(inProject("began"), "utf8").trim().split("\n").length).toBe(1);
  expect((await runs()).map(({ state, costUsd }: Record<string, unknown>) => [state, costUsd])).toEqual([
    ["done", 0.25],
  ]);
  expect((await json("budget")).project).toMatchObject({ settledUsd: 0.25, reservedUsd: 0, runs: 1 });
  expect((await json(["sql", "select op from events where op = 'run.settle'"])).length).toBe(1);
});

describe("settings that change while the dispatcher works", () => {
  const ROLES = { code: { sh: result(0.2), dailyCapUsd: 0.3, reservationUsd: 0.2 } };

  it("count at the next beat; a broken file is named, and the last good ones hold, for runs too", async () => {
    await begin(ROLES);
    await add("one", "code");
    await add("two", "code", "--blocked-by one");
    const loop = project.start("dispatch --poll 0.1");
    const ended = new Promise<number | null>((resolve) => loop.once("exit", resolve));
    let said = "";
    loop.stderr?.on("data", (text) => {
      said += text;
    });
    await eventually("the cap holds the second task", async () =>
      said.includes("two did not start: code has $0.10 left of $0.30 today"),
    );
    project.settings({ code: { ...ROLES.code, dailyCapUsd: 0.6 } });
    await eventually("it starts", async () => (await task("two")).status === "CLOSED");
    const good = readFileSync(inProject(".mu/settings.json"));
    writeFileSync(inProject(".mu/settings.json"), '{"roles":{"code":');
    await eventually("it says so", async () => said.includes(".mu/settings.json is not valid: the file is not JSON"));
    await add("three", "code");
    await eventually("the last good settings hold", async () => (await task("three")).status === "CLOSED");
    writeFileSync(inProject(".mu/settings.json"), good);
    await eventually("it says that they are good", async () => said.includes("The settings are good again."));
    await json("dispatch stop");
    expect(await ended).toBe(0);
    expect((await runs()).map(({ state, attempt }: Record<string, unknown>) => [state, attempt])).toEqual(
      Array(3).fill(["done", 1]),
    );
    expect((await json("budget")).project).toMatchObject({ settledUsd: 0.6, reservedUsd: 0 });
  });
});

describe("a CLI that prints", () => {
  const claude = (sh: string) => ({ sh: `cat > /dev/null; ${sh}`, cli: "claude", access: "full" });

  it.each([
    ["nothing", "true", "no_output"],
    ["no JSON", "echo '{\"type\":\"result\", oops'; echo 'Segmentation fault'", "bad_result"],
  ])("%s and ends well has failed, and what it cost is unknown, not 0", async (_what, sh, failure) => {
    await begin({ code: claude(sh) }, { auth: { mode: "inherit" } });
    await add("bare", "code", "--max-retries 0");
    expect((await project.mu("dispatch --once")).code).toBe(1);
    const [run] = await runs();
    expect(run).toMatchObject({ state: "failed", failure, costUsd: null });
    expect((await json("budget")).project.settledUsd).toBe(0.05);
  });
});

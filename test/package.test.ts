import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "./support/database.js";

const root = fileURLToPath(new URL("../", import.meta.url));
const folder = temporaryFolder();
const installed = join(folder.path, "node_modules", "mu-crew");

/** A program that uses the SDK; it prints the tasks that are ready. */
const PROGRAM = `
import { addTask, claimNext, type Context, Fault, initWorkstream, listReady, openStore, querySql, type Store, systemClock, type Task } from "mu-crew";

export async function main(): Promise<string> {
  const store: Store = await openStore({ path: "mu.db" });
  const context: Context = { store, clock: systemClock, actor: "me" };
  await initWorkstream(context, "shop");
  await addTask(context, "shop", { name: "design", title: "Design" });
  const ready: string[] = (await listReady(store.db, "shop", { now: new Date().toISOString() })).map((task) => task.name);
  const { task }: { task: Task } = await claimNext(context, "shop", { person: "me" });
  try {
    await querySql(context, "drop table tasks");
  } catch (error) {
    if (error instanceof Fault) return [...ready, task.status, error.code].join(" ");
  }
  return "no fault";
}
`;

/** Another: it runs what a project's queue holds, does one task itself, and keeps to the budget and the brake. */
const NIGHT = `
import {
  addNote, addTask, auditHead, beginRun, brakeReason, type Context, databasePath, dispatchOnce, endRun, Fault, initWorkstream,
  openStore, processCrew, putBrakeOn, readBudget, readProjectSettings, readScene, type Run, type Scene, systemClock, takeBrakeOff,
  verifyChains,
} from "mu-crew";

export async function night(root: string, env: Record<string, string | undefined>): Promise<unknown> {
  const context: Context = { store: await openStore({ path: databasePath(env) }), clock: systemClock, actor: "script" };
  await initWorkstream(context, "shop", { root });
  for (const name of ["build", "docs"]) await addTask(context, "shop", { name, title: name, role: "code" });
  await addTask(context, "shop", { name: "look", title: "Look", role: "qa", kind: "review", blockedBy: ["docs"] });
  const crew = processCrew(context, env);
  const scene: Scene = await readScene(crew, "shop", { roles: ["code"] });
  await putBrakeOn(crew, scene, "deploy");
  const halted = { brake: brakeReason(scene), waits: (await dispatchOnce(crew, scene)).wait.map(({ code }) => code) };
  await takeBrakeOff(crew, scene);
  const { finished } = await dispatchOnce(crew, scene);
  const all = await readScene(crew, "shop");
  const run: Run = await beginRun(crew, all, "look");
  await addNote(context, { workstream: "shop", name: "look" }, { person: "script" }, {
    text: "The docs are right", kind: "decision", rationale: "read twice",
  });
  const { run: ended } = await endRun(crew, run.id, { state: "done", costUsd: 0.9, verdict: "pass" });
  await addTask(context, "shop", { name: "again", title: "Look again", role: "qa" });
  const refused = await beginRun(crew, all, "again").catch((error) => (error as Fault).code);
  const { roles, project } = await readBudget(context, all);
  return {
    halted, refused, cost: ended.costUsd,
    ran: finished.map(({ task, state, costUsd }) => [task, state, costUsd]).sort(),
    spent: [...roles, project].map((line) => [line.role, line.settledUsd, line.capUsd, line.state]),
    ceiling: (await readProjectSettings(root)).budget.projectCeilingUsd,
    chains: (await verifyChains(context.store.db)).map(({ ok }) => ok), heads: (await auditHead(context.store.db)).length,
  };
}
`;

/** Packs what is built, and puts it into an otherwise empty project, as an installation would; SQLite is lent. */
beforeAll(() => {
  if (!existsSync(join(root, "dist", "index.d.ts"))) execFileSync("npm", ["run", "build"], { cwd: root });
  execFileSync("npm", ["pack", "--ignore-scripts", "--pack-destination", folder.path], { cwd: root, stdio: "ignore" });
  const archive = readdirSync(folder.path).find((name) => name.endsWith(".tgz")) ?? "";
  mkdirSync(installed, { recursive: true });
  execFileSync("tar", ["-xzf", join(folder.path, archive), "-C", installed, "--strip-components=1"]);
  symlinkSync(join(root, "node_modules", "better-sqlite3"), join(installed, "..", "better-sqlite3"));
  writeFileSync(join(folder.path, "package.json"), JSON.stringify({ type: "module" }));
  writeFileSync(join(folder.path, "main.ts"), PROGRAM);
  writeFileSync(join(folder.path, "night.ts"), NIGHT);
  const [, example = ""] =
    /```ts\n(import \* as mu[^`]*)```/.exec(readFileSync(join(root, "docs/guide.md"), "utf8")) ?? [];
  const ambient = "declare const process: { env: Record<string, string | undefined> };\n";
  writeFileSync(join(folder.path, "guide.ts"), `${ambient}${example}`);
}, 120_000);
afterAll(folder.remove);

const run = (file: string, args: readonly string[]) =>
  spawnSync(process.execPath, [file, ...args], { cwd: folder.path, encoding: "utf8" });

describe("the package", () => {
  it.each([
    ["nodenext", "--module nodenext"],
    ["bundler", "--module esnext --moduleResolution bundler --noEmit"],
  ])(
    "has types that compile in an empty project: %s",
    (_, options) => {
      const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
      const strict =
        "--strict --exactOptionalPropertyTypes --skipLibCheck false --target es2022 main.ts night.ts guide.ts".split(
          " ",
        );
      expect(run(tsc, [...options.split(" "), ...strict])).toMatchObject({ stdout: "", status: 0 });
    },
    120_000,
  );

  it("runs as a library", () => {
    writeFileSync(join(folder.path, "run.js"), 'import { main } from "./main.js";\nconsole.log(await main());\n');
    expect(run("run.js", [])).toMatchObject({ stdout: "design IN_PROGRESS sql.not_a_read\n", stderr: "", status: 0 });
  });

  it("runs a queue as a library, within its budget", () => {
    const project = join(folder.path, "night");
    const command = `sh -c 'cat > /dev/null; echo "{\\"text\\":\\"by $MU_AGENT\\",\\"cost_usd\\":0.25}"'`;
    const code = { cli: "command", access: "read-only", workspace: false, command, concurrency: 2 };
    const roles = { code, qa: { ...code, dailyCapUsd: 0.5 } };
    mkdirSync(join(project, ".mu"), { recursive: true });
    writeFileSync(
      join(project, ".mu", "settings.json"),
      JSON.stringify({ budget: { projectCeilingUsd: 5 }, notifications: { desktop: false }, roles }),
    );
    const env = { PATH: process.env["PATH"], HOME: project, MU_STATE_DIR: join(project, "state") };
    const call = `console.log(JSON.stringify(await night(${JSON.stringify(project)}, ${JSON.stringify(env)})));`;
    writeFileSync(join(folder.path, "run-night.js"), `import { night } from "./night.js";\n${call}\n`);
    const { stdout, stderr } = run("run-night.js", []);
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual({
      halted: { brake: "deploy", waits: ["killed", "killed", "other_role"] },
      ran: [
        ["build", "done", 0.25],
        ["docs", "done", 0.25],
      ],
      cost: 0.9,
      refused: "budget.exceeded",
      spent: [
        ["code", 0.5, null, "ok"],
        ["qa", 0.9, 0.5, "hit"],
        ["project", 1.4, 5, "ok"],
      ],
      ceiling: 5,
      chains: [true],
      heads: 1,
    });
  });

  it("runs as a program", () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    expect(run(join(installed, "dist", "main.cjs"), ["--version"])).toMatchObject({
      stdout: `${version}\n`,
      status: 0,
    });
  });

  it("has what a new project begins with", () => {
    const env = { PATH: folder.path, HOME: folder.path, MU_STATE_DIR: join(folder.path, "state"), USER: "ann" };
    const args = [join(installed, "dist", "main.cjs"), "init", "--non-interactive", "--dir", "shop"];
    const { status, stdout } = spawnSync(process.execPath, args, { cwd: folder.path, encoding: "utf8", env });
    expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringContaining("+ .mu/settings.json") });
    expect(existsSync(join(folder.path, "shop", "ONBOARDING.md"))).toBe(true);
  });

  it("has the notices of everything that is bundled", async () => {
    const notices = readFileSync(join(installed, "dist", "THIRD-PARTY-NOTICES.txt"), "utf8");
    const vendor = readdirSync(join(root, "scripts", "vendor")).map((name) => join("scripts", "vendor", name));
    const { metafile } = await build({
      absWorkingDir: root,
      entryPoints: ["src/main.ts", "src/cli/run.ts", "src/cli/player.ts", "src/index.ts", ...vendor],
      bundle: true,
      platform: "node",
      format: "esm",
      external: ["pg-native", "bindings"],
      write: false,
      outdir: "dist",
      metafile: true,
      logLevel: "error",
    });
    const folders = Object.keys(metafile.inputs).map((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]);
    const packages = [...new Set(folders)].filter((path) => path !== undefined);
    expect(packages.length).toBeGreaterThan(20);
    for (const path of packages) {
      const { name, version } = JSON.parse(readFileSync(join(root, path, "package.json"), "utf8"));
      expect(notices).toContain(`\n${name} ${version} (`);
    }
  });
});

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { connect } from "../../src/db/sqlite/connect.js";
import { newHome } from "../support/cli.js";
import { fakeNtfy } from "../support/ntfy.js";
import { ended, newProject, type Project, type TestRole } from "../support/project.js";
import { describeTmux, eventually } from "../support/tmux.js";

/**
 * The scenarios by which unattended work is accepted. Those with runs are told twice: without tmux, where a run is a
 * process, and in tmux, where it is a pane. Neither a fresh project nor a price table has a run, nor so a pane.
 */
let project: Project;
async function begin(roles: Record<string, TestRole>, more?: Record<string, unknown>): Promise<void> {
  const begun = await newProject(roles, more);
  onTestFinished(() => begun.end());
  project = begun;
}

const json = async (line: string | string[]) => {
  const ran = await project.here(typeof line === "string" ? `${line} --json` : [...line, "--json"]);
  if (ran.code !== 0) throw new Error(`mu ${line} ended with ${ran.code}: ${ran.stderr}`);
  return ran.json();
};
const add = (name: string, role: string, flags = "") =>
  json(`task add ${name} --title ${name} --role ${role} ${flags}`);
const drain = () => project.mu("dispatch --once --poll 0.1 --json");
const task = async (name: string) => (await json(`task show ${name}`)).task;
const statuses = async () => {
  const { items } = await json("task list -n 0");
  return items.map(({ name, status }: Record<string, string>) => `${name} ${status}`).sort();
};
type RunLine = { task: string; costUsd: number | null; transport: string; attempt: number };
const runs = async (): Promise<RunLine[]> => (await json("runs list -n 0")).items;
const subjects = async (op: string): Promise<string[]> =>
  (await json(["sql", `select subject from events where op = '${op}' order by subject`])).map(
    ({ subject }: { subject: string }) => subject,
  );
const inProject = (...names: string[]) => join(project.project, ...names);
const killFile = () => inProject(".mu", "kill_switch");
const attention = () => existsSync(inProject(".mu", "needs-attention.md"));
const costing = (usd: number) => `cat > /dev/null; echo '{"text":"ok","cost_usd":${usd}}'`;

const nights = (transport: "child" | "pane") => () => {
  const beginHere: typeof begin = async (...how) => {
    await begin(...how);
    project.env["MU_NO_TMUX"] = transport === "child" ? "1" : "";
  };

  it("scenarios 2, 3 and 11: a drain runs what is there and what its runs add; who tampers with its record is found", async () => {
    await beginHere({ design: { sh: "mu task add follow --title Follow --role code" }, code: { sh: costing(0.25) } });
    await add("one", "code");
    await add("two", "code");
    await add("first", "design");
    expect((await drain()).code).toBe(0);
    expect(await statuses()).toEqual(["first CLOSED", "follow CLOSED", "one CLOSED", "two CLOSED"]);
    const done = (await runs()).map((run) => [run.task, run.costUsd, run.transport]);
    expect(done.sort()).toEqual([
      ["first", null, transport],
      ["follow", 0.25, transport],
      ["one", 0.25, transport],
      ["two", 0.25, transport],
    ]);
    const added = (await json("log -n 0")).items.filter(({ source }: { source: string }) => source === "design-1");
    expect(added.map(({ op, subject }: Record<string, string>) => `${op} ${subject}`)).toContain(
      "task.add shop/follow",
    );

    const verify = async () => {
      const { code, stdout, stderr } = await project.here("audit verify");
      return { code, said: stdout + stderr };
    };
    expect(await verify()).toEqual({ code: 0, said: expect.stringMatching(/chain is intact.*: \d+ events/) });
    const database = connect(project.database, { timeout: 5_000 });
    try {
      database.exec("drop trigger events_no_delete; drop trigger events_no_update");
      const edit = (from: string, to: string) =>
        database
          .prepare(
            "update events set payload = replace(payload, ?, ?) where id = (select max(id) from events where op = 'run.settle')",
          )
          .run([from, to]);
      edit('"done"', '"lost"');
      const { n } = database.prepare("select max(n) as n from events where op = 'run.settle'").get() as { n: number };
      expect(await verify()).toEqual({ code: 1, said: expect.stringContaining(String(n)) });
      edit('"lost"', '"done"');
      expect((await verify()).code).toBe(0);
      database.exec("delete from events where id = (select max(id) from events)");
      expect((await verify()).code).toBe(1);
    } finally {
      database.close();
    }
  });

  it("scenario 4: two drains share twenty tasks, and none runs twice", async () => {
    await beginHere({ qa: { sh: "echo ok", concurrency: 4 } });
    const list = Array.from({ length: 20 }, (_, n) => ({ role: "qa", title: `t ${n}` }));
    writeFileSync(inProject("tasks.json"), JSON.stringify(list));
    const { tasks } = await json("task import tasks.json");
    expect((await Promise.all([drain(), drain()])).map(({ code }) => code)).toEqual([0, 0]);
    expect((await runs()).map((run) => run.task).sort()).toEqual(tasks.sort());
  });

  it("scenarios 5 and 6: what a cap does not pay for is refused once; a run that passes it keeps its result", async () => {
    await beginHere(
      {
        code: { sh: `echo begun >> begun; ${costing(0.2)}`, access: "full", dailyCapUsd: 0.3, reservationUsd: 0.2 },
        art: { sh: `echo made > made; mu asset add made --kind art > /dev/null; ${costing(5)}`, dailyCapUsd: 1 },
      },
      { dispatch: { pollSeconds: 0.05, idleThresholdPolls: 10 } },
    );
    for (const name of ["one", "two"]) await add(name, "code");
    for (const name of ["dear", "next"]) await add(name, "art");
    const loop = project.start("dispatch");
    await eventually("ten polls find nothing that may start", async () => (await subjects("notify.stalled")).length);
    await json("dispatch stop");
    await ended(loop);
    expect(await statuses()).toEqual(["dear CLOSED", "next OPEN", "one CLOSED", "two OPEN"]);
    expect(await subjects("budget.refused")).toEqual(["shop/art", "shop/code"]);
    expect(readFileSync(inProject("begun"), "utf8")).toBe("begun\n");
    expect((await json("budget")).roles).toMatchObject([
      { role: "art", settledUsd: 5, capUsd: 1, state: "hit" },
      { role: "code", settledUsd: 0.2, capUsd: 0.3, refusedAt: expect.any(String) },
    ]);
    expect((await json("asset list")).items).toMatchObject([{ path: "made", task: "dear" }]);
    expect((await json("report")).text).toMatch(/art.*\[CAP HIT\]/);
  });

  it("scenarios 7 and 8: four failures hold a task, five put the brake on; both wait for a person", async () => {
    await beginHere({ code: { sh: "echo broken; exit 1" } });
    await add("bad", "code", `--priority 1 --payload '{"feature":"etching"}'`);
    await add("next", "code");
    const first = await drain();
    expect(first.code).toBe(1);
    expect(first.stderr).toContain("Halted: code failed 5 times in ten minutes");
    const tried = async () => (await runs()).map((run) => `${run.task} ${run.attempt} ${run.transport}`).sort();
    const four = (name: string) => [1, 2, 3, 4].map((attempt) => `${name} ${attempt} ${transport}`);
    expect(await tried()).toEqual([...four("bad"), `next 1 ${transport}`]);
    expect(readFileSync(killFile(), "utf8")).toMatch(/^code failed 5 times in ten minutes \(runs 1, 2, 3, 4, 5\)/);
    await drain();
    expect((await runs()).length).toBe(5);

    const file = (...folder: string[]) => inProject(".mu", "escalations", ...folder, "bad.md");
    expect(await task("bad")).toMatchObject({ hold: "escalated", attempts: 4 });
    expect(readFileSync(file(), "utf8")).toContain("etching");
    expect((await json("task requeue bad")).task).toMatchObject({ hold: null, attempts: 0 });
    expect([existsSync(file()), existsSync(file("resolved"))]).toEqual([false, true]);
    await json("task kill bad");
    expect((await task("bad")).status).toBe("REJECTED");

    await json("resume");
    await drain();
    expect(await tried()).toEqual([...four("bad"), ...four("next")]);
  });

  it("scenarios 9 and 10: an idle dispatcher says so once; the brake, by verb or by file, lets a run end and starts none", async () => {
    const { url, posted, end } = await fakeNtfy();
    onTestFinished(end);
    const roles = { qa: { sh: "echo begun; while [ ! -f go ]; do sleep 0.05; done; echo ok" } };
    const more = (topic: string) => ({
      dispatch: { pollSeconds: 0.1, idleThresholdPolls: 3 },
      notifications: { ntfyTopic: topic, ntfyUrl: url, subjectPrefix: "[né]" },
    });
    await beginHere(roles, more("shop-7f3k9q2m"));
    const pushed = () => posted.map(({ path, json: { topic, title } }) => `${path} ${topic} ${title}`);
    const loop = project.start("dispatch");
    await eventually("it is idle", async () => posted.length === 1 && attention());
    await add("long", "qa");
    await add("next", "qa");
    await eventually("it is back", async () => posted.length === 2 && !attention());
    expect(pushed()).toEqual(["idle", "back online"].map((what) => `POST / shop-7f3k9q2m [né] shop is ${what}`));
    await eventually("a run is under way", async () => (await json("runs list --state running")).items.length === 1);

    project.settings(roles, more(""));
    await json("kill freeze");
    writeFileSync(inProject("go"), "");
    await eventually("the run ends well", async () => (await task("long")).status === "CLOSED");
    await eventually("the marker is back", async () => attention());
    writeFileSync(killFile(), "");
    expect((await drain()).json()).toMatchObject({ started: [], waiting: [{ task: "next", code: "killed" }] });
    expect((await runs()).length).toBe(1);
    rmSync(killFile());
    await eventually("a file that is gone is no brake", async () => (await task("next")).status === "CLOSED");
    await json("dispatch stop");
    await ended(loop);
    expect(posted.length).toBe(2);
  });
};

describe("without tmux", nights("child"));
describeTmux("in tmux", nights("pane"));

it("scenario 1: a project is set up once, and again only by force", async () => {
  const home = newHome();
  onTestFinished(() => home.end());
  home.env["MU_NO_TMUX"] = "1";
  const init = (flags = "") => home.here(`init --non-interactive --no-chat --json ${flags}`);
  const begun = await init();
  expect(begun.code).toBe(0);
  const { files } = begun.json() as { files: string[] };
  expect(files).toContain(".mu/settings.json");
  const texts = () => files.map((file) => readFileSync(join(home.project, file), "utf8"));
  const before = texts();
  const { items: roles } = (await home.here("role list --json")).json();
  expect(roles.map(({ name }: { name: string }) => name)).toEqual(["design", "code", "qa"]);
  expect((await home.here("task list --json")).json().items).toEqual([]);
  expect((await init()).code).toBe(4);
  expect(texts()).toEqual(before);
  expect((await init("--force")).code).toBe(0);
});

it("scenario 12: an old price table is named, and replaced by a good one only", async () => {
  await begin({ qa: { sh: "echo ok" } });
  const PRICES = { input: 1, output: 2, cache_write_5m: 1, cache_write_1h: 1, cache_read: 1 };
  const write = (path: string, days: number, input = 1) => {
    const names = ["acme-1", "acme-2", "acme-3"];
    const models = Object.fromEntries(names.map((name) => [name, { ...PRICES, input }]));
    const updated_at = new Date(Date.now() - days * 86_400_000).toISOString();
    writeFileSync(path, JSON.stringify({ updated_at, models }));
  };
  const table = join(project.folder, "state", "pricing.json");
  write(table, 100);
  await add("one", "qa");
  await add("two", "qa");
  expect((await drain()).stderr.match(/The price table is 100 days old/g)?.length).toBe(1);
  expect(readFileSync(inProject(".mu", "needs-attention.md"), "utf8")).toContain("The price table is 100 days old.");
  expect((await json("report")).text).toContain("> The price table is 100 days old. Update it: `mu pricing update`");

  const old = readFileSync(table, "utf8");
  write(inProject("new.json"), 1, 1.5);
  const change = { model: "acme-1", price: "input", before: 1, after: 1.5 };
  expect((await json("pricing update --from new.json --dry-run")).changes).toContainEqual(change);
  expect(readFileSync(table, "utf8")).toBe(old);
  expect((await json("pricing update --from new.json")).changes).toContainEqual(change);
  const kept = readFileSync(table, "utf8");
  expect(kept).not.toBe(old);
  write(inProject("bad.json"), 1, -1);
  expect((await project.here("pricing update --from bad.json")).code).toBe(1);
  expect(readFileSync(table, "utf8")).toBe(kept);
  await drain();
  expect([attention(), (await json("report")).stalePrices]).toEqual([false, null]);
});

import { type ChildProcess, spawnSync } from "node:child_process";
import { getEventListeners } from "node:events";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Home, newHome, outcome } from "./support/cli.js";
import { describeTmux } from "./support/tmux.js";

/** Ends by itself only after an hour or so. */
const ENDLESS = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 1e11) select count(*) from n";
const TASKS = 40_000;

let home: Home;
beforeEach(async () => {
  home = newHome();
  await home.here("workstream init demo");
  await home.here("task add build --title Build");
});
afterEach(() => home.end());

/** Starts a line, signals it once `isAt` holds, and gives how it ended. */
async function interrupt(
  words: readonly string[],
  signal: NodeJS.Signals,
  isAt: (running: ChildProcess) => boolean,
  input?: string,
) {
  const running = home.start(words, input === undefined ? {} : { input });
  const ended = outcome(running);
  const isOver = () => running.exitCode !== null || running.signalCode !== null;
  await expect.poll(() => isOver() || isAt(running), { timeout: 60_000, interval: 5 }).toBe(true);
  running.kill(signal);
  return ended;
}

it("a line that has ended waits for no interruption: mu top runs thousands by one signal", async () => {
  const { signal } = new AbortController();
  for (const line of ["state", "task list", "task show nothing"]) await home.here(line, { signal });
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

/** How often a process has the database open. */
function openDatabases(pid = 0): number {
  const { stdout } = spawnSync("ls", ["-l", `/proc/${pid}/fd`], { encoding: "utf8" });
  return stdout.split("\n").filter((line) => line.endsWith(home.database)).length;
}

function childrenOf(pid = 0): number[] {
  const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" });
  const rows = stdout.split("\n").map((line) => line.trim().split(/\s+/).map(Number));
  return rows.filter(([, parent]) => parent === pid).map(([child]) => child as number);
}

/** The processes of a group that have not ended. */
function membersOf(group: number | undefined): string[] {
  const { stdout } = spawnSync("ps", ["-A", "-o", "pgid=,stat=,args="], { encoding: "utf8" });
  return stdout.split("\n").filter((line) => new RegExp(`^\\s*${group} +[^Z]`).test(line));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

const hasDatabaseOpen = ({ pid }: ChildProcess) => openDatabases(pid) > 0;
const count = async (table: string) =>
  (await home.mu(["sql", `select count(*) as n from ${table}`, "--json"])).json()[0].n as number;
const isSound = async () => expect((await home.mu("audit verify --tables")).code).toBe(0);

it("a write in SQL whose own process is killed says so, and has changed nothing", async () => {
  const query = `insert into task_notes (task_id, author, text, created_at) select 1, 'a', x, '' from (${ENDLESS.replace("count(*)", "x")})`;
  const running = home.start(["sql", query, "--write", "--json"]);
  const ended = outcome(running);
  await expect
    .poll(() => childrenOf(running.pid).find((child) => openDatabases(child) > 0 && process.kill(child, "SIGKILL")), {
      timeout: 60_000,
      interval: 5,
    })
    .toBeDefined();
  expect((await ended).fault()).toMatchObject({ code: "sql.no_answer", exitCode: 5 });
  expect(await count("task_notes")).toBe(0);
});

describe.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("%s", (signal, exitCode) => {
  it("ends a query without an end in SQL at once", async () => {
    const isAt = ({ pid }: ChildProcess) => openDatabases(pid) > 1;
    const ended = await interrupt(["sql", ENDLESS, "--json"], signal, isAt);
    expect([ended.signal, ended.stdout]).toEqual([signal, ""]);
    await isSound();
  });

  it("ends a write without an end in SQL, and the process that runs it", async () => {
    const query = `insert into task_notes (task_id, author, text, created_at) select 1, 'a', x, '' from (${ENDLESS.replace("count(*)", "x")})`;
    let queries: number[] = [];
    const isAt = ({ pid }: ChildProcess) => {
      queries = childrenOf(pid).filter((child) => openDatabases(child) > 0);
      return queries.length > 0;
    };
    const ended = await interrupt(["sql", query, "--write", "--json"], signal, isAt);
    expect([ended.code, ended.stdout, ended.fault()]).toMatchObject([
      exitCode,
      "",
      { code: "request.interrupted", exitCode },
    ]);
    await expect.poll(() => queries.some(isRunning), { timeout: 10_000 }).toBe(false);
    expect(await count("task_notes")).toBe(0);
    await isSound();
  });

  it("ends the wait for a lock of another process, and nothing is written", async () => {
    const other = new Database(home.database);
    other.exec("begin immediate");
    const ended = await interrupt(["task", "add", "docs", "--title", "Docs", "--json"], signal, hasDatabaseOpen);
    expect(other.inTransaction).toBe(true);
    other.close();
    expect([ended.code, ended.stdout, ended.fault().exitCode]).toEqual([exitCode, "", exitCode]);
    expect(await count("tasks")).toBe(1);
  });

  const plan = Array.from({ length: TASKS }, (_, n) => ({ name: `t${n}`, title: `Task number ${n} of the plan` }));
  const yaml = `tasks:\n${plan.map(({ name, title }) => `  - name: ${name}\n    title: ${title}\n`).join("")}`;
  const isWriting = () => existsSync(`${home.database}-wal`) && statSync(`${home.database}-wal`).size > 1_000_000;
  it.each([
    ["while it is read", yaml, hasDatabaseOpen],
    ["while it is written", JSON.stringify({ tasks: plan }), isWriting],
  ])("takes a plan of 40,000 tasks back %s", async (_when, text, isAt) => {
    writeFileSync(join(home.project, "plan"), text);
    const ended = await interrupt(["task", "apply", "plan", "--json"], signal, isAt);
    // The commit may have been faster than the signal: then the answer says so.
    const isDone = ended.stdout !== "";
    expect(ended.code).toBe(isDone ? 0 : exitCode);
    if (!isDone) expect(ended.fault()).toMatchObject({ code: "request.interrupted", exitCode });
    expect(await count("tasks")).toBe(isDone ? TASKS + 1 : 1);
    await isSound();
  });

  it("ends a command that reads its input", async () => {
    const ended = await interrupt(["task", "apply", "-", "--json"], signal, hasDatabaseOpen);
    expect([ended.code, ended.fault().exitCode]).toEqual([exitCode, exitCode]);
    expect(await count("tasks")).toBe(1);
  });

  it("ends a check that does not listen, with all its processes, and the task stays", async () => {
    const mark = join(home.project, "pids");
    const check = `trap '' INT TERM; sleep 1000 & echo $! $$ > ${mark}.new; mv ${mark}.new ${mark}; sleep 1000; sleep 1000`;
    const ended = await interrupt(["task", "close", "build", "--check", check, "--json"], signal, () =>
      existsSync(mark),
    );
    expect([ended.code, ended.fault()]).toMatchObject([exitCode, { code: "check.interrupted", exitCode }]);
    const [sleeper = 0, group] = readFileSync(mark, "utf8").trim().split(" ").map(Number);
    expect([isRunning(sleeper), membersOf(group)]).toEqual([false, []]);
    expect((await home.here("task show build --json")).json().task.status).toBe("OPEN");
    await isSound();
  });

  it("ends a wait, which says so", async () => {
    const ended = await interrupt(["task", "wait", "build"], signal, ({ pid }) => openDatabases(pid) > 1);
    expect([ended.code, ended.stderr]).toEqual([exitCode, ""]);
    expect(ended.stdout).toMatch(/^Interrupted after \d+(\.\d)? s\n {2}• demo\/build OPEN$/m);
    const asJson = await interrupt(["task", "wait", "build", "--json"], signal, ({ pid }) => openDatabases(pid) > 1);
    expect([asJson.code, asJson.json().outcome]).toEqual([exitCode, "interrupted"]);
  });

  describeTmux("a spawn that waits for its prompt", () => {
    it("is taken back", async () => {
      const mark = join(home.project, "pid");
      const command = `sh -c 'echo $$ > ${mark}.new; mv ${mark}.new ${mark}; printf "working"; exec sleep 1000'`;
      const words = ["agent", "spawn", "w1", "--cli", "claude", "--command", command, "--json"];
      const ended = await interrupt(words, signal, () => existsSync(mark));
      expect([ended.code, ended.stdout, ended.fault()]).toMatchObject([exitCode, "", { exitCode }]);
      expect((await home.mu("agent list -w demo --no-reconcile --json")).json().items).toEqual([]);
      await expect.poll(() => isRunning(Number(readFileSync(mark, "utf8"))), { timeout: 10_000 }).toBe(false);
      await isSound();
    });
  });
});

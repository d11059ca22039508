import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openSqlite } from "../src/db/sqlite/sqlite.js";
import { verifyChains } from "../src/journal/audit.js";
import { compareTables } from "../src/journal/replay.js";
import { initWorkstream } from "../src/workstreams/workstream.js";
import { bundleChild } from "./support/child.js";
import { contextOn, temporaryFolder } from "./support/database.js";
import { fewOf } from "./support/sample.js";

const KILLS = fewOf(40, 200);
/** Children that are started ahead, so that their start is not waited for. */
const AHEAD = 3;
/** Writes of a child before the one that it is killed in: the first are slower, and measured with the others. */
const WRITES = 3;

it("a killed write leaves a sound database, and no acknowledged write is lost", async () => {
  const folder = temporaryFolder();
  const path = join(folder.path, "mu.db");
  const program = await bundleChild(folder.path, "kill-child");
  const first = await openSqlite(path, { missing: "create" });
  await initWorkstream(contextOn(first), "demo");
  await first.close();

  const start = (n: number) => startChild(program, path, `c${n}`);
  const waiting = Array.from({ length: AHEAD }, (_, n) => start(n));
  const acknowledged: string[] = [];
  const ended: Record<string, number> = { write: 0, began: 0, done: 0 };
  let typicalMs = 1;
  for (let n = 0; n < KILLS; n++) {
    const child = waiting.shift() ?? start(n);
    if (n + AHEAD < KILLS) waiting.push(start(n + AHEAD));
    const { marks, durationMs } = await killed(child, (n / KILLS) * typicalMs);
    typicalMs += (durationMs - typicalMs) / (n + 1);
    acknowledged.push(...marks.filter((mark) => mark.startsWith("done ")).map((mark) => mark.split(" ")[1] ?? ""));
    const last = marks.at(-1)?.split(" ")[0] ?? "";
    ended[last] = (ended[last] ?? 0) + 1;
    await checkSound(path, acknowledged, n % 10 === 9 ? "all" : "chain");
  }
  folder.remove();
  expect(ended.began, JSON.stringify(ended)).toBeGreaterThanOrEqual(KILLS / 5);
  expect(acknowledged.length).toBeGreaterThanOrEqual(KILLS * WRITES);
}, 300_000);

interface Child {
  process: ChildProcess;
  marks: string[];
  /** Calls `onMark` for each mark from now on. */
  listen(onMark: (mark: string) => void): void;
  ended: Promise<void>;
}

function startChild(program: string, path: string, name: string): Child {
  const child = spawn(process.execPath, [program, path, name], { stdio: ["pipe", "pipe", "inherit"] });
  const marks: string[] = [];
  let onMark = (_: string) => {};
  let rest = "";
  child.stdout.on("data", (data) => {
    const lines = `${rest}${data}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      marks.push(line);
      onMark(line);
    }
  });
  const listen = (listener: (mark: string) => void) => {
    onMark = listener;
    for (const mark of marks) listener(mark);
  };
  return { process: child, marks, listen, ended: new Promise((resolve) => child.on("close", () => resolve())) };
}

/** Lets the child go, and kills it `afterMs` into the write that follows some whole ones. */
async function killed(child: Child, afterMs: number): Promise<{ marks: string[]; durationMs: number }> {
  const durations: number[] = [];
  child.listen((mark) => {
    if (mark === "ready") child.process.stdin?.write("!");
    if (mark.startsWith("done ")) durations.push(Number(mark.split(" ")[2]) / 1e6);
    if (mark !== "write" || durations.length < WRITES || child.process.killed) return;
    const until = performance.now() + afterMs;
    while (performance.now() < until);
    child.process.kill("SIGKILL");
  });
  await child.ended;
  const sorted = durations.slice(0, WRITES).sort((a, b) => a - b);
  return { marks: child.marks, durationMs: sorted[Math.floor(sorted.length / 2)] ?? 1 };
}

/** The fold of the log grows with the log, so it is not compared after each kill. */
async function checkSound(path: string, acknowledged: readonly string[], what: "chain" | "all"): Promise<void> {
  const store = await openSqlite(path, { missing: "create" });
  await store.read(async (db) => {
    expect((await verifyChains(db)).filter((chain) => !chain.ok)).toEqual([]);
    if (what === "all") expect(await compareTables(db)).toEqual([]);
    const names = new Set((await db.selectFrom("tasks").select("name").execute()).map((task) => task.name));
    expect(acknowledged.filter((name) => !names.has(name))).toEqual([]);
  });
  await store.close();
}

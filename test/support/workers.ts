import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Address } from "../../src/db/open.js";
import { type ClaimAct, type ClaimState, promised, UNCLAIMED } from "./claims.js";
import { type Call, firstUnexplained } from "./legal-order.js";
import { mulberry32 } from "./random.js";

/** What a worker's process is told. */
export interface WorkerOrders {
  address: Address;
  workstream: string;
  by: string;
  tasks: string[];
  /** How many acts it does in all, those of its killed processes included. */
  acts: number;
  /** The first act of this process. */
  begin: number;
  /** How far its clock is ahead. */
  skewMs: number;
  seed: number;
  /** From which act on it is killed: in the middle of its write, or when that is done and before the answer. */
  kill?: { act: number; in: "write" | "answer" };
  /** The file it writes its acts and their answers to. */
  log: string;
}

/** One act as a worker wrote it down. */
interface Entry {
  act: ClaimAct;
  task: string;
  /** What came of it; undefined if the worker was killed. */
  answer: string | undefined;
  leaseUntil: number | null;
  /** Its own clock when it began, and when it had the answer. */
  after: number;
  before: number;
}

export interface Crowd {
  program: string;
  folder: string;
  address: Address;
  workstream: string;
  workers: readonly string[];
  tasks: string[];
  acts: number;
  seed: number;
}

/** Lets all workers act at once, each in a process of its own that is started again when it was killed; counts the kills. */
export async function letWork(crowd: Crowd): Promise<{ calls: Call<Entry>[]; kills: number }> {
  const { folder, workers, acts, seed } = crowd;
  const random = mulberry32(seed);
  const all = workers.map((by, n): WorkerOrders => {
    const skewMs = n % 3 === 0 ? Math.floor(random() * 3_000) : 0;
    const act = Math.floor((random() * acts) / 2);
    const kill = { act, in: random() < 0.5 ? ("write" as const) : ("answer" as const) };
    const { address, workstream, tasks } = crowd;
    const log = join(folder, `${by}.jsonl`);
    const orders = { address, workstream, by, tasks, acts, begin: 0, skewMs, seed: seed + n, log };
    return n % 4 === 1 ? { ...orders, kill } : orders;
  });
  const kills = await Promise.all(all.map((orders) => workToTheEnd(crowd.program, orders)));
  return { calls: all.flatMap(readCalls(crowd.tasks)), kills: kills.reduce((sum, one) => sum + one, 0) };
}

/** Gives how often it was killed. */
async function workToTheEnd(program: string, orders: WorkerOrders): Promise<number> {
  const child = spawn(process.execPath, [program, JSON.stringify(orders)], { stdio: ["ignore", "ignore", "inherit"] });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.once("exit", (...how) => resolve(how)),
  );
  if (code === 0) return 0;
  const { kill, ...rest } = orders;
  if (signal !== "SIGKILL" || kill === undefined) throw new Error(`${orders.by} ended with ${code ?? signal}`);
  const done = Math.max(...linesOf(orders.log).map(({ n }) => n));
  return 1 + (await workToTheEnd(program, { ...rest, begin: done + 1 }));
}

/** What a worker writes down when an act begins, and when its answer has come. */
type Line = { n: number; task: string | null } & (
  | { act: ClaimAct; from: string; after: number }
  | { answer: string; leaseUntil: string | null; to: string; before: number }
);

const linesOf = (log: string) =>
  readFileSync(log, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

/** The calls that a worker wrote down. A killed claim of a task of mu's choice may have been one of any. */
const readCalls =
  (tasks: readonly string[]) =>
  ({ log }: WorkerOrders): Call<Entry>[] => {
    const lines = linesOf(log);
    const ends = new Map(lines.flatMap((line) => ("to" in line ? [[line.n, line] as const] : [])));
    return lines.flatMap((line): Call<Entry>[] => {
      if (!("act" in line)) return [];
      const { act, after, from } = line;
      const end = ends.get(line.n);
      if (end === undefined) {
        const entry = { act, answer: undefined, leaseUntil: null, after, before: Number.MAX_SAFE_INTEGER };
        const any = line.task === null ? tasks : [line.task];
        return any.map((task) => ({ from: BigInt(from), op: { ...entry, task } }));
      }
      const { task, answer, before, to } = end;
      if (task === null) return [];
      const leaseUntil = end.leaseUntil === null ? null : Date.parse(end.leaseUntil);
      return [{ from: BigInt(from), to: BigInt(to), op: { act, task, answer, leaseUntil, after, before } }];
    });
  };

/** What an act may lead to, by what is promised at either end of it: the time decides only whether a lease is over. */
function step(state: ClaimState, { act, answer, after, before, leaseUntil }: Entry): readonly ClaimState[] {
  const ends = [after, before].map((now) => promised(state, act, now));
  if (answer === undefined) return distinct(ends.map(([, next]) => next).filter((next) => next !== state));
  const fitting = ends.filter(([promise]) => promise === answer).map(([, next]) => next);
  return distinct(fitting.map((next) => (next === state ? state : { ...next, leaseUntil })));
}

function distinct(states: readonly ClaimState[]): ClaimState[] {
  return [...new Map(states.map((state) => [JSON.stringify(state), state])).values()];
}

/** What the history of each task has that no order explains, a line each; `[]` if every task has a legal order. */
export function unexplained(calls: readonly Call<Entry>[], tasks: readonly string[]): string[] {
  return tasks.flatMap((task) => {
    const own = calls.filter(({ op }) => op.task === task);
    const found = firstUnexplained(own, UNCLAIMED, step);
    if (found?.to === undefined) return [];
    const end = found.to;
    const earlier = own
      .filter(({ from }) => from <= end)
      .sort((a, b) => Number(a.from - b.from))
      .slice(-12);
    return [`${task}: ${describe(found.op)} after\n${earlier.map(({ op }) => `  ${describe(op)}`).join("\n")}`];
  });
}

const describe = ({ act, answer }: Entry) => `${act.by} ${act.act} ${act.leaseSeconds ?? ""} → ${answer ?? "killed"}`;

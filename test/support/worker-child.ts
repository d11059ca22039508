import { openSync, writeSync } from "node:fs";
import { type Context, openStore } from "../../src/index.js";
import { doAct } from "./claim-acts.js";
import type { ClaimAct } from "./claims.js";
import { mulberry32 } from "./random.js";
import type { WorkerOrders } from "./workers.js";

/**
 * A worker on the SDK: does acts on tasks that the seed chooses, and writes down each before it begins and when its answer
 * has come. It kills itself in the first write from the act on that its orders name; its next process continues behind it.
 */
const orders = JSON.parse(process.argv[2] ?? "") as WorkerOrders;
const { address, workstream, by, tasks, acts, skewMs, seed, kill, begin } = orders;

const log = openSync(orders.log, "a");
const note = (line: object) => writeSync(log, `${JSON.stringify(line)}\n`);
const now = () => Date.now() + skewMs;

let killIn: "write" | "answer" | undefined;
const die = () => process.kill(process.pid, "SIGKILL");
const opened = await openStore(address);
const store: typeof opened = {
  ...opened,
  async write(work, options) {
    const result = await opened.write(async (db) => {
      const written = await work(db);
      if (killIn === "write") die();
      return written;
    }, options);
    if (killIn === "answer") die();
    return result;
  },
};
const sleep = () => Promise.reject(new Error("a write does not sleep"));
const context: Context = { store, clock: { now: () => new Date(now()), sleep }, actor: by };
/** Claims lead, so that tasks are contended; the task is null where mu chooses it. */
function choose(random: () => number): { act: ClaimAct; task: string | null } {
  const one = random();
  const act = one < 0.4 ? "claim" : one < 0.55 ? "steal" : one < 0.7 ? "release" : one < 0.85 ? "close" : "open";
  const task = one < 0.15 ? null : (tasks[Math.floor(random() * tasks.length)] as string);
  const leaseSeconds = random() < 0.6 ? 1 + Math.floor(random() * 2) : undefined;
  const isClaim = act === "claim" || act === "steal";
  return { act: { act, by, ...(isClaim && leaseSeconds !== undefined && { leaseSeconds }) }, task };
}

const random = mulberry32(seed);
for (let n = 0; n < acts; n++) {
  const { act, task } = choose(random);
  if (n < begin) continue;
  if (n >= (kill?.act ?? acts)) killIn = kill?.in;
  // When the lease of a killed claim ends, nobody would know.
  if (killIn !== undefined) delete act.leaseSeconds;
  note({ n, act, task, from: String(process.hrtime.bigint()), after: now() });
  const end = await doAct(context, { workstream, name: task }, act);
  note({ n, ...end, to: String(process.hrtime.bigint()), before: now() });
}
await store.close();

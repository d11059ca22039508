import { writeSync } from "node:fs";
import { processCrew } from "../agents/crew.js";
import { systemClock } from "../clock.js";
import type { Context } from "../db/context.js";
import { type Address, openStore } from "../db/open.js";
import { asFault } from "../errors.js";
import { special } from "../jobs/once.js";
import { performHere } from "../runs/here.js";
import type { Output } from "./show.js";

/** Carries out one reserved run in this process, whose output is what the agent prints; gives the exit code. */
export async function carryOutRun(id: number, address: Address, output: Output, signal: AbortSignal): Promise<number> {
  const { signal: _, ...lasting } = address;
  const hangup = new AbortController();
  // A pane that is closed, or its server, ends the run and not only what shows it.
  process.once("SIGHUP", () => hangup.abort());
  const store = await openStore(lasting);
  store.hold();
  try {
    const context: Context = { store, clock: systemClock, actor: "runner" };
    // What this process runs beside the agent CLI is seen to its end: the run must be settled.
    const ends = { signal: AbortSignal.any([signal, hangup.signal]), echo, special };
    const settled = await performHere(processCrew(context, process.env), id, ends);
    return settled === undefined || settled.run.state === "done" ? 0 : 1;
  } catch (error) {
    output.err(`${asFault(error).message}\n`);
    return 1;
  } finally {
    await store.close();
  }
}

/** Nobody need read it: the output is kept in files. */
function echo(chunk: Uint8Array): void {
  try {
    writeSync(1, chunk);
  } catch {}
}

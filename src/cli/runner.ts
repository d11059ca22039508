import { writeSync } from "node:fs";
import { systemClock } from "../clock.js";
import type { Context } from "../db/context.js";
import { type Address, openStore } from "../db/open.js";
import { asFault } from "../errors.js";
import { projectEnv, readSettings } from "../project/read.js";
import { DEFAULT_SETTINGS } from "../project/settings.js";
import { performRun } from "../runs/perform.js";
import { runRow } from "../runs/run.js";
import { getWorkstream } from "../workstreams/workstream.js";
import { processCrew } from "./crew.js";
import type { Output } from "./show.js";

/** Carries out one reserved run in this process, whose output is what the agent prints; gives the exit code. */
export async function carryOutRun(id: number, address: Address, output: Output, signal: AbortSignal): Promise<number> {
  const { signal: _, ...lasting } = address;
  const hangup = new AbortController();
  // A pane that is closed, or its server, ends the run and not only what shows it.
  process.once("SIGHUP", () => hangup.abort());
  const store = await openStore(lasting);
  try {
    const { workstream, agent, agent_id } = await runRow(store.db, id);
    const { root } = await getWorkstream(store.db, workstream);
    const project = async () =>
      root === null
        ? { settings: DEFAULT_SETTINGS, env: process.env }
        : { settings: await readSettings(root), env: await projectEnv(root, process.env) };
    const context: Context = { store, clock: systemClock, actor: agent, incarnation: agent_id };
    // What this process runs beside the agent CLI is seen to its end: the run must be settled.
    const settled = await performRun(
      { ...processCrew(context, process.env), project, signal: AbortSignal.any([signal, hangup.signal]), echo },
      id,
    );
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

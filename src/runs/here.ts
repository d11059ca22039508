import type { Crew } from "../agents/crew.js";
import { readProject } from "../project/read.js";
import { getWorkstream } from "../workstreams/workstream.js";
import { savedSettings } from "./files.js";
import { keptOf, performRun } from "./perform.js";
import { runRow } from "./run.js";
import type { Settled } from "./settle.js";
import type { RunWorld } from "./special.js";

/** Carries out a reserved run in this process, as its slot; see `performRun`. Faults `run.not_found`. */
export async function performHere(
  crew: Crew,
  id: number,
  { signal, echo, special }: Pick<RunWorld, "signal" | "echo" | "special">,
): Promise<Settled | undefined> {
  const { store, clock } = crew.context;
  const run = await runRow(store.db, id);
  const { workstream, agent, agent_id } = run;
  const { root } = await getWorkstream(store.db, workstream);
  const context = { store, clock, actor: agent, incarnation: agent_id };
  const project = async () => readProject(root, crew.env, await savedSettings(keptOf(crew.stateDir, run)));
  return performRun({ ...crew, context, project, signal, echo, special }, id);
}

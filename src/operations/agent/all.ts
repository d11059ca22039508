import { agentRows, PANELESS } from "../../agents/agent.js";
import { Fault } from "../../errors.js";
import type { AgentRef } from "../../names.js";
import { type App, step } from "../define.js";

/** `--all` of a verb about agents: all open ones in panes, but the caller. */
export const allInPanes = (about: string) => ({ about, refs: agentsInPanes });

/** Faults `agent.none`. */
async function agentsInPanes({ context, caller }: App, workstream: string): Promise<AgentRef[]> {
  const rows = await agentRows(context.store.db, workstream);
  const found = rows.filter(({ id, cli }) => !PANELESS.includes(cli) && id !== caller.incarnation);
  if (found.length > 0) return found.map(({ name }) => ({ workstream, name }));
  throw new Fault("missing", "agent.none", `${workstream} has no agents in panes but you.`, [
    step("Start one", `mu agent spawn worker-1 -w ${workstream}`),
    step("List the agents of all workstreams", "mu agent list --all"),
  ]);
}

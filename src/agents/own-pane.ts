import type { RowOf } from "../db/write.js";
import { hasEnvironment, type ProcessHost } from "../processes.js";
import { paneNotFound } from "../tmux/faults.js";
import { callerPane, type Pane, serverPid } from "../tmux/panes.js";
import type { Crew } from "./crew.js";

/** The agent's pane, or undefined when it is gone. A pane id that another server reuses is not it. */
export async function findOwnPane(crew: Crew, row: RowOf<"agents">): Promise<Pane | undefined> {
  if (row.pane === null) return undefined;
  return (await crew.tmux.listPanes()).find((pane) => isOwnPane(row, pane));
}

/** As `findOwnPane`; a pane that is gone is `pane.not_found`. */
export async function ownPane(crew: Crew, row: RowOf<"agents">): Promise<Pane> {
  const pane = await findOwnPane(crew, row);
  if (pane === undefined) throw paneNotFound(row.pane ?? `of ${row.name}`);
  return pane;
}

/** True for the pane that was opened for this incarnation, on the server where it was opened. */
export function isOwnPane(row: RowOf<"agents">, pane: Pane): boolean {
  return pane.id === row.pane && pane.server === row.server && pane.agentId === String(row.id);
}

/**
 * All panes that a spawn opened for a row, also where it could not write down which: a server that answers too late
 * makes it try twice. Another database's agent of the same name and id is told apart by its moment.
 */
export function panesMarkedFor(row: RowOf<"agents">, panes: readonly Pane[]): Pane[] {
  return panes.filter((pane) => pane.agentId === String(row.id) && pane.spawnedAt === row.spawned_at);
}

/** Whether the process was started for this incarnation, wherever its pane is: a pid alone may be another's by now. */
export function isProgramOf(host: ProcessHost, row: RowOf<"agents">, pid: number): Promise<boolean> {
  return hasEnvironment(host, pid, { name: "MU_AGENT_ID", value: String(row.id) });
}

/** True when the calling process runs in the pane of `row`. */
export function sitsIn(crew: Crew, row: RowOf<"agents">): boolean {
  const caller = callerPane(crew.env);
  if (caller === undefined || row.server === null) return false;
  return caller.pane === row.pane && caller.serverPid === serverPid(row.server);
}

import { existsSync } from "node:fs";
import { agentRows, PANELESS } from "../agents/agent.js";
import type { TmuxHost } from "../agents/crew.js";
import { isCallerIn } from "../agents/pane.js";
import { type Observation, peekAgents, storedObservations } from "../agents/status/observe.js";
import { Fault, insteadOfFault } from "../errors.js";
import { quote } from "../names.js";
import type { WorkspaceRow } from "./workspace.js";

/** What to do with a workspace whose agent is busy. */
export type WhileBusy = "refuse" | "go on";

const BUSY: readonly (string | null)[] = ["busy", "needs_permission", "spawning", "unreachable"];

/** Protects the files of a busy agent, unless it is the agent itself that asks; gives its status. Faults `workspace.in_use`. */
export async function requireIdle(
  crew: TmuxHost,
  row: WorkspaceRow,
  mode: WhileBusy = "refuse",
): Promise<string | null> {
  const status = mode === "go on" ? null : await statusOfOther(crew, row);
  if (BUSY.includes(status)) throw inUse(row, status);
  return status;
}

/**
 * As `requireIdle`, before the folder is deleted: the agent must not be open at all, because its programs would stay in
 * the deleted folder. Faults `workspace.in_use`.
 */
export async function requireClosed(crew: TmuxHost, row: WorkspaceRow, mode: WhileBusy = "refuse"): Promise<void> {
  const status = await requireIdle(crew, row, mode);
  if (status !== null && existsSync(row.path)) throw stillOpen(row, status);
}

/** The status of the workspace's agent; null if it has no living pane, or is the caller. */
async function statusOfOther(crew: TmuxHost, row: WorkspaceRow): Promise<string | null> {
  if (row.state !== "ready") return null;
  const { workstream } = row;
  const open = await agentRows(crew.context.store.db, workstream);
  const agent = open.find((one) => one.name === row.agent && !PANELESS.includes(one.cli));
  if (agent === undefined || agent.pane === null || isCallerIn(crew, agent)) return null;
  const found = (await lookAt(crew, workstream)).find((one) => one.agent === row.agent);
  if (found?.status === "unreachable") return found.status;
  return found === undefined || found.pane === null || found.pane.dead ? null : found.status;
}

async function lookAt(crew: TmuxHost, workstream: string): Promise<Observation[]> {
  const peeked = await peekAgents(crew, { workstream }).catch(insteadOfFault(undefined));
  return peeked ?? (await storedObservations(crew, workstream));
}

/** The agents of a workstream that are busy in a living pane, without the caller. */
export async function busyAgents(crew: TmuxHost, workstream: string): Promise<string[]> {
  const self = (await agentRows(crew.context.store.db, workstream)).find((row) => isCallerIn(crew, row));
  const seen = await lookAt(crew, workstream);
  const busy = seen.filter(
    ({ status, pane }) => status === "unreachable" || (BUSY.includes(status) && pane !== null && !pane.dead),
  );
  return busy.map(({ agent }) => agent).filter((name) => name !== self?.name);
}

function inUse({ agent, workstream }: WorkspaceRow, status: string | null): Fault {
  return new Fault(
    "conflict",
    "workspace.in_use",
    `${quote(agent)} is ${status}; its files were not changed.`,
    [
      { intent: "Wait for it", command: `mu agent wait ${workstream}/${agent}` },
      { intent: "See its screen", command: `mu agent read ${workstream}/${agent}` },
    ],
    { status },
  );
}

function stillOpen({ agent, workstream }: WorkspaceRow, status: string): Fault {
  return new Fault(
    "conflict",
    "workspace.in_use",
    `${quote(agent)} is open (${status}). Close it first; that frees the workspace if all its work has landed.`,
    [
      { intent: "Close it", command: `mu agent close ${workstream}/${agent}` },
      {
        intent: "Free it with unlanded work, which is saved",
        command: `mu agent close ${workstream}/${agent} --discard-workspace`,
      },
    ],
    { status },
  );
}

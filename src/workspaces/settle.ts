import type { Crew } from "../agents/crew.js";
import { Fault } from "../errors.js";
import { removeWorkspace } from "./free.js";
import { isHeld, withHold } from "./hold.js";
import type { Salvage } from "./salvage/salvage.js";
import { type WorkspaceRow, workspaceRows } from "./workspace.js";

/** A workspace that was begun or given up by somebody who died on the way, and what became of it. */
export interface SettledWorkspace {
  workstream: string;
  agent: string;
  path: string;
  /** `undone`: it was half made. `freed`: it was half gone. `left`: it could not be settled, `problem` says why. */
  action: "undone" | "freed" | "left";
  salvage: Salvage | null;
  problem: string | null;
}

/** Takes away what was half made and finishes what was half freed, of one workstream or of all. */
export async function settleWorkspaces(crew: Crew, workstream?: string): Promise<SettledWorkspace[]> {
  const settled: SettledWorkspace[] = [];
  for (const row of await unfinishedWorkspaces(crew, workstream)) {
    const done = await settle(crew, row);
    if (done !== undefined) settled.push(done);
  }
  return settled;
}

/** The workspaces that are neither ready nor in anybody's hands. */
export async function unfinishedWorkspaces(crew: Crew, workstream?: string): Promise<WorkspaceRow[]> {
  const rows = (await workspaceRows(crew.context.store.db, workstream)).filter((row) => row.state !== "ready");
  const held = await Promise.all(rows.map((row) => isHeld(crew, row.id)));
  return rows.filter((_, at) => !held[at]);
}

/** Undefined for one that somebody settled while it was looked at. */
async function settle(crew: Crew, row: WorkspaceRow): Promise<SettledWorkspace | undefined> {
  const { workstream, agent, path } = row;
  try {
    const salvage = await withHold(crew, row, () => removeWorkspace(crew, row, "reconcile"));
    const action = row.state === "creating" ? "undone" : "freed";
    return { workstream, agent, path, action, salvage, problem: null };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (error.code === "workspace.changed") return undefined;
    return { workstream, agent, path, action: "left", salvage: null, problem: error.message };
  }
}

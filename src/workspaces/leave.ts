import type { Crew } from "../agents/crew.js";
import { Fault } from "../errors.js";
import type { AgentRef } from "../names.js";
import { removeWorkspace } from "./free.js";
import { withHold } from "./hold.js";
import { type Salvage, salvageWorkspace } from "./salvage/salvage.js";
import { findWorkspaceRow, toWorkspace, type Workspace } from "./workspace.js";

/** What becomes of the workspace of an agent that is closed. */
export interface LeftWorkspace {
  workspace: Workspace;
  /** It is gone: there was nothing in it that is not landed, or it was discarded and all of it is saved. */
  freed: boolean;
  salvage: Salvage | null;
  /** Why its work could not be saved; it is where it was then. */
  problem: string | null;
}

/** `keep` what has work in it, or `discard` that too, once it is saved. */
export type Leaving = "keep" | "discard";

/**
 * Saves what an agent that is gone left in its workspace, and frees the workspace when there was nothing to save. Null
 * when it has none. A workspace that cannot be saved or removed stays, and the answer says why.
 */
export async function leaveWorkspace(crew: Crew, ref: AgentRef, leaving: Leaving): Promise<LeftWorkspace | null> {
  const row = await findWorkspaceRow(crew.context.store.db, ref);
  if (row === undefined || row.state === "creating") return null;
  const workspace = toWorkspace(row);
  let salvage: Salvage | null = null;
  try {
    return await withHold(crew, row, async () => {
      salvage = await salvageWorkspace(crew, row, "agent close");
      if (salvage !== null && leaving === "keep" && row.state === "ready")
        return { workspace, freed: false, salvage, problem: null };
      salvage = (await removeWorkspace(crew, row, "agent close")) ?? salvage;
      return { workspace, freed: true, salvage, problem: null };
    });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { workspace, freed: false, salvage, problem: error.message };
  }
}

import type { Crew } from "../../agents/crew.js";
import { Fault } from "../../errors.js";
import type { AgentRef } from "../../names.js";
import { createWorkspace, type WorkspaceWishes } from "../../workspaces/create.js";
import { freeWorkspace } from "../../workspaces/free.js";
import { reviveWorkspace } from "../../workspaces/recreate.js";
import type { Workspace } from "../../workspaces/workspace.js";

/** The workspace that an agent was started in. */
export interface SpawnWorkspace extends Workspace {
  /** It was there already, with all that is in it. */
  reused: boolean;
}

/** The agent's workspace, which is made when there is none; its folder, when that is gone. Faults as `createWorkspace`. */
export async function prepareWorkspace(crew: Crew, ref: AgentRef, wishes: WorkspaceWishes): Promise<SpawnWorkspace> {
  const there = await reviveWorkspace(crew, ref);
  if (there !== undefined) return { ...there, reused: true };
  return { ...(await createWorkspace(crew, ref, wishes)), reused: false };
}

/** Frees a workspace that was made for a spawn which failed; whatever the agent did in its short life is saved. */
export async function takeBackWorkspace(crew: Crew, ref: AgentRef, { reused }: SpawnWorkspace): Promise<void> {
  if (reused) return;
  try {
    await freeWorkspace(crew, ref, { whileBusy: "go on", reason: "agent spawn" });
  } catch (error) {
    // The fault that ended the spawn is the one to tell; a workspace that stays is there for the next one.
    if (!(error instanceof Fault)) throw error;
  }
}

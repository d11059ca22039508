import type { Crew } from "../agents/crew.js";
import { Fault } from "../errors.js";
import type { AgentRef } from "../names.js";
import type { BackendKey } from "../vcs/vcs.js";
import { requireLeft, type WhileBusy } from "./busy.js";
import { buildWorkspace, planWorkspace } from "./create.js";
import { emptyWorkspace } from "./free.js";
import { withHold } from "./hold.js";
import type { Salvage } from "./salvage/salvage.js";
import { findWorkspaceRow, newestWorkspaceRow, type Workspace, type WorkspaceRow, workspaceRow } from "./workspace.js";

export interface RecreateOptions {
  /** Where it begins; without it at the target branch. */
  from?: string | undefined;
  whileBusy?: WhileBusy | undefined;
  /** Ends the setup command, and with it the recreation; what was in the workspace is saved by then. */
  signal?: AbortSignal | undefined;
}

export interface Recreated {
  workspace: Workspace;
  /** The commit that its work began behind before. */
  previousBaseRef: string | null;
  salvage: Salvage | null;
}

/**
 * Takes a workspace away and makes it anew from the same repository, after everything in it that is not landed was
 * saved. Interrupted, it can be called again, also where the workspace is freed by now. Faults as `freeWorkspace` and
 * `createWorkspace`.
 */
export async function recreateWorkspace(crew: Crew, ref: AgentRef, options: RecreateOptions = {}): Promise<Recreated> {
  const { db } = crew.context.store;
  const open = await findWorkspaceRow(db, ref);
  const old = open ?? (await newestWorkspaceRow(db, ref)) ?? (await workspaceRow(db, ref));
  if (open !== undefined) await requireLeft(crew, open, options.whileBusy);
  const wishes = {
    projectRoot: old.root,
    backend: old.backend as BackendKey,
    from: options.from,
    signal: options.signal,
  };
  const plan = await planWorkspace(crew, ref, wishes, open);
  const previousBaseRef = old.base_ref;
  if (open === undefined) return { workspace: await buildWorkspace(crew, ref, plan), previousBaseRef, salvage: null };
  return withHold(crew, open, async () => {
    const salvage = await emptyWorkspace(crew, open, "workspace recreate");
    try {
      return { workspace: await buildWorkspace(crew, ref, plan, open), previousBaseRef, salvage };
    } catch (error) {
      throw savedAllTheSame(error, open, salvage);
    }
  });
}

/** Where the new one cannot be made, the old one's work is not gone. */
function savedAllTheSame(error: unknown, { workstream, agent }: WorkspaceRow, salvage: Salvage | null): unknown {
  if (!(error instanceof Fault) || salvage === null) return error;
  const steps = [
    { intent: "Make it anew", command: `mu workspace recreate ${workstream}/${agent}` },
    { intent: "Bring back what was saved", command: `mu salvage restore ${salvage.name}` },
  ];
  const message = `${error.message} What was in the workspace is saved as ${salvage.name}.`;
  return new Fault(error.kind, error.code, message, [...error.nextSteps, ...steps], error.details);
}

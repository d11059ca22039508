import type { Crew } from "../agents/crew.js";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import type { AgentRef } from "../names.js";
import { getBackend } from "../vcs/backends.js";
import type { BackendKey } from "../vcs/vcs.js";
import { getSettings } from "../workstreams/workstream.js";
import { requireLeft, type WhileBusy } from "./busy.js";
import { buildWorkspace, planWorkspace } from "./create.js";
import { emptyWorkspace } from "./free.js";
import { withHold } from "./hold.js";
import { type Salvage, salvageWorkspace } from "./salvage.js";
import { setUpWorkspace } from "./setup/setup.js";
import {
  checkoutOf,
  findWorkspaceRow,
  isThere,
  newestWorkspaceRow,
  toWorkspace,
  type Workspace,
  type WorkspaceRow,
  workspaceRow,
} from "./workspace.js";

interface RecreateOptions {
  /** Where it begins; without it at the target branch. */
  from?: string | undefined;
  whileBusy?: WhileBusy | undefined;
  /** Ends the setup command, and with it the recreation; what was in the workspace is saved by then. */
  signal?: AbortSignal | undefined;
}

interface Recreated {
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

/**
 * Makes the folder of an agent's workspace again when it is gone, with the commits that the repository still knows of
 * it; undefined when the agent has no workspace that is ready. Faults as the backend's `create`.
 */
export async function reviveWorkspace(host: Host, ref: AgentRef): Promise<Workspace | undefined> {
  const row = await findWorkspaceRow(host.context.store.db, ref);
  if (row === undefined || row.state !== "ready") return undefined;
  if (!(await isThere(row.path))) await withHold(host, row, () => remake(host, row));
  return toWorkspace(row);
}

async function remake(host: Host, row: WorkspaceRow): Promise<void> {
  if (await isThere(row.path)) return;
  const backend = getBackend(row.backend as BackendKey);
  const salvage = await lastWill(host, row);
  await backend.remove(host, checkoutOf(row));
  await backend.create(host, checkoutOf(row), { from: row.base_ref ?? undefined });
  const { setup } = await getSettings(host.context.store.db, row.workstream);
  await setUpWorkspace(host, { workspace: row, settings: setup });
  if (salvage !== null) await backend.restore(host, checkoutOf(row), salvage.place);
}

async function lastWill(host: Host, row: WorkspaceRow): Promise<Salvage | null> {
  try {
    return await salvageWorkspace(host, row, "lost folder");
  } catch (error) {
    if (error instanceof Fault && error.code === "vcs.no_folder") return null;
    throw error;
  }
}

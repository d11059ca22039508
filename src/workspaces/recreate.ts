import { existsSync } from "node:fs";
import type { TmuxHost } from "../agents/crew.js";
import { Fault, ignoreFault } from "../errors.js";
import type { Host } from "../host.js";
import type { AgentRef } from "../names.js";
import { getBackend } from "../vcs/backends.js";
import type { BackendKey } from "../vcs/vcs.js";
import { getSettings } from "../workstreams/workstream.js";
import { requireClosed, type WhileBusy } from "./busy.js";
import { buildWorkspace, planWorkspace } from "./create.js";
import { emptyWorkspace } from "./free.js";
import { withHold } from "./hold.js";
import { type Salvage, salvageWorkspace } from "./salvage.js";
import { checkoutOptions, setUpWorkspace } from "./setup/setup.js";
import {
  findWorkspaceRow,
  newestWorkspaceRow,
  ownBranch,
  toWorkspace,
  type Workspace,
  type WorkspaceRow,
  workspaceRow,
} from "./workspace.js";

interface RecreateOptions {
  /** Where it starts; default: the target branch. */
  from?: string | undefined;
  whileBusy?: WhileBusy | undefined;
  /** Aborts the setup command; the old workspace has been saved by then. */
  signal?: AbortSignal | undefined;
}

interface Recreated {
  workspace: Workspace;
  previousBaseRef: string | null;
  salvage: Salvage | null;
}

/**
 * Saves all unlanded work of a workspace, removes it, and creates it again from the same repository. Can be run again
 * after an interruption, and for a freed workspace. Faults as `freeWorkspace` and `createWorkspace`.
 */
export async function recreateWorkspace(
  crew: TmuxHost,
  ref: AgentRef,
  options: RecreateOptions = {},
): Promise<Recreated> {
  const { db } = crew.context.store;
  const open = await findWorkspaceRow(db, ref);
  const old = open ?? (await newestWorkspaceRow(db, ref)) ?? (await workspaceRow(db, ref));
  if (open !== undefined) await requireClosed(crew, open, options.whileBusy);
  const { from, signal } = options;
  const wishes = { projectRoot: old.root, backend: old.backend as BackendKey, from, signal };
  const plan = await planWorkspace(crew, ref, wishes, open);
  const previousBaseRef = old.base_ref;
  if (open === undefined) return { workspace: await buildWorkspace(crew, ref, plan), previousBaseRef, salvage: null };
  return withHold(crew, open, async () => {
    const salvage = await emptyWorkspace(crew, open, "workspace recreate");
    try {
      return { workspace: await buildWorkspace(crew, ref, plan, open), previousBaseRef, salvage };
    } catch (error) {
      throw withSalvage(error, open, salvage);
    }
  });
}

/** Adds to an error where the old workspace's work was saved. */
function withSalvage(error: unknown, { workstream, agent }: WorkspaceRow, salvage: Salvage | null): unknown {
  if (!(error instanceof Fault) || salvage === null) return error;
  const steps = [
    { intent: "Retry", command: `mu workspace recreate ${workstream}/${agent}` },
    { intent: "Restore the saved work", command: `mu salvage restore ${salvage.name}` },
  ];
  const message = `${error.message} The work of the old workspace is saved as ${salvage.name}.`;
  return new Fault(error.kind, error.code, message, [...error.nextSteps, ...steps], error.details);
}

/**
 * Creates the missing folder of a ready workspace again, with the commits that the repository still has. Undefined if
 * the agent has no ready workspace. Faults as the backend's `create`.
 */
export async function reviveWorkspace(host: Host, ref: AgentRef): Promise<Workspace | undefined> {
  const row = await findWorkspaceRow(host.context.store.db, ref);
  if (row === undefined || row.state !== "ready") return undefined;
  if (!existsSync(row.path)) await withHold(host, row, () => recreateFolder(host, row));
  return toWorkspace(row);
}

async function recreateFolder(host: Host, row: WorkspaceRow): Promise<void> {
  if (existsSync(row.path)) return;
  const backend = getBackend(row.backend);
  const salvage = await salvageWorkspace(host, row, "lost folder", "goes").catch(ignoreFault("vcs.no_folder"));
  await backend.remove(host, row);
  const { setup } = await getSettings(host.context.store.db, row.workstream);
  const options = { workspace: row, settings: setup };
  const from = row.base_ref ?? undefined;
  await backend.create(host, row, { from, branch: ownBranch(row), ...checkoutOptions(host, options) });
  await setUpWorkspace(host, options);
  if (salvage) await backend.restore(host, row, salvage.place);
}

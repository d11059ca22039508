import type { Crew } from "../agents/crew.js";
import type { Reader } from "../db/schema.js";
import { type Tx, write } from "../db/write.js";
import type { AgentRef } from "../names.js";
import { getBackend } from "../vcs/backends.js";
import type { BackendKey } from "../vcs/vcs.js";
import { requireLeft, type WhileBusy } from "./busy.js";
import { withHold } from "./hold.js";
import { type Salvage, salvageWorkspace } from "./salvage/salvage.js";
import {
  checkoutOf,
  findWorkspaceRow,
  newestWorkspaceRow,
  toWorkspace,
  type Workspace,
  type WorkspaceRow,
  workspaceRow,
} from "./workspace.js";

export interface Freed {
  workspace: Workspace;
  /** What was saved of it; null when there was nothing to save, or it was gone already. */
  salvage: Salvage | null;
  /** False when it was freed already. */
  changed: boolean;
}

export interface FreeOptions {
  whileBusy?: WhileBusy | undefined;
  /** The verb, for the salvage. */
  reason?: string | undefined;
}

/**
 * Takes an agent's workspace away, after everything in it that is not landed was saved. Interrupted, it can be called
 * again. Faults `workspace.not_found`, `workspace.in_use`, `workspace.in_progress`, and those of the backend: then
 * what could not be saved stays where it is.
 */
export async function freeWorkspace(crew: Crew, ref: AgentRef, options: FreeOptions = {}): Promise<Freed> {
  const { db } = crew.context.store;
  const row = await findWorkspaceRow(db, ref);
  if (row === undefined) {
    const gone = await newestWorkspaceRow(db, ref);
    if (gone === undefined) await workspaceRow(db, ref);
    else return { workspace: toWorkspace(gone), salvage: null, changed: false };
  }
  const open = row ?? (await workspaceRow(db, ref));
  await requireLeft(crew, open, options.whileBusy);
  const salvage = await withHold(crew, open, () => removeWorkspace(crew, open, options.reason ?? "workspace free"));
  return { workspace: toWorkspace(open), salvage, changed: true };
}

/**
 * Saves and removes the workspace and closes its row; for whoever holds it. One that was never ready holds nobody's
 * work, and a checkout that is half made cannot be read.
 */
export async function removeWorkspace(crew: Crew, row: WorkspaceRow, reason: string): Promise<Salvage | null> {
  const salvage = await emptyWorkspace(crew, row, reason);
  await write(crew.context, freeSpec(row), (tx) => closeRow(tx, row.id));
  return salvage;
}

/** As `removeWorkspace`, but the row stays open and is `freeing`: for one that is made anew. */
export async function emptyWorkspace(crew: Crew, row: WorkspaceRow, reason: string): Promise<Salvage | null> {
  const salvage = row.state === "creating" ? null : await salvageWorkspace(crew, row, reason);
  if (row.state === "ready") await write(crew.context, freeSpec(row), (tx) => tx.patch("workspaces", row.id, FREEING));
  await getBackend(row.backend as BackendKey).remove(crew, checkoutOf(row));
  return salvage;
}

const FREEING = { state: "freeing" };

function freeSpec({ workstream, agent }: WorkspaceRow) {
  return { op: "workspace.free", scope: workstream, subject: `${workstream}/${agent}` };
}

/** Closes the row, inside a write, with what hangs on it and is not journalled. */
export async function closeRow(tx: Tx, workspace: number): Promise<void> {
  await tx.patch("workspaces", workspace, { freed_at: tx.now });
  await forgetWorkspace(tx.db, workspace);
}

/** What is not journalled has no workspace to hang on any more. */
export async function forgetWorkspace(db: Reader, workspace: number): Promise<void> {
  for (const table of ["port_leases", "workspace_changes", "workspace_holds"] as const) {
    await db.deleteFrom(table).where("workspace_id", "=", workspace).execute();
  }
}

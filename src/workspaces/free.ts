import type { TmuxHost } from "../agents/crew.js";
import { forgetRows } from "../db/destroy.js";
import { type Tx, write } from "../db/write.js";
import { asFault } from "../errors.js";
import type { Host } from "../host.js";
import type { AgentRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { getBackend } from "../vcs/backends.js";
import { requireClosed, type WhileBusy } from "./busy.js";
import { isHeld, withHold } from "./hold.js";
import { SALVAGE, type Salvage, salvageWorkspace } from "./salvage.js";
import {
  aboutWorkspace,
  findWorkspaceRow,
  newestWorkspaceRow,
  toWorkspace,
  WORKSPACE,
  type Workspace,
  type WorkspaceRow,
  workspaceRow,
  workspaceRows,
} from "./workspace.js";

interface Freed {
  workspace: Workspace;
  salvage: Salvage | null;
  /** False if it was freed before. */
  changed: boolean;
}

interface FreeOptions {
  whileBusy?: WhileBusy | undefined;
  /** Recorded with the salvage. */
  reason?: string | undefined;
}

/**
 * Saves all unlanded work of an agent's workspace and removes it. Can be run again after an interruption. Faults
 * `workspace.not_found`, `workspace.in_use`, `workspace.in_progress`, and those of the backend; what could not be saved
 * is not removed.
 */
export async function freeWorkspace(crew: TmuxHost, ref: AgentRef, options: FreeOptions = {}): Promise<Freed> {
  const { db } = crew.context.store;
  const freed = (await findWorkspaceRow(db, ref)) === undefined ? await newestWorkspaceRow(db, ref) : undefined;
  if (freed !== undefined) return { workspace: toWorkspace(freed), salvage: null, changed: false };
  const row = await workspaceRow(db, ref);
  await requireClosed(crew, row, options.whileBusy);
  const salvage = await withHold(crew, row, () => removeWorkspace(crew, row, options.reason ?? "workspace free"));
  return { workspace: toWorkspace(row), salvage, changed: true };
}

/** Saves and removes a locked workspace and closes its row. */
export async function removeWorkspace(host: Host, row: WorkspaceRow, reason: string): Promise<Salvage | null> {
  const salvage = await emptyWorkspace(host, row, reason);
  await write(host.context, aboutWorkspace("workspace.free", row), (tx) => closeWorkspaceIn(tx, row.id));
  return salvage;
}

/** As `removeWorkspace`, but leaves the row open in the state `freeing`. A workspace that was never ready has no work. */
export async function emptyWorkspace(host: Host, row: WorkspaceRow, reason: string): Promise<Salvage | null> {
  const salvage = row.state === "creating" ? null : await salvageWorkspace(host, row, reason, "goes");
  if (row.state === "ready")
    await write(host.context, aboutWorkspace("workspace.free", row), (tx) =>
      tx.patch("workspaces", row.id, { state: "freeing" }),
    );
  await getBackend(row.backend).remove(host, row);
  return salvage;
}

/** Closes the row of a workspace, and deletes its rows in tables that are not journalled. */
export async function closeWorkspaceIn(tx: Tx, workspace: number): Promise<void> {
  await tx.patch("workspaces", workspace, { freed_at: tx.now });
  await forgetRows(tx.db, "workspaces", [workspace]);
}

/** What happened to the workspace of a closed agent. */
export const LEFT_WORKSPACE = shape({
  workspace: WORKSPACE,
  /** True if it had no unlanded work, or that was discarded after saving it. */
  freed: "boolean",
  salvage: [SALVAGE, null],
  /** Why it could not be saved or removed, if so. */
  problem: "string | null",
});

export type LeftWorkspace = TypeOf<typeof LEFT_WORKSPACE>;

/** What to do with a workspace that has unlanded work: keep it, or discard it after saving. */
export type Leaving = "keep" | "discard";

/**
 * Saves the work of a closed agent, and frees its workspace if there was none. Null if it has no workspace. One that
 * cannot be saved or removed stays, with the reason.
 */
export async function leaveWorkspace(host: Host, ref: AgentRef, leaving: Leaving): Promise<LeftWorkspace | null> {
  const row = await findWorkspaceRow(host.context.store.db, ref);
  if (row === undefined || row.state === "creating") return null;
  const workspace = toWorkspace(row);
  let salvage: Salvage | null = null;
  try {
    return await withHold(host, row, async () => {
      const mayStay = leaving === "keep" && row.state === "ready";
      salvage = await salvageWorkspace(host, row, "agent close", mayStay ? "stays" : "goes");
      if (salvage !== null && mayStay) return { workspace, freed: false, salvage, problem: null };
      salvage = (await removeWorkspace(host, row, "agent close")) ?? salvage;
      return { workspace, freed: true, salvage, problem: null };
    });
  } catch (error) {
    return { workspace, freed: false, salvage, problem: asFault(error).message };
  }
}

/** An unfinished workspace whose process died, and what happened to it. */
export interface SettledWorkspace {
  workstream: string;
  agent: string;
  path: string;
  /** `undone` if it was being created, `freed` if it was being freed, `left` if that failed. */
  action: "undone" | "freed" | "left";
  salvage: Salvage | null;
  problem: string | null;
}

/** Undoes interrupted creates and finishes interrupted frees, of one workstream or all. */
export async function settleWorkspaces(host: Host, workstream?: string): Promise<SettledWorkspace[]> {
  const settled: SettledWorkspace[] = [];
  for (const row of await workspaceRows(host.context.store.db, workstream)) {
    if (row.state === "ready" || (await isHeld(host, row.id))) continue;
    const done = await settleWorkspace(host, row);
    if (done !== undefined) settled.push(done);
  }
  return settled;
}

/** Undefined if the workspace changed in the meantime. */
async function settleWorkspace(host: Host, row: WorkspaceRow): Promise<SettledWorkspace | undefined> {
  const { workstream, agent, path } = row;
  try {
    const salvage = await withHold(host, row, () => removeWorkspace(host, row, "reconcile"));
    const action = row.state === "creating" ? "undone" : "freed";
    return { workstream, agent, path, action, salvage, problem: null };
  } catch (error) {
    const { code, message } = asFault(error);
    if (code === "workspace.changed") return undefined;
    return { workstream, agent, path, action: "left", salvage: null, problem: message };
  }
}

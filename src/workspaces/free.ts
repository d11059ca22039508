import type { Crew } from "../agents/crew.js";
import { forgetRows } from "../db/destroy.js";
import { type Tx, write } from "../db/write.js";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import type { AgentRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { getBackend } from "../vcs/backends.js";
import type { BackendKey } from "../vcs/vcs.js";
import { requireLeft, type WhileBusy } from "./busy.js";
import { isHeld, withHold } from "./hold.js";
import { SALVAGE, type Salvage, salvageWorkspace } from "./salvage.js";
import {
  checkoutOf,
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
  /** What was saved of it; null when there was nothing to save, or it was gone already. */
  salvage: Salvage | null;
  /** False when it was freed already. */
  changed: boolean;
}

interface FreeOptions {
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
export async function removeWorkspace(host: Host, row: WorkspaceRow, reason: string): Promise<Salvage | null> {
  const salvage = await emptyWorkspace(host, row, reason);
  await write(host.context, freeSpec(row), (tx) => closeRow(tx, row.id));
  return salvage;
}

/** As `removeWorkspace`, but the row stays open and is `freeing`: for one that is made anew. */
export async function emptyWorkspace(host: Host, row: WorkspaceRow, reason: string): Promise<Salvage | null> {
  const salvage = row.state === "creating" ? null : await salvageWorkspace(host, row, reason);
  if (row.state === "ready") await write(host.context, freeSpec(row), (tx) => tx.patch("workspaces", row.id, FREEING));
  await getBackend(row.backend as BackendKey).remove(host, checkoutOf(row));
  return salvage;
}

const FREEING = { state: "freeing" };

function freeSpec({ workstream, agent }: WorkspaceRow) {
  return { op: "workspace.free", scope: workstream, subject: `${workstream}/${agent}` };
}

/** Closes the row, inside a write, with what hangs on it and is not journalled. */
export async function closeRow(tx: Tx, workspace: number): Promise<void> {
  await tx.patch("workspaces", workspace, { freed_at: tx.now });
  await forgetRows(tx.db, "workspaces", [workspace]);
}

/** What becomes of the workspace of an agent that is closed. */
export const LEFT_WORKSPACE = shape({
  workspace: WORKSPACE,
  /** It is gone: there was nothing in it that is not landed, or it was discarded and all of it is saved. */
  freed: "boolean",
  salvage: [SALVAGE, null],
  /** Why its work could not be saved; it is where it was then. */
  problem: "string | null",
});

export type LeftWorkspace = TypeOf<typeof LEFT_WORKSPACE>;

/** `keep` what has work in it, or `discard` that too, once it is saved. */
export type Leaving = "keep" | "discard";

/**
 * Saves what an agent that is gone left in its workspace, and frees the workspace when there was nothing to save. Null
 * when it has none. A workspace that cannot be saved or removed stays, and the answer says why.
 */
export async function leaveWorkspace(host: Host, ref: AgentRef, leaving: Leaving): Promise<LeftWorkspace | null> {
  const row = await findWorkspaceRow(host.context.store.db, ref);
  if (row === undefined || row.state === "creating") return null;
  const workspace = toWorkspace(row);
  let salvage: Salvage | null = null;
  try {
    return await withHold(host, row, async () => {
      salvage = await salvageWorkspace(host, row, "agent close");
      if (salvage !== null && leaving === "keep" && row.state === "ready")
        return { workspace, freed: false, salvage, problem: null };
      salvage = (await removeWorkspace(host, row, "agent close")) ?? salvage;
      return { workspace, freed: true, salvage, problem: null };
    });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { workspace, freed: false, salvage, problem: error.message };
  }
}

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
export async function settleWorkspaces(host: Host, workstream?: string): Promise<SettledWorkspace[]> {
  const settled: SettledWorkspace[] = [];
  for (const row of await unfinishedWorkspaces(host, workstream)) {
    const done = await settle(host, row);
    if (done !== undefined) settled.push(done);
  }
  return settled;
}

/** The workspaces that are neither ready nor in anybody's hands. */
async function unfinishedWorkspaces(host: Host, workstream?: string): Promise<WorkspaceRow[]> {
  const rows = (await workspaceRows(host.context.store.db, workstream)).filter((row) => row.state !== "ready");
  const held = await Promise.all(rows.map((row) => isHeld(host, row.id)));
  return rows.filter((_, at) => !held[at]);
}

/** Undefined for one that somebody settled while it was looked at. */
async function settle(host: Host, row: WorkspaceRow): Promise<SettledWorkspace | undefined> {
  const { workstream, agent, path } = row;
  try {
    const salvage = await withHold(host, row, () => removeWorkspace(host, row, "reconcile"));
    const action = row.state === "creating" ? "undone" : "freed";
    return { workstream, agent, path, action, salvage, problem: null };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (error.code === "workspace.changed") return undefined;
    return { workstream, agent, path, action: "left", salvage: null, problem: error.message };
  }
}

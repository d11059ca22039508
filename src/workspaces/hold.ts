import { timestamp } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import { quote } from "../names.js";
import { endHolder, isHolderAlive, newHolder, pidOf, unseenHostOf } from "../processes.js";
import type { WorkspaceRow } from "./workspace.js";

/** One process's lock on a workspace. */
export interface Hold {
  workspace: number;
  holder: string;
  /** What a process that died while it held the lock had noted for its successor. */
  inherited: string | null;
}

interface HoldRow {
  holder: string;
  created_at: string;
}

/** True if a living process has the workspace locked. */
export async function isHeld(host: Host, workspace: number): Promise<boolean> {
  const found = await findHold(host.context.store.db, workspace);
  return found !== undefined && (await isHolding(host, found));
}

/** A process that cannot be seen from here keeps its lock for so long, in ms. */
const UNSEEN_MS = 60 * 60_000;

async function isHolding(host: Host, { holder, created_at }: HoldRow): Promise<boolean> {
  if (unseenHostOf(holder) === undefined) return isHolderAlive(host, holder);
  return host.context.clock.now().getTime() - Date.parse(created_at) < UNSEEN_MS;
}

/**
 * Runs `work` with the workspace locked; a dead process's lock is taken over. Faults `workspace.changed` if the row has
 * changed since it was read, and `workspace.in_progress`.
 */
export async function withHold<T>(host: Host, row: WorkspaceRow, work: (hold: Hold) => Promise<T>): Promise<T> {
  const hold = await takeHold(host, row);
  try {
    return await work(hold);
  } finally {
    await endHold(host, hold.holder);
  }
}

async function takeHold(host: Host, row: WorkspaceRow): Promise<Hold> {
  const { store } = host.context;
  const found = await findHold(store.db, row.id);
  if (found !== undefined && (await isHolding(host, found))) throw inProgress(row, found);
  const holder = await newHolder(host);
  const taken = await store.write(async (db) => {
    if (found !== undefined) await db.deleteFrom("workspace_holds").where("holder", "=", found.holder).execute();
    if (!(await isUnchanged(db, row))) return undefined;
    await insertHold(db, { workspace: row.id, holder, now: timestamp(host.context.clock) });
    return findHold(db, row.id);
  });
  if (taken?.holder === holder) return { workspace: row.id, holder, inherited: found?.intent ?? null };
  endHolder(holder);
  throw taken === undefined ? changedMeanwhile(row) : inProgress(row, taken);
}

const COMPARED = ["state", "agent", "base_ref", "freed_at"] as const;

async function isUnchanged(db: Reader, row: WorkspaceRow): Promise<boolean> {
  const now = await db.selectFrom("workspaces").select(COMPARED).where("id", "=", row.id).executeTakeFirst();
  return now !== undefined && COMPARED.every((column) => now[column] === row[column]);
}

/** Locks the workspace inside a write, unless it is locked. */
export async function insertHold(
  db: Reader,
  { workspace, holder, now }: { workspace: number; holder: string; now: string },
): Promise<void> {
  await db
    .insertInto("workspace_holds")
    .values({ workspace_id: workspace, holder, intent: null, created_at: now })
    .onConflict((conflict) => conflict.column("workspace_id").doNothing())
    .execute();
}

/** Notes what a successor needs to finish this work. */
export async function noteIntent(host: Host, { holder }: Hold, intent: unknown): Promise<void> {
  await host.context.store.write((db) =>
    db
      .updateTable("workspace_holds")
      .set({ intent: JSON.stringify(intent) })
      .where("holder", "=", holder)
      .execute(),
  );
}

/** Releases a lock. If that fails, the lock counts as a dead process's and is taken over. */
export async function endHold(host: Host, holder: string): Promise<void> {
  endHolder(holder);
  await host.context.store
    .write((db) => db.deleteFrom("workspace_holds").where("holder", "=", holder).execute())
    .catch(() => {});
}

async function findHold(db: Reader, workspace: number) {
  return db.selectFrom("workspace_holds").selectAll().where("workspace_id", "=", workspace).executeTakeFirst();
}

function inProgress({ agent, workstream }: WorkspaceRow, { holder, created_at }: HoldRow): Fault {
  const pid = pidOf(holder);
  const other = unseenHostOf(holder);
  const unseen = other && ` on ${other} since ${created_at}. It cannot be seen from here: mu takes over after an hour`;
  return new Fault(
    "conflict",
    "workspace.in_progress",
    `The workspace of ${quote(agent)} is locked by process ${pid}${unseen ?? ""}.`,
    [{ intent: "See its state", command: `mu workspace list -w ${workstream}` }],
    { pid },
  );
}

function changedMeanwhile({ agent, workstream }: WorkspaceRow): Fault {
  const message = `The workspace of ${quote(agent)} was changed at the same time; nothing was done.`;
  const next = { intent: "See its state", command: `mu workspace list -w ${workstream}` };
  return new Fault("conflict", "workspace.changed", message, [next]);
}

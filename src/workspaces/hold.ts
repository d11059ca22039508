import { randomUUID } from "node:crypto";
import { timestamp } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import { quote } from "../names.js";
import { isProcessAlive, pidOf, processIdentity } from "../processes.js";
import type { WorkspaceRow } from "./workspace.js";

/** The right of one process to change a workspace; nobody else touches it meanwhile. */
export interface Hold {
  workspace: number;
  holder: string;
  /** What a process that died while it held the workspace had written down for whoever goes on. */
  inherited: string | null;
}

/** The holds of this process: a pid alone cannot tell two of its calls apart. */
const own = new Set<string>();

/** A name for a hold of this process, to be let go with `endHold`. */
export async function newHolder(host: Host): Promise<string> {
  const holder = `${await processIdentity(host)} ${randomUUID().slice(0, 8)}`;
  own.add(holder);
  return holder;
}

/** Whether somebody is changing the workspace right now. */
export async function isHeld(host: Host, workspace: number): Promise<boolean> {
  const found = await findHold(host.context.store.db, workspace);
  return found !== undefined && (await isAlive(host, found.holder));
}

/**
 * Runs `work` while no other process may change the workspace; the hold of one that died is taken over. What `row`
 * says of it is true then: faults `workspace.changed` when somebody changed it after it was read, and
 * `workspace.in_progress`.
 */
export async function withHold<T>(host: Host, row: WorkspaceRow, work: (hold: Hold) => Promise<T>): Promise<T> {
  const hold = await takeHold(host, row);
  try {
    return await work(hold);
  } finally {
    await endHold(host, hold.holder);
  }
}

/** As `withHold`, for a caller that ends the hold itself. */
async function takeHold(host: Host, row: WorkspaceRow): Promise<Hold> {
  const { store } = host.context;
  const found = await findHold(store.db, row.id);
  if (found !== undefined && (await isAlive(host, found.holder))) throw inProgress(row, found.holder);
  const holder = await newHolder(host);
  const { taken, isAsRead } = await store.write(async (db) => {
    if (found !== undefined) await db.deleteFrom("workspace_holds").where("holder", "=", found.holder).execute();
    if (!(await isStill(db, row))) return { taken: "", isAsRead: false };
    await insertHold(db, { workspace: row.id, holder, now: timestamp(host.context.clock) });
    return { taken: (await findHold(db, row.id))?.holder ?? "", isAsRead: true };
  });
  if (isAsRead && taken === holder) return { workspace: row.id, holder, inherited: found?.intent ?? null };
  own.delete(holder);
  throw isAsRead ? inProgress(row, taken) : changedMeanwhile(row);
}

/** Whoever had the hold a moment ago may have made the workspace ready, or freed it. */
async function isStill(db: Reader, row: WorkspaceRow): Promise<boolean> {
  const now = await db
    .selectFrom("workspaces")
    .select(["state", "agent", "base_ref", "freed_at"])
    .where("id", "=", row.id)
    .executeTakeFirst();
  const kept = ["state", "agent", "base_ref", "freed_at"] as const;
  return now !== undefined && kept.every((column) => now[column] === row[column]);
}

/** Takes the hold inside a write, unless somebody has it. */
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

/** Writes down what whoever finishes this work would have to know. */
export async function noteIntent(host: Host, { holder }: Hold, intent: unknown): Promise<void> {
  await host.context.store.write((db) =>
    db
      .updateTable("workspace_holds")
      .set({ intent: JSON.stringify(intent) })
      .where("holder", "=", holder)
      .execute(),
  );
}

/** Lets go, also where the write has done so already. One that stays is a dead process's and taken over. */
export async function endHold(host: Host, holder: string): Promise<void> {
  own.delete(holder);
  await host.context.store
    .write((db) => db.deleteFrom("workspace_holds").where("holder", "=", holder).execute())
    .catch(() => {});
}

async function findHold(db: Reader, workspace: number) {
  return db.selectFrom("workspace_holds").selectAll().where("workspace_id", "=", workspace).executeTakeFirst();
}

async function isAlive(host: Host, holder: string): Promise<boolean> {
  if (own.has(holder)) return true;
  const identity = holder.slice(0, holder.lastIndexOf(" "));
  if (identity === (await processIdentity(host))) return false;
  return isProcessAlive(host, identity);
}

function inProgress({ agent, workstream }: WorkspaceRow, holder: string): Fault {
  const pid = pidOf(holder);
  return new Fault(
    "conflict",
    "workspace.in_progress",
    `Process ${pid} is changing the workspace of ${quote(agent)} right now.`,
    [{ intent: "See how it stands", command: `mu workspace list -w ${workstream}` }],
    { pid },
  );
}

/** The fault for a workspace that is another one than was looked at. */
function changedMeanwhile({ agent, workstream }: WorkspaceRow): Fault {
  return new Fault(
    "conflict",
    "workspace.changed",
    `Somebody changed the workspace of ${quote(agent)} in this very moment; nothing was done to it.`,
    [{ intent: "See how it stands", command: `mu workspace list -w ${workstream}` }],
  );
}

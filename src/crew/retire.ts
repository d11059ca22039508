import type { RowOf, Tx } from "../db/write.js";
import { releaseOwned } from "../tasks/lifecycle.js";

export interface Retirement {
  /** Whose word the notes carry. */
  author: string;
  /** Why, as a note of each task that is given back. */
  note: string;
}

/**
 * Ends an incarnation inside a write: closes its row and gives its tasks back to OPEN. Gives the names of those
 * tasks. One that is closed already stays as it is.
 */
export async function retireAgent(tx: Tx, agent: number, { author, note }: Retirement): Promise<string[]> {
  const row = await findRow(tx, agent);
  if (row === undefined || row.closed_at !== null) return [];
  const released = await releaseOwned(tx, agent, { author, text: note });
  await tx.patch("agents", agent, { closed_at: tx.now }, row);
  await tx.db
    .updateTable("agent_status")
    .set({ status: "terminated", reason: note, by: "process", rule: null, evidence: null, at: tx.now, seen_at: tx.now })
    .where("agent_id", "=", agent)
    .execute();
  return released;
}

async function findRow(tx: Tx, id: number): Promise<RowOf<"agents"> | undefined> {
  return tx.db.selectFrom("agents").selectAll().where("id", "=", id).executeTakeFirst();
}

/** A spawn that has not opened its pane after this long (ms) was cut off. */
const HALF_SPAWN_MS = 60_000;

/**
 * True for the row that a spawn left behind which died on the way: no pane, and too old to be still at work. It may
 * be closed by anybody; its pane, if it got one, carries its incarnation as `@mu_agent_id`.
 */
export function isHalfSpawn(
  row: Pick<RowOf<"agents">, "pane" | "spawned_at" | "closed_at" | "cli">,
  now: Date,
): boolean {
  if (row.closed_at !== null || row.pane !== null || row.cli === "human") return false;
  return now.getTime() - Date.parse(row.spawned_at) > HALF_SPAWN_MS;
}

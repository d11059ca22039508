import type { Selectable } from "kysely";
import { type Context, timestamp } from "../db/context.js";
import type { Reader, Schema } from "../db/schema.js";
import type { Tx } from "../db/write.js";

export type LandingRow = Selectable<Schema["landings"]>;
export type LandingState = "taken" | "stacked" | "landed" | "conflict" | "red" | "dropped";

/** From which states a step leads to which. `stacked` is written just before the branch moves. */
const LANDING_STEPS = {
  stack: { from: ["taken", "stacked"], to: "stacked" },
  land: { from: ["taken", "stacked"], to: "landed" },
  conflict: { from: ["taken", "stacked"], to: "conflict" },
  red: { from: ["taken", "stacked"], to: "red" },
  drop: { from: ["taken", "stacked"], to: "dropped" },
} as const satisfies Record<string, { from: readonly LandingState[]; to: LandingState }>;

const UNDER_WAY: readonly LandingState[] = ["taken", "stacked"];

/** Landings that were begun and not ended. */
export function landingsUnderWay(db: Reader): Promise<LandingRow[]> {
  return db.selectFrom("landings").selectAll().where("state", "in", UNDER_WAY).orderBy("id").execute();
}

export interface Batch {
  id: string;
  root: string;
  branch: string;
  scratch: string;
  process: string;
}

/**
 * Takes tasks for a batch in one transaction. Gives the row ids by task, and the rows of others that have some of them
 * already: then nothing was taken.
 */
export async function takeTasks(
  context: Context,
  batch: Batch,
  tasks: readonly { id: number; workstream_id: number }[],
): Promise<{ taken: Map<number, number>; others: LandingRow[] }> {
  const ids = tasks.map((task) => task.id);
  const now = timestamp(context.clock);
  const rows = tasks.map((task) => ({
    workstream_id: task.workstream_id,
    task_id: task.id,
    batch: batch.id,
    root: batch.root,
    branch: batch.branch,
    state: "taken",
    onto: null,
    tip: null,
    scratch: batch.scratch,
    process: batch.process,
    reason: null,
    created_at: now,
    updated_at: now,
  }));
  const others = (db: Reader) =>
    db.selectFrom("landings").selectAll().where("task_id", "in", ids).where("state", "in", UNDER_WAY).execute();
  const take = async (db: Reader) => {
    const found = await others(db);
    if (found.length > 0 || rows.length === 0) return { taken: new Map<number, number>(), others: found };
    const made = await db.insertInto("landings").values(rows).returning(["id", "task_id"]).execute();
    return { taken: new Map(made.map((row) => [row.task_id, row.id])), others: [] };
  };
  return context.store.write(take).catch(async (error: unknown) => {
    if (!isTakenMeanwhile(error)) throw error;
    return { taken: new Map<number, number>(), others: await others(context.store.db) };
  });
}

/** On PostgreSQL two landers of one task meet in the unique index. */
function isTakenMeanwhile(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "23505";
}

/** Writes down what each task will be on the branch, before the branch is moved there. */
export async function stackRows(
  context: Context,
  onto: string,
  tips: readonly { id: number; tip: string }[],
): Promise<void> {
  const now = timestamp(context.clock);
  await context.store.write(async (db) => {
    for (const { id, tip } of tips) await stepRow(db, id, "stack", { onto, tip, updated_at: now });
  });
}

/** Lets tasks go that did not land; they are as they were. */
export async function dropRows(context: Context, ids: readonly number[], reason: string): Promise<void> {
  if (ids.length === 0) return;
  const now = timestamp(context.clock);
  await context.store.write(async (db) => {
    for (const id of ids) await stepRow(db, id, "drop", { reason, updated_at: now });
  });
}

/** Ends a landing inside the write that says what came of it; false when it had been ended before. */
export function endRow(
  tx: Tx,
  id: number,
  step: "land" | "conflict" | "red",
  columns: { tip?: string; onto?: string; reason?: string },
): Promise<boolean> {
  return stepRow(tx.db, id, step, { ...columns, updated_at: tx.now });
}

async function stepRow(
  db: Reader,
  id: number,
  step: keyof typeof LANDING_STEPS,
  columns: Partial<LandingRow>,
): Promise<boolean> {
  const { from, to } = LANDING_STEPS[step];
  const changed = await db
    .updateTable("landings")
    .set({ ...columns, state: to })
    .where("id", "=", id)
    .where("state", "in", from)
    .returning("id")
    .execute();
  return changed.length > 0;
}

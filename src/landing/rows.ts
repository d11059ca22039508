import type { Selectable } from "kysely";
import { type Context, timestamp } from "../db/context.js";
import type { Reader, Schema } from "../db/schema.js";
import { type Tx, write } from "../db/write.js";
import type { Fault } from "../errors.js";
import { WAITS } from "../state.js";
import type { Candidate } from "./choose.js";

export type LandingRow = Selectable<Schema["landings"]>;
type LandingState = "taken" | "stacked" | "landed" | "conflict" | "red" | "dropped";

/** `stacked` is written just before the branch moves. Every other state is final. */
const UNDER_WAY: readonly LandingState[] = ["taken", "stacked"];

/** Landings that have not ended. */
export function landingsUnderWay(db: Reader): Promise<LandingRow[]> {
  return db.selectFrom("landings").selectAll().where("state", "in", UNDER_WAY).orderBy("id").execute();
}

export type Batch = Pick<LandingRow, "root" | "branch" | "scratch" | "process"> & {
  id: string;
  /** What is done with the tasks, if they do not land. */
  reason?: string;
};

/** The reason of a landing that takes a task's work off the branch. */
export const REVERTS = "reverts it";

/**
 * Takes tasks for a batch in one transaction. Returns the row ids by task; or, if other landings have some of the tasks,
 * takes none and returns the rows of those landings.
 */
export async function takeTasks(
  context: Context,
  batch: Batch,
  tasks: readonly { id: number; workstream_id: number }[],
): Promise<{ taken: Map<number, number>; others: LandingRow[] }> {
  const ids = tasks.map((task) => task.id);
  const now = timestamp(context.clock);
  const { id, reason = null, ...place } = batch;
  const blank = { ...place, batch: id, state: "taken", onto: null, tip: null, reason };
  const times = { created_at: now, updated_at: now };
  const rows = tasks.map((task) => ({
    ...blank,
    ...times,
    workstream_id: task.workstream_id,
    task_id: task.id,
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

/** Records the commit of each task on the branch, before the branch moves there. */
export async function stackRows(
  context: Context,
  onto: string,
  tips: readonly { id: number; tip: string }[],
): Promise<void> {
  const now = timestamp(context.clock);
  await context.store.write(async (db) => {
    for (const { id, tip } of tips) await setState(db, id, "stacked", { onto, tip, updated_at: now });
  });
}

/** Ends the landings of tasks that did not land; the tasks stay as they are. */
export async function dropRows(context: Context, ids: readonly number[], reason: string): Promise<void> {
  if (ids.length === 0) return;
  const now = timestamp(context.clock);
  await context.store.write(async (db) => {
    for (const id of ids) await setState(db, id, "dropped", { reason, updated_at: now });
  });
}

/** Ends the landings of tasks that wait for the user's checkout. The log tells it when it is new, not at each retry. */
export async function recordWait(
  context: Context,
  candidates: readonly Candidate[],
  landings: ReadonlyMap<number, number>,
  fault: Fault,
): Promise<void> {
  const [first] = candidates;
  if (first === undefined) return;
  const reason = `${WAITS}${fault.message}`;
  const news: Candidate[] = [];
  for (const candidate of candidates) {
    if ((await lastReason(context.store.db, candidate.row.id)) !== reason) news.push(candidate);
  }
  const { workstream } = first.row;
  const tasks = news.map(({ row }) => row.name);
  const spec = { op: "land.wait", scope: workstream, subject: workstream };
  if (tasks.length > 0) {
    await write(context, spec, async (tx) => tx.addPayload({ tasks, reason: fault.message, ...fault.details }));
  }
  await dropRows(
    context,
    candidates.flatMap(({ row }) => landings.get(row.id) ?? []),
    reason,
  );
}

async function lastReason(db: Reader, task: number): Promise<string | null | undefined> {
  const ended = db.selectFrom("landings").select("reason").where("task_id", "=", task).where("state", "=", "dropped");
  return (await ended.orderBy("id", "desc").limit(1).executeTakeFirst())?.reason;
}

/** Ends a landing inside the write that records its outcome; false if it had ended before. */
export function endRow(
  tx: Tx,
  id: number,
  state: "landed" | "conflict" | "red" | "dropped",
  columns: { tip?: string; onto?: string; reason?: string },
): Promise<boolean> {
  return setState(tx.db, id, state, { ...columns, updated_at: tx.now });
}

async function setState(db: Reader, id: number, state: LandingState, columns: Partial<LandingRow>): Promise<boolean> {
  const changed = await db
    .updateTable("landings")
    .set({ ...columns, state })
    .where("id", "=", id)
    .where("state", "in", UNDER_WAY)
    .returning("id")
    .execute();
  return changed.length > 0;
}

/** Finished work that is not on its target branch, in the order in which it was closed. */
export interface Unlanded {
  task: string;
  title: string;
  owner: string | null;
  level: string;
  /** The state of its newest landing, and why that ended; null where none was begun. */
  landing: { state: string; reason: string | null; batch: string } | null;
}

const UNDER_WAY_WORDS: Readonly<Record<string, string>> = { taken: "being checked", stacked: "moving the branch" };

/** What happens to finished work now, or what it waits for, in words; tasks that are checked together have one batch. */
export function standOf({ landing }: Pick<Unlanded, "landing">): { state: string; batch: string | null } {
  const active = landing === null ? undefined : UNDER_WAY_WORDS[landing.state];
  if (landing === null || active === undefined) return { state: landing?.reason ?? "not asked for yet", batch: null };
  return { state: active, batch: landing.batch };
}

/** CLOSED tasks of a workstream that have not landed, oldest first. */
export async function unlandedTasks(db: Reader, workstreamId: number): Promise<Unlanded[]> {
  const rows = await db
    .selectFrom("tasks as t")
    .leftJoin("agents as o", "o.id", "t.owner_id")
    .leftJoin("landings as l", (join) =>
      join.on("l.id", "=", (e) =>
        e
          .selectFrom("landings as n")
          .select((m) => m.fn.max("n.id").as("id"))
          .whereRef("n.task_id", "=", "t.id"),
      ),
    )
    .select(["t.name as task", "t.title", "o.name as owner", "t.level", "l.state", "l.reason", "l.batch"])
    .where("t.workstream_id", "=", workstreamId)
    .where("t.status", "=", "CLOSED")
    .where((e) => e.or([e("t.level", "is", null), e("t.level", "<>", "landed")]))
    .orderBy("t.closed_at")
    .orderBy("t.name")
    .execute();
  return rows.map(({ state, reason, batch, level, ...task }) => ({
    ...task,
    level: level ?? "claimed",
    landing: state === null || batch === null ? null : { state, reason, batch },
  }));
}

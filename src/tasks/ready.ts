import { sql } from "kysely";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { readyOrder, unblocks } from "./ready-order.js";
import { isBlocked } from "./standing.js";
import { CONTAINER_KINDS, selectTasks, type Task, toTask } from "./task.js";

/** A task that can be taken now. */
export interface ReadyTask extends Task {
  /** How many live tasks it blocks directly. */
  unblocks: number;
}

/** True for a task `t` that anybody may take at `now`. */
export const isReady = (now: string) => sql<boolean>`(t.status = 'OPEN' and t.hold is null
  and (t.not_before is null or t.not_before <= ${now})
  and t.kind not in (${sql.join(CONTAINER_KINDS.map((kind) => sql.lit(kind)))})
  and not ${isBlocked})`;

export interface ReadyFilter {
  /** Only tasks for this role or for none; null: only those for none. */
  role?: string | null | undefined;
  /** At most this many; 0 or absent means all. */
  limit?: number | undefined;
  /** The present moment, as the database writes it. */
  now: string;
}

interface Values {
  now: string;
  workstream: string;
  anyRole: number;
  role: string | null;
  limit: number;
}

/**
 * The order is settled on ids alone, and only the rows that are asked for are fetched whole. Counting what a task
 * unblocks is the dear part, so it is left to those that could still be among the first `limit`.
 */
const readyRows = (scope: "one workstream" | "all") =>
  statement((db, { now, workstream, anyRole, role, limit }: Values) => {
    let ranked = db
      .selectFrom("tasks as t")
      .select(["t.id", sql<number>`rank() over (order by t.priority, t.impact / t.effort_days desc)`.as("place")])
      .where(isReady(now))
      .where(sql<boolean>`(cast(${anyRole} as integer) = 1 or t.role is null or t.role = ${role})`);
    if (scope === "one workstream") {
      ranked = ranked.where("t.workstream_id", "=", (e) =>
        e.selectFrom("workstreams").select("id").where("name", "=", workstream),
      );
    }
    let picked = db
      .selectFrom("tasks as t")
      .innerJoin(ranked.as("k"), "k.id", "t.id")
      .where("k.place", "<=", limit)
      .select(["t.id", unblocks.as("unblocks")])
      .limit(limit);
    for (const order of readyOrder) picked = picked.orderBy(order);
    let rows = selectTasks(db).innerJoin(picked.as("p"), "p.id", "t.id").select("p.unblocks");
    for (const order of readyOrder) rows = rows.orderBy(order);
    return rows;
  });

const readyInOne = readyRows("one workstream");
const readyInAll = readyRows("all");

/** Row ids of everything in a workstream that is ready, best first, with how many live tasks each blocks directly. */
export const selectReadyIds = statement((db, { now, workstreamId }: { now: string; workstreamId: number }) => {
  let ready = db
    .selectFrom("tasks as t")
    .select(["t.id", unblocks.as("unblocks")])
    .where("t.workstream_id", "=", workstreamId)
    .where(isReady(now));
  for (const order of readyOrder) ready = ready.orderBy(order);
  return ready;
});

/** Rows of the tasks that are ready, best first. */
export function readyTaskRows(db: Reader, workstream: string | undefined, { role, limit, now }: ReadyFilter) {
  const values = {
    now,
    workstream: workstream ?? "",
    anyRole: role === undefined ? 1 : 0,
    role: role ?? null,
    limit: limit || Number.MAX_SAFE_INTEGER,
  };
  return workstream === undefined ? readyInAll(db, values) : readyInOne(db, values);
}

/** The tasks that can be taken now, best first, of one workstream or of all. Faults `workstream.not_found`. */
export async function listReady(db: Reader, workstream: string | undefined, filter: ReadyFilter): Promise<ReadyTask[]> {
  const rows = await readyTaskRows(db, workstream, filter);
  if (rows.length === 0 && workstream !== undefined) await workstreamRow(db, workstream);
  return rows.map((row) => ({ ...toTask(row), unblocks: Number(row.unblocks) }));
}

/** How much of a workstream's work is where. */
export interface WorkCounts {
  ready: number;
  blocked: number;
  held: number;
  /** OPEN, but not before a later moment. */
  waiting: number;
  inProgress: number;
  /** All OPEN tasks that can be claimed some day: containers do not count. */
  open: number;
}

/** Counts the live tasks of a workstream by what keeps them. */
export async function countWork(db: Reader, workstreamId: number, now: string): Promise<WorkCounts> {
  const sum = (condition: ReturnType<typeof isReady>) => sql<number>`sum(case when ${condition} then 1 else 0 end)`;
  const row = await db
    .selectFrom("tasks as t")
    .select([
      sum(isReady(now)).as("ready"),
      sum(sql`(t.status = 'OPEN' and ${isBlocked})`).as("blocked"),
      sum(sql`(t.status = 'OPEN' and t.hold is not null)`).as("held"),
      sum(sql`(t.status = 'OPEN' and t.not_before > ${now})`).as("waiting"),
      sum(sql`(t.status = 'IN_PROGRESS')`).as("inProgress"),
      sum(sql`(t.status = 'OPEN')`).as("open"),
    ])
    .where("t.workstream_id", "=", workstreamId)
    .where("t.kind", "not in", CONTAINER_KINDS)
    .executeTakeFirstOrThrow();
  return {
    ready: Number(row.ready),
    blocked: Number(row.blocked),
    held: Number(row.held),
    waiting: Number(row.waiting),
    inProgress: Number(row.inProgress),
    open: Number(row.open),
  };
}

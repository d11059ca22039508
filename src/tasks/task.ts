import { sql } from "kysely";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import { Fault } from "../errors.js";
import { didYouMean, quote, type TaskRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";

export const TASK_STATUSES = ["OPEN", "IN_PROGRESS", "CLOSED", "REJECTED", "DEFERRED"] as const;
export type TaskStatus = (typeof TASK_STATUSES)[number];

/** Statuses in which work is still to be done. */
export const LIVE_STATUSES: readonly TaskStatus[] = ["OPEN", "IN_PROGRESS"];

/** Kinds that hold other tasks and are never claimed themselves. */
export const CONTAINER_KINDS: readonly string[] = ["container", "job", "intake"];

/** How well it is proved that a CLOSED task is done: its owner says so, its check passed, its work is on the target. */
export const TASK_LEVELS = ["claimed", "verified", "landed"] as const;
export type TaskLevel = (typeof TASK_LEVELS)[number];

/** A task as everybody outside the database sees it: names, never row ids. */
export const TASK = shape({
  name: "string",
  workstream: "string",
  title: "string",
  status: TASK_STATUSES,
  kind: "string",
  role: "string | null",
  /** 1–100. */
  impact: "number",
  /** Days. */
  effortDays: "number",
  /** impact / effortDays. */
  roi: "number",
  /** 1 first … 9 last. */
  priority: "number",
  owner: "string | null",
  tags: "string[]",
  /** Globs of the files that the task expects to change. */
  touches: "string[]",
  description: "string | null",
  hold: "string | null",
  holdReason: "string | null",
  /** The job or intake that the task belongs to. */
  root: "string | null",
  step: "string | null",
  payload: "unknown",
  attempts: "number",
  maxRetries: "number",
  notBefore: "string | null",
  outcome: "string | null",
  externalRef: "string | null",
  claimGeneration: "number",
  leaseUntil: "string | null",
  /** Null while the task is not CLOSED. */
  level: [TASK_LEVELS, null],
  /** The commit on the target branch that has the work; null until it has landed. */
  landedCommit: "string | null",
  createdAt: "string",
  updatedAt: "string",
  closedAt: "string | null",
});

export type Task = TypeOf<typeof TASK>;

const COLUMNS = [
  "t.id",
  "t.workstream_id",
  "t.name",
  "t.title",
  "t.description",
  "t.kind",
  "t.role",
  "t.status",
  "t.hold",
  "t.hold_reason",
  "t.impact",
  "t.effort_days",
  "t.priority",
  "t.owner_id",
  "t.root_id",
  "t.step",
  "t.payload",
  "t.tags",
  "t.touches",
  "t.attempts",
  "t.max_retries",
  "t.not_before",
  "t.outcome",
  "t.external_ref",
  "t.claim_generation",
  "t.lease_until",
  "t.lease_seconds",
  "t.level",
  "t.work_agent",
  "t.work_root",
  "t.work_from",
  "t.work_to",
  "t.landed_commit",
  "t.created_at",
  "t.updated_at",
  "t.closed_at",
] as const;

/** Tasks with the names that their ids stand for; the start of every task query. */
export function selectTasks(db: Reader) {
  return db
    .selectFrom("tasks as t")
    .innerJoin("workstreams as w", "w.id", "t.workstream_id")
    .leftJoin("agents as o", "o.id", "t.owner_id")
    .leftJoin("tasks as r", "r.id", "t.root_id")
    .select([...COLUMNS, "w.name as workstream", "o.name as owner", "r.name as root"]);
}

/** A row of `selectTasks`. */
export type TaskRow = Awaited<ReturnType<ReturnType<typeof selectTasks>["executeTakeFirstOrThrow"]>>;

/** The public shape of a row. */
export function toTask(row: TaskRow): Task {
  return {
    name: row.name,
    workstream: row.workstream,
    title: row.title,
    status: row.status as TaskStatus,
    kind: row.kind,
    role: row.role,
    impact: row.impact,
    effortDays: row.effort_days,
    roi: Math.round((row.impact / row.effort_days) * 100) / 100,
    priority: row.priority,
    owner: row.owner,
    tags: row.tags === null ? [] : JSON.parse(row.tags),
    touches: row.touches === null ? [] : JSON.parse(row.touches),
    description: row.description,
    hold: row.hold,
    holdReason: row.hold_reason,
    root: row.root,
    step: row.step,
    payload: row.payload === null ? null : JSON.parse(row.payload),
    attempts: row.attempts,
    maxRetries: row.max_retries,
    notBefore: row.not_before,
    outcome: row.outcome,
    externalRef: row.external_ref,
    claimGeneration: row.claim_generation,
    leaseUntil: row.lease_until,
    level: levelOf(row),
    landedCommit: row.landed_commit,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    closedAt: row.closed_at,
  };
}

/** How well it is proved that the task is done; null while it is not CLOSED. */
export function levelOf({ status, level }: Pick<TaskRow, "status" | "level">): TaskLevel | null {
  return status === "CLOSED" ? ((level as TaskLevel | null) ?? "claimed") : null;
}

const selectByName = statement((db, { workstream, name }: TaskRef) =>
  selectTasks(db).where("w.name", "=", workstream).where("t.name", "=", name),
);

/** The row of a task; faults `workstream.not_found`, `task.not_found` with near names. */
export async function taskRow(db: Reader, ref: TaskRef): Promise<TaskRow> {
  const [row] = await selectByName(db, ref);
  return row ?? Promise.reject(await taskNotFound(db, ref));
}

/** The task with this row id, whatever it is called now; undefined when it was deleted. */
export function findById(db: Reader, id: number): Promise<TaskRow | undefined> {
  return selectTasks(db).where("t.id", "=", id).executeTakeFirst();
}

/** The task, or undefined. */
export async function findTask(db: Reader, ref: TaskRef): Promise<Task | undefined> {
  const [row] = await selectByName(db, ref);
  return row && toTask(row);
}

/** The task; faults `workstream.not_found`, `task.not_found`. */
export async function getTask(db: Reader, ref: TaskRef): Promise<Task> {
  return toTask(await taskRow(db, ref));
}

/** The fault for a task that is not there, with near names; or for its workstream. */
export async function taskNotFound(db: Reader, { workstream, name }: TaskRef): Promise<Fault> {
  const { workstreamRow } = await import("../workstreams/workstream.js");
  const { id } = await workstreamRow(db, workstream);
  const names = await db.selectFrom("tasks").select("name").where("workstream_id", "=", id).execute();
  const hint = didYouMean(
    name,
    names.map((known) => known.name),
  );
  return new Fault("missing", "task.not_found", `There is no task ${quote(name)} in ${workstream}.${hint}`, [
    { intent: "See the tasks", command: `mu task list -w ${workstream}` },
  ]);
}

/** How many live tasks a task `t` blocks directly. */
export const unblocks = sql<number>`(
  select count(*) from task_edges e join tasks d on d.id = e.blocked_id
  where e.blocker_id = t.id and d.status in ('OPEN', 'IN_PROGRESS'))`;

/** The order in which ready tasks `t` are taken, everywhere: ends in a name, so that it is always the same. */
export const readyOrder = [
  sql`t.priority`,
  sql`t.impact / t.effort_days desc`,
  sql`${unblocks} desc`,
  sql`t.created_at`,
  sql`t.name`,
] as const;

export const TASK_SORTS = ["name", "ready", "roi", "priority", "recency", "age", "status"] as const;
export type TaskSort = (typeof TASK_SORTS)[number];

/** Which tasks to list; several values of one field mean any of them, several fields mean all of them. */
export interface TaskFilter {
  workstream?: string;
  status?: readonly TaskStatus[];
  role?: readonly string[];
  kind?: readonly string[];
  tag?: readonly string[];
  owner?: readonly string[];
  /** Text in name, title, description or a note, without regard to case. */
  text?: string;
  sort?: TaskSort;
  /** At most this many; 0 or absent means all. */
  limit?: number;
}

/** The tasks that pass `filter`, sorted by name unless it says otherwise. Faults `workstream.not_found`. */
export async function listTasks(db: Reader, filter: TaskFilter = {}): Promise<Task[]> {
  let query = selectTasks(db);
  if (filter.workstream !== undefined) {
    const { workstreamRow } = await import("../workstreams/workstream.js");
    query = query.where("t.workstream_id", "=", (await workstreamRow(db, filter.workstream)).id);
  }
  if (filter.status?.length) query = query.where("t.status", "in", filter.status);
  if (filter.role?.length) query = query.where("t.role", "in", filter.role);
  if (filter.kind?.length) query = query.where("t.kind", "in", filter.kind);
  if (filter.owner?.length) query = query.where("o.name", "in", filter.owner);
  for (const tag of filter.tag ?? []) query = query.where(sql<boolean>`t.tags like ${jsonPattern(tag)} escape '\\'`);
  if (filter.text !== undefined) query = query.where(matches(filter.text));
  for (const order of ORDERS[filter.sort ?? "name"]) query = query.orderBy(order);
  if (filter.limit) query = query.limit(filter.limit);
  return (await query.execute()).map(toTask);
}

const ORDERS: Record<TaskSort, ReturnType<typeof sql>[]> = {
  name: [sql`t.name`, sql`w.name`],
  roi: [sql`t.impact / t.effort_days desc`, sql`t.name`],
  ready: [...readyOrder],
  priority: [sql`t.priority`, sql`t.name`],
  recency: [sql`t.updated_at desc`, sql`t.name`],
  age: [sql`t.created_at`, sql`t.name`],
  status: [sql`t.status`, sql`t.name`],
};

const escaped = (text: string) => text.replace(/[\\%_]/g, "\\$&");
const jsonPattern = (tag: string) => `%${escaped(JSON.stringify(tag))}%`;

function matches(text: string) {
  const pattern = sql`lower(${`%${escaped(text)}%`}) escape '\\'`;
  return sql<boolean>`(lower(t.name) like ${pattern} or lower(t.title) like ${pattern}
    or lower(t.description) like ${pattern} or exists (
      select 1 from task_notes n where n.task_id = t.id and lower(n.text) like ${pattern}))`;
}

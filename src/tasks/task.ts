import { sql } from "kysely";
import { type Claimant, PERSON_CLI } from "../agents/agent.js";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import {
  type StoredTask,
  shapeOfColumn,
  type TaskLevel,
  type TaskShape,
  type TaskStatus,
  taskColumnEntries,
} from "../db/task-columns.js";
import { Fault, type NextStep } from "../errors.js";
import { didYouMean, quote, type TaskRef } from "../names.js";
import type { TypeOf } from "../shape.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { isUnder } from "./edge.js";

export { TASK_LEVELS, TASK_STATUSES, type TaskLevel, type TaskStatus } from "../db/task-columns.js";

/** Statuses in which work is still to be done. */
export const LIVE_STATUSES: readonly TaskStatus[] = ["OPEN", "IN_PROGRESS"];

/** Kinds that hold other tasks and are never claimed themselves. */
export const CONTAINER_KINDS: readonly string[] = ["container", "job", "step", "intake"];

/** A task as everyone outside the database sees it: names, never row ids. Its level is null while it is not CLOSED. */
export const TASK = {
  ...Object.fromEntries(
    taskColumnEntries().flatMap(([, column]) =>
      column.key === undefined ? [] : [[column.key, shapeOfColumn(column)]],
    ),
  ),
  /** impact / effortDays. */
  roi: "number",
} as unknown as TaskShape & { roi: "number" };

export type Task = TypeOf<typeof TASK>;

const COLUMNS = ["t.id", ...taskColumnEntries().map(([name]) => `t.${name}`)] as (`t.${keyof StoredTask}` | "t.id")[];

function joined(db: Reader) {
  return db
    .selectFrom("tasks as t")
    .innerJoin("workstreams as w", "w.id", "t.workstream_id")
    .leftJoin("agents as o", "o.id", "t.owner_id")
    .leftJoin("tasks as r", "r.id", "t.root_id");
}

/** Tasks with the names that their ids stand for; the start of every task query. */
export function selectTasks(db: Reader) {
  return joined(db).select([...COLUMNS, "w.name as workstream", "o.name as owner", "r.name as root"]);
}

/** A row of `selectTasks`. */
export type TaskRow = Awaited<ReturnType<ReturnType<typeof selectTasks>["executeTakeFirstOrThrow"]>>;

/** Where each field of a task comes from in a row of `selectTasks`. */
const SOURCES = taskColumnEntries().flatMap(([name, { key, kind }]) => {
  const from = kind === "id" ? name.replace(/_id$/, "") : name;
  return key === undefined ? [] : [{ key, name, from: from as keyof TaskRow, kind }];
});
const LISTS = SOURCES.filter(({ kind }) => kind === "labels" || kind === "texts").map(({ key }) => key);
const VALUES = SOURCES.filter(({ kind }) => kind === "json").map(({ key }) => key);

/** The public shape of a row. */
export function toTask(row: TaskRow): Task {
  const fields: Record<string, unknown> = {};
  for (const { key, from } of SOURCES) fields[key] = row[from];
  return fromStored(fields);
}

/** Fields as a query of them gives them, made into a task in place: a list of thousands has no time for a copy. */
function fromStored(fields: Record<string, unknown>): Task {
  for (const key of LISTS) fields[key] = fields[key] === null ? [] : JSON.parse(String(fields[key]));
  for (const key of VALUES) if (fields[key] !== null) fields[key] = JSON.parse(String(fields[key]));
  const task = fields as unknown as Task;
  task.level = levelOf(task);
  task.roi = Math.round((task.impact / task.effortDays) * 100) / 100;
  return task;
}

const NAME_OF: Readonly<Record<string, string>> = { workstream_id: "w.name", owner_id: "o.name", root_id: "r.name" };

/** Tasks whose columns have the names of their fields. */
function selectFields(db: Reader) {
  const fields = SOURCES.map(({ name, key }) => `${NAME_OF[name] ?? `t.${name}`} as ${key}`);
  return joined(db).select(fields as unknown as "t.id"[]);
}

/** How well it is proved that the task is done; null while it is not CLOSED. */
export function levelOf({ status, level }: { status: string; level: string | null }): TaskLevel | null {
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

/** The next step that shows a task. */
export function lookAt({ workstream, name }: TaskRef): NextStep {
  return { intent: "Look at it", command: `mu task show ${name} -w ${workstream}` };
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
  workstream?: string | undefined;
  status?: readonly TaskStatus[] | undefined;
  role?: readonly string[] | undefined;
  kind?: readonly string[] | undefined;
  tag?: readonly string[] | undefined;
  /** Only this task, and what it waits for or holds. */
  under?: TaskRef | undefined;
  ownedBy?: Claimant | undefined;
  owner?: readonly string[] | undefined;
  sort?: TaskSort | undefined;
  /** At most this many; 0 or absent means all. */
  limit?: number | undefined;
}

/** The tasks that pass `filter`, sorted by name unless it says otherwise. Faults `workstream.not_found`. */
export async function listTasks(db: Reader, filter: TaskFilter = {}): Promise<Task[]> {
  let query = selectFields(db);
  if (filter.workstream !== undefined) {
    query = query.where("t.workstream_id", "=", (await workstreamRow(db, filter.workstream)).id);
  }
  if (filter.status?.length) query = query.where("t.status", "in", filter.status);
  if (filter.role?.length) query = query.where("t.role", "in", filter.role);
  if (filter.kind?.length) query = query.where("t.kind", "in", filter.kind);
  if (filter.ownedBy !== undefined) query = query.where(isOwnedBy(filter.ownedBy));
  if (filter.owner?.length) query = query.where("o.name", "in", filter.owner);
  if (filter.under !== undefined) query = query.where(isUnder((await taskRow(db, filter.under)).id));
  for (const tag of filter.tag ?? [])
    query = query.where(sql<boolean>`replace(t.tags, ${JSON.stringify(tag)}, '') <> t.tags`);
  for (const order of ORDERS[filter.sort ?? "name"]) query = query.orderBy(order);
  if (filter.limit) query = query.limit(filter.limit);
  return (await query.execute()).map(fromStored);
}

/** An agent by its incarnation, if that is known: namesakes are others. A person has a row in each workstream. */
function isOwnedBy(who: Claimant) {
  if ("person" in who) return sql<boolean>`o.name = ${who.person} and o.cli = ${PERSON_CLI}`;
  return who.incarnation === undefined ? sql<boolean>`o.name = ${who.agent}` : sql<boolean>`o.id = ${who.incarnation}`;
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

import { type RawBuilder, type SqlBool, sql } from "kysely";
import { ASSIGNMENT, agentRows, assignmentOf, currentTasks, ORPHAN, toAgent } from "./agents/agent.js";
import type { Reader } from "./db/schema.js";
import { rowsByIds, statement } from "./db/statement.js";
import { groupBy } from "./groups.js";
import { describeEvent } from "./journal/sentences.js";
import type { TaskRef } from "./names.js";
import { type Shape, shape, type TypeOf } from "./shape.js";
import { awaitedName, isBlocked, isUnder, unsatisfied } from "./tasks/edge.js";
import { READY_TASK, type ReadyTask, selectReadyIds } from "./tasks/ready.js";
import { CONTAINER_KINDS, selectTasks, TASK, type Task, type TaskRow, taskRow, toTask } from "./tasks/task.js";
import { idsUnder } from "./tasks/tree.js";
import { readTracks, TRACK } from "./tracks.js";
import { COLLISION, readRadar, SEEN_WORKSPACE } from "./workspaces/radar/radar.js";
import { workstreamRow } from "./workstreams/workstream.js";

/** The first few of a list, and how long the list is. */
const excerptOf = <const S extends Shape>(item: S) => shape({ items: [item], total: "number" });

export type Excerpt<T> = { items: T[]; total: number };

/** An agent at work; people are not among them. */
export const STATE_AGENT = shape({
  name: "string",
  cli: "string",
  role: "string | null",
  /** Null while nothing is known of its pane. */
  status: "string | null",
  /** Since when it has that status. */
  statusSince: "string | null",
  ...ASSIGNMENT,
});

/** An event without its row images. */
export const STATE_EVENT = shape({
  /** Its number in the workstream's chain. */
  n: "number",
  at: "string",
  actor: "string",
  op: "string",
  subject: "string",
  payload: "unknown",
  /** One sentence for a person. */
  text: "string",
  group: "string",
});

export type StateEvent = TypeOf<typeof STATE_EVENT>;

/** A workstream at one moment. */
export const STATE = shape({
  workstream: "string",
  /** The task that all tasks of this card are part of, if it is about one goal. */
  under: "string | null",
  /** Every task in exactly one of them. */
  counts: {
    ...{ total: "number", ready: "number", inProgress: "number", blocked: "number", held: "number" },
    /** OPEN, but not before a later moment. */
    notDue: "number",
    /** OPEN, and there to hold other tasks. */
    containers: "number",
    ...{ closed: "number", rejected: "number", deferred: "number" },
  },
  /** Roles of ready tasks that no agent has, while no dispatcher runs. */
  missingRoles: [{ role: "string", ready: "number" }],
  agents: [STATE_AGENT],
  /** Panes of its session with an agent CLI that nobody adopted, where the panes were looked at. */
  orphans: [ORPHAN],
  /** By first goal; `withReady` is how many have ready tasks. */
  tracks: { ...excerptOf(TRACK), withReady: "number" },
  /** In ready order. */
  ready: excerptOf(READY_TASK),
  /** By name. */
  inProgress: excerptOf(TASK),
  /** Blocked OPEN tasks by name, each with its unsatisfied blockers, as `build` or `build@landed`. */
  blocked: excerptOf({ ...TASK, blockedBy: "string[]" }),
  /** CLOSED tasks, newest first. */
  recentlyClosed: excerptOf(TASK),
  /** CLOSED tasks whose landing waits for the user's checkout, by name, and for what. */
  waitingToLand: [{ task: "string", reason: "string" }],
  /** Open workspaces, by agent, as the radar last saw them. */
  workspaces: [SEEN_WORKSPACE],
  /** What the radar last saw, and when; null if it never ran. */
  collisions: { ...excerptOf(COLLISION), seenAt: "string | null" },
  /** The newest ones, oldest first. */
  events: [STATE_EVENT],
});

export type State = TypeOf<typeof STATE>;

export interface StateOptions {
  /** Items per list; 0 means all. Default 20. */
  limit?: number;
  /** Events. Default 20. */
  events?: number;
  /** Only this task, and what it waits for or holds. */
  under?: TaskRef | undefined;
  /** As found by who looked at the panes. */
  orphans?: State["orphans"];
  /** The present moment, as an `…_at` timestamp. */
  now: string;
}

/**
 * A workstream at one moment, in a fixed number of queries. Run it inside one `store.read`, so
 * that its parts agree. Faults `workstream.not_found`, `task.not_found`.
 */
export async function readState(db: Reader, workstream: string, options: StateOptions): Promise<State> {
  const { id } = await workstreamRow(db, workstream);
  const { limit = 20, under, now } = options;
  const among = await idsUnder(db, under);
  const within = await tasksWithin(db, id, under);
  const ready = (await selectReadyIds(db, { workstreamId: id, now })).filter((task) => among?.has(task.id) ?? true);
  const tracks = await readTracks(db, id, ready, among);
  const { counts, readyByRole } = await countTasks(db, within, now);
  const { workspaces, collisions, seenAt } = await readRadar(db, id);
  const agents = await agentsAtWork(db, workstream);
  const list = async (spec: ListSpec, total: number) => ({ items: await listed(db, within, spec, limit), total });
  const blocked = await list(BLOCKED, counts.blocked);
  return {
    workstream,
    under: under?.name ?? null,
    counts,
    missingRoles: await missingRoles(db, id, readyByRole, agents),
    agents,
    orphans: options.orphans ?? [],
    tracks: { ...excerpt(tracks, limit), withReady: tracks.filter((track) => track.ready.length > 0).length },
    ready: { items: await readyTasks(db, excerpt(ready, limit).items), total: ready.length },
    inProgress: shown(await list(IN_PROGRESS, counts.inProgress)),
    blocked: { items: await withBlockers(db, blocked.items), total: blocked.total },
    recentlyClosed: shown(await list(CLOSED, counts.closed)),
    waitingToLand: await waitingToLand(db, id, within),
    workspaces,
    collisions: { ...excerpt(collisions, limit), seenAt },
    events: await newestEvents(db, workstream, options.events ?? 20),
  };
}

/** True for the tasks `t` that the state is about. */
async function tasksWithin(db: Reader, workstreamId: number, under: TaskRef | undefined): Promise<RawBuilder<SqlBool>> {
  if (under === undefined) return sql<SqlBool>`t.workstream_id = ${workstreamId}`;
  return isUnder((await taskRow(db, under)).id);
}

/** True for a task `t` that holds others and does not itself wait for a person. */
const holdsOthers = sql<SqlBool>`(t.kind in (${sql.join(CONTAINER_KINDS.map((kind) => sql.lit(kind)))}) and t.hold is null)`;

/** Where a task `t` counts. */
const placeOf = (now: string) => sql<Exclude<keyof State["counts"], "total">>`case
  when t.status = 'IN_PROGRESS' then 'inProgress'
  when t.status <> 'OPEN' then lower(t.status)
  when ${holdsOthers} then 'containers'
  when ${isBlocked} then 'blocked'
  when t.hold is not null then 'held'
  when t.not_before > ${now} then 'notDue'
  else 'ready' end`;

async function countTasks(db: Reader, within: RawBuilder<SqlBool>, now: string) {
  const rows = await db
    .selectFrom("tasks as t")
    .select((e) => [placeOf(now).as("place"), "t.role", e.fn.countAll().as("tasks")])
    .where(within)
    .groupBy(["place", "t.role"])
    .orderBy("t.role")
    .execute();
  const counts = { total: 0, ready: 0, inProgress: 0, blocked: 0, held: 0, notDue: 0, containers: 0 };
  const all: State["counts"] = { ...counts, closed: 0, rejected: 0, deferred: 0 };
  for (const { place, tasks } of rows) {
    all[place] += Number(tasks);
    all.total += Number(tasks);
  }
  const readyByRole = rows.flatMap(({ place, role, tasks }) =>
    place === "ready" && role !== null ? [{ role, ready: Number(tasks) }] : [],
  );
  return { counts: all, readyByRole };
}

async function missingRoles(
  db: Reader,
  workstreamId: number,
  readyByRole: State["missingRoles"],
  agents: State["agents"],
): Promise<State["missingRoles"]> {
  const there = new Set(agents.map(({ role }) => role));
  const missing = readyByRole.filter(({ role }) => !there.has(role));
  if (missing.length === 0) return [];
  const dispatchers = db.selectFrom("dispatchers").select("id").where("workstream_id", "=", workstreamId);
  return (await dispatchers.executeTakeFirst()) === undefined ? missing : [];
}

function excerpt<T>(list: readonly T[], limit: number): Excerpt<T> {
  return { items: limit === 0 ? [...list] : list.slice(0, limit), total: list.length };
}

/** Which tasks `t` a list holds, and their order. */
interface ListSpec {
  holds: RawBuilder<SqlBool>;
  order: readonly RawBuilder<unknown>[];
}

const IN_PROGRESS: ListSpec = { holds: sql`t.status = 'IN_PROGRESS'`, order: [sql`t.name`] };
const BLOCKED: ListSpec = {
  holds: sql`(t.status = 'OPEN' and ${isBlocked} and not ${holdsOthers})`,
  order: [sql`t.name`],
};
const CLOSED: ListSpec = { holds: sql`t.status = 'CLOSED'`, order: [sql`t.closed_at desc`, sql`t.name`] };

async function listed(db: Reader, within: RawBuilder<SqlBool>, spec: ListSpec, limit: number): Promise<TaskRow[]> {
  let rows = selectTasks(db).where(within).where(spec.holds);
  for (const order of spec.order) rows = rows.orderBy(order);
  return (limit > 0 ? rows.limit(limit) : rows).execute();
}

function shown({ items, total }: Excerpt<TaskRow>): Excerpt<Task> {
  return { items: items.map(toTask), total };
}

async function readyTasks(db: Reader, ready: readonly { id: number; unblocks: number }[]): Promise<ReadyTask[]> {
  const rows = await rowsByIds(
    ready.map((task) => task.id),
    (ids) => selectTasks(db).where("t.id", "in", ids).execute(),
  );
  const tasks = new Map(rows.map((row) => [row.id, toTask(row)]));
  return ready.flatMap(({ id, unblocks }) => {
    const task = tasks.get(id);
    return task === undefined ? [] : [{ ...task, unblocks: Number(unblocks) }];
  });
}

async function withBlockers(db: Reader, rows: readonly TaskRow[]): Promise<(Task & { blockedBy: string[] })[]> {
  const edges = await rowsByIds(
    rows.map((row) => row.id),
    (ids) =>
      db
        .selectFrom("task_edges as e")
        .innerJoin("tasks as b", "b.id", "e.blocker_id")
        .select(["e.blocked_id", "b.name", "e.until"])
        .where("e.blocked_id", "in", ids)
        .where(unsatisfied)
        .execute(),
  );
  const blockers = groupBy(edges, (edge) => edge.blocked_id);
  return rows.map((row) => ({ ...toTask(row), blockedBy: (blockers.get(row.id) ?? []).map(awaitedName).sort() }));
}

/** Begins the reason of a landing that waits for the user's checkout. */
export const WAITS = "waits: ";

async function waitingToLand(
  db: Reader,
  workstreamId: number,
  within: RawBuilder<SqlBool>,
): Promise<State["waitingToLand"]> {
  const rows = await db
    .selectFrom("landings as l")
    .innerJoin("tasks as t", "t.id", "l.task_id")
    .select(["t.name as task", "l.reason"])
    .where("l.workstream_id", "=", workstreamId)
    .where(within)
    .where("l.state", "=", "dropped")
    .where("l.reason", "like", `${WAITS}%`)
    .where("t.status", "=", "CLOSED")
    .where(sql<SqlBool>`(t.level is null or t.level <> 'landed')`)
    .where(sql<SqlBool>`not exists (select 1 from landings n where n.task_id = l.task_id and n.id > l.id)`)
    .orderBy("t.name")
    .execute();
  return rows.map(({ task, reason }) => ({ task, reason: String(reason).slice(WAITS.length) }));
}

async function agentsAtWork(db: Reader, workstream: string): Promise<State["agents"]> {
  const rows = await agentRows(db, workstream);
  const tasks = rows.length > 0 ? await currentTasks(db) : new Map();
  return rows.map((row) => {
    const { name, cli, role, status, statusSince } = toAgent(row);
    return { name, cli, role, status, statusSince, ...assignmentOf({ id: row.id, status }, tasks) };
  });
}

const selectEvents = statement((db, { scope, limit }: { scope: string; limit: number }) =>
  db
    .selectFrom("events")
    .select(["n", "at", "actor", "op", "subject", "payload", "changes", "group_id as group"])
    .where("scope", "=", scope)
    .orderBy("n", "desc")
    .limit(limit),
);

async function newestEvents(db: Reader, scope: string, limit: number): Promise<StateEvent[]> {
  const rows = await selectEvents(db, { scope, limit });
  return rows.reverse().map(({ changes, ...row }) => {
    const event = { ...row, payload: JSON.parse(row.payload) };
    return { ...event, text: describeEvent({ ...event, changes: JSON.parse(changes) }) };
  });
}

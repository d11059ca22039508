import { sql } from "kysely";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import type { TaskRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { isBlocked, isUnder } from "./edge.js";
import { CONTAINER_KINDS, readyOrder, selectTasks, TASK, type TaskRow, toTask, unblocks } from "./task.js";
import { idsUnder } from "./tree.js";

/** A task that can be taken now. */
export const READY_TASK = shape({
  ...TASK,
  /** How many live tasks it blocks directly. */
  unblocks: "number",
});

export type ReadyTask = TypeOf<typeof READY_TASK>;

/** True for a task `t` that can be claimed at `now`. */
export const isReady = (now: string) => sql<boolean>`(t.status = 'OPEN' and t.hold is null
  and (t.not_before is null or t.not_before <= ${now})
  and t.kind not in (${sql.join(CONTAINER_KINDS.map((kind) => sql.lit(kind)))})
  and not ${isBlocked})`;

export interface ReadyFilter {
  /** Only tasks for this role or for none; null: only those for none. */
  role?: string | null | undefined;
  /** Only this task, and what it waits for or holds. */
  under?: TaskRef | undefined;
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
 * The order is decided on ids alone, and only the requested rows are fetched whole. Counting what a task
 * unblocks is the expensive part, so it is done only for those that can still be among the first `limit`.
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

/**
 * The tasks that can be taken now, best first, of one workstream or of all. Faults `workstream.not_found`,
 * `task.not_found`.
 */
export async function listReady(db: Reader, workstream: string | undefined, filter: ReadyFilter): Promise<ReadyTask[]> {
  const among = await idsUnder(db, filter.under);
  const all = await readyTaskRows(db, workstream, { ...filter, ...(among && { limit: 0 }) });
  if (all.length === 0 && workstream !== undefined) await workstreamRow(db, workstream);
  const rows = among === undefined ? all : all.filter(({ id }) => among.has(id)).slice(0, filter.limit || all.length);
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
export async function countWork(db: Reader, workstreamId: number, now: string, root?: number): Promise<WorkCounts> {
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
    .$if(root !== undefined, (query) => query.where(isUnder(root ?? 0)))
    .executeTakeFirstOrThrow();
  return Object.fromEntries(Object.entries(row).map(([name, count]) => [name, Number(count)])) as unknown as WorkCounts;
}

/** A task that was first but was not claimed: another agent is changing what it touches. */
export const PASSED_OVER = shape({
  task: "string",
  /** Who is changing it. */
  agent: "string",
  /** The task in which that agent declares it; null if its workspace shows it. */
  by: "string | null",
  /** The changed files, at most ten; or the declared globs. */
  paths: "string[]",
});

export type PassedOver = TypeOf<typeof PASSED_OVER>;

/** A row that can be taken. */
type Candidate = Pick<TaskRow, "name" | "touches" | "priority" | "impact" | "effort_days">;

/** How many candidates are compared if the first one is contested. */
export const MOST_CANDIDATES = 50;
/** How many paths are reported for each. */
const SHOWN_PATHS = 10;

/**
 * Chooses between tasks that are as good as each other, the first being `first`: the first of them whose declared files
 * no other agent is changing, or `first` if there is none. Another is as good if it has the same priority
 * and the same impact by effort. Costs nothing if `first` declares nothing, and two queries if no one
 * is in its way. `others` gives the ready rows in their order, `first` among them; `globs` comes from `loadGlobs`.
 */
export async function chooseUncontested<Row extends Candidate>(
  db: Reader,
  taker: { workstreamId: number; agent: string },
  first: Row,
  { globs, others }: { globs: Globs | undefined; others: () => Promise<readonly Row[]> },
): Promise<{ row: Row; passedOver: PassedOver[] }> {
  const unchanged = { row: first, passedOver: [] };
  if (first.touches === null || globs === undefined) return unchanged;
  const elsewhere = await readElsewhere(db, taker);
  if (elsewhere.changes.length + elsewhere.claims.length === 0) return unchanged;
  const why = (row: Row) => inTheWay(globs, row, elsewhere);
  const reason = why(first);
  if (reason === undefined) return unchanged;
  const passedOver = [reason];
  for (const row of await others()) {
    if (row.name === first.name || !isAsGood(row, first)) continue;
    const against = why(row);
    if (against === undefined) return { row, passedOver };
    passedOver.push(against);
  }
  return unchanged;
}

const selectDeclared = statement((db, { workstream }: { workstream: string }) =>
  db
    .selectFrom("tasks as t")
    .innerJoin("workstreams as w", "w.id", "t.workstream_id")
    .select("t.id")
    .where("w.name", "=", workstream)
    .where("t.status", "=", "OPEN")
    .where("t.touches", "is not", null)
    .limit(1),
);

/** The glob matcher, to be loaded before a write that may need it; undefined if no task declares globs. */
export async function loadGlobs(db: Reader, workstream: string): Promise<Globs | undefined> {
  const [declared] = await selectDeclared(db, { workstream });
  return declared && import("./touches.js");
}

const isAsGood = (a: Candidate, b: Candidate) =>
  a.priority === b.priority && a.impact / a.effort_days === b.impact / b.effort_days;

const selectChanges = statement((db, { workstreamId, agent }: { workstreamId: number; agent: string }) =>
  db
    .selectFrom("workspace_changes as c")
    .innerJoin("workspaces as s", "s.id", "c.workspace_id")
    .select(["s.agent", "c.paths"])
    .where("s.workstream_id", "=", workstreamId)
    .where("s.agent", "<>", agent)
    .where("s.freed_at", "is", null)
    .where("c.paths", "<>", "[]")
    .orderBy("s.agent"),
);

const selectClaims = statement((db, { workstreamId, agent }: { workstreamId: number; agent: string }) =>
  db
    .selectFrom("tasks as t")
    .innerJoin("agents as o", "o.id", "t.owner_id")
    .select(["o.name as agent", "t.name as task", "t.touches"])
    .where("t.workstream_id", "=", workstreamId)
    .where("t.status", "=", "IN_PROGRESS")
    .where("t.touches", "is not", null)
    .where("o.name", "<>", agent)
    .orderBy("t.name"),
);

/** What other agents are changing and have claimed. */
async function readElsewhere(db: Reader, taker: { workstreamId: number; agent: string }) {
  const parsed = (list: string | null): string[] => JSON.parse(list ?? "[]");
  const changes = await selectChanges(db, taker);
  const claims = await selectClaims(db, taker);
  return {
    changes: changes.map(({ agent, paths }) => ({ agent, paths: parsed(paths) })),
    claims: claims.map(({ agent, task, touches }) => ({ agent, task, touches: parsed(touches) })),
  };
}

export type Globs = typeof import("./touches.js");

function inTheWay(
  globs: Globs,
  row: Candidate,
  { changes, claims }: Awaited<ReturnType<typeof readElsewhere>>,
): PassedOver | undefined {
  if (row.touches === null) return undefined;
  const touches: string[] = JSON.parse(row.touches);
  const covers = globs.coveredBy(touches);
  for (const { agent, paths } of changes) {
    const met = paths.filter(covers);
    if (met.length > 0) return { task: row.name, agent, by: null, paths: met.slice(0, SHOWN_PATHS) };
  }
  const claim = claims.find((one) => globs.mayOverlap(touches, one.touches));
  if (claim === undefined) return undefined;
  return { task: row.name, agent: claim.agent, by: claim.task, paths: claim.touches.slice(0, SHOWN_PATHS) };
}

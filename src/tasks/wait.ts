import { AGENT_STATUSES, type AgentStatus, selectAgents, toAgent } from "../agents/agent.js";
import { pollUntil } from "../clock.js";
import { type Context, timestamp, wakingClock } from "../db/context.js";
import { type Change, findHead } from "../db/events.js";
import type { Reader } from "../db/schema.js";
import { qualifiedName, type TaskRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { type EdgeLevel, isSatisfied } from "./edge.js";
import { levelOf, selectTasks, TASK_LEVELS, TASK_STATUSES, type TaskRow, type TaskStatus, taskRow } from "./task.js";

/** Interval between looks if no change wakes the wait, in ms. */
const LOOK_MS = 1_000;

export interface WaitOptions {
  /** CLOSED unless it is given. */
  status?: TaskStatus | undefined;
  /** How far a CLOSED task must be proved; `closed` unless the reference says otherwise. */
  level?: EdgeLevel | undefined;
  /** Wait for all tasks, or for one of them; `first` is `any` for callers that want to know which. */
  mode?: "all" | "any" | "first" | undefined;
  /** An IN_PROGRESS task is stuck if its owner is idle, waits for input or is gone for this long; 0 or absent: none ever is. */
  stuckAfterMs?: number | undefined;
  /** `exit` ends the wait at the first stuck task. */
  onStall?: "warn" | "exit" | undefined;
  /** 0 or absent waits forever. */
  timeoutMs?: number | undefined;
  /** Ends the wait as `interrupted`. */
  signal?: AbortSignal | undefined;
  /** Runs before every look, for example a reconcile. */
  beforeLook?: (() => Promise<unknown>) | undefined;
  /** Called once per task, when it is first seen stuck. */
  onStuck?: ((task: WaitedTask) => void) | undefined;
}

/** A watched task as the last look saw it. */
export const WAITED_TASK = shape({
  workstream: "string",
  name: "string",
  /** `workstream/name`. */
  qualifiedName: "string",
  status: TASK_STATUSES,
  level: [TASK_LEVELS, null],
  owner: "string | null",
  /** It has the status, and the level, that the wait is for. */
  reached: "boolean",
  /** What its owner was last seen doing; null for a person. */
  ownerStatus: [AGENT_STATUSES, null],
  /** It is IN_PROGRESS, has not reached the goal, and its owner has not worked on it for too long. */
  stuck: "boolean",
});

export type WaitedTask = TypeOf<typeof WAITED_TASK>;

export const WAIT_RESULT = shape({
  outcome: ["reached", "timeout", "interrupted", "reaped", "stalled", "rejected", "deferred", "deleted"],
  /** The task that ended the wait; null if all tasks, the timeout or an interruption did. */
  firing: [WAITED_TASK, null],
  /** Every watched task, in the order of the references. */
  all: [WAITED_TASK],
  /** After a timeout or an interruption, the tasks that did not reach the goal. */
  timedOut: [WAITED_TASK],
  elapsedMs: "number",
});

export type WaitResult = TypeOf<typeof WAIT_RESULT>;

/**
 * Waits until tasks, of any workstreams, have a status. Ends early as `reaped` when the wait is for CLOSED and a
 * watched task went back to OPEN because its owner died; as `rejected`, `deferred` or `deleted` when the goal cannot be
 * reached because that happened to a task. Faults `task.not_found`, `workstream.not_found`.
 */
export async function waitForTasks(
  context: Context,
  refs: readonly WaitRef[],
  options: WaitOptions = {},
): Promise<WaitResult> {
  const start = context.clock.now().getTime();
  const watch = await beginWait(context.store.db, refs);
  const clock = wakingClock(context);
  const reported = new Set<string>();
  let last: Look = { firing: null, all: [] };
  const look = async () => {
    await options.beforeLook?.();
    last = await waitOnce(context.store.db, watch, options, timestamp(context.clock));
    reportStuck(last.all, reported, options);
    return last.outcome;
  };
  const every = { everyMs: LOOK_MS, timeoutMs: options.timeoutMs || Number.POSITIVE_INFINITY };
  try {
    const outcome = await pollUntil(clock, look, { ...every, signal: options.signal });
    return {
      outcome: outcome ?? (options.signal?.aborted ? "interrupted" : "timeout"),
      firing: last.firing,
      all: last.all,
      timedOut: outcome === undefined ? last.all.filter((task) => !task.reached) : [],
      elapsedMs: context.clock.now().getTime() - start,
    };
  } finally {
    clock.end();
  }
}

function reportStuck(all: readonly WaitedTask[], reported: Set<string>, { onStuck }: WaitOptions): void {
  for (const task of all) {
    if (!task.stuck || reported.has(task.qualifiedName)) continue;
    reported.add(task.qualifiedName);
    onStuck?.(task);
  }
}

/** Operations that take tasks from owners that died. */
const REAPING_OPS: readonly string[] = ["agent.reap", "reconcile"];

/** The result of one look; without an outcome the wait continues. */
type Look = Pick<WaitResult, "firing" | "all"> & {
  outcome?: Exclude<WaitResult["outcome"], "timeout" | "interrupted">;
};

/** A task to wait for; `until` is for this one what `level` of the goal is for all. */
type WaitRef = TaskRef & { until?: EdgeLevel | undefined };

/** The tasks that a wait watches, and how far it has read the events of their workstreams. */
interface Watch {
  tasks: { ref: WaitRef; row: TaskRow; deleted: boolean }[];
  cursors: Map<string, number>;
}

/** Begins to watch; only later reaps count. Faults `task.not_found`, `workstream.not_found`. */
async function beginWait(db: Reader, refs: readonly WaitRef[]): Promise<Watch> {
  const tasks = new Map<number, Watch["tasks"][number]>();
  const cursors = new Map<string, number>();
  for (const ref of refs) {
    const row = await taskRow(db, ref);
    tasks.set(row.id, { ref, row, deleted: false });
    if (!cursors.has(ref.workstream)) cursors.set(ref.workstream, (await findHead(db, ref.workstream))?.n ?? 0);
  }
  return { tasks: [...tasks.values()], cursors };
}

/** Looks once at the watched tasks at the moment `now`. */
async function waitOnce(db: Reader, watch: Watch, goal: WaitOptions, now: string): Promise<Look> {
  const rows = await watchedRows(db, watch);
  const owners = await ownersOf(db, rows);
  // After the rows: a task that is seen as OPEN because of a reap has that reap's event by now.
  const reaped = await newlyReaped(db, watch);
  const all = rows.map((row, at) =>
    toWaited(row, { ...goal, level: watch.tasks[at]?.ref.until ?? goal.level }, owners, now),
  );
  const firingOf = (is: (task: WaitedTask, row: TaskRow) => boolean) =>
    all.find((task, at) => is(task, rows[at] as TaskRow)) ?? null;

  const { mode = "all" } = goal;
  const done = mode === "all" ? all.every((task) => task.reached) : all.some((task) => task.reached);
  if (done) return { outcome: "reached", firing: mode === "all" ? null : earliest(all, rows), all };
  const ends = all.map((task, at) => (task.reached ? undefined : deadEnd(task, watch.tasks[at]?.deleted, goal)));
  const end = mode === "all" || ends.every(Boolean) ? ends.findIndex(Boolean) : -1;
  if (ends[end] !== undefined) return { outcome: ends[end], firing: all[end] ?? null, all };
  const orphan = (goal.status ?? "CLOSED") === "CLOSED" && firingOf((task, row) => !task.reached && reaped.has(row.id));
  if (orphan) return { outcome: "reaped", firing: orphan, all };
  const stalled = goal.onStall === "exit" && firingOf((task) => task.stuck);
  if (stalled) return { outcome: "stalled", firing: stalled, all };
  return { firing: null, all };
}

/** The rows of the watched tasks; of a deleted one the last that was seen. */
async function watchedRows(db: Reader, { tasks }: Watch): Promise<TaskRow[]> {
  const ids = tasks.map((task) => task.row.id);
  const rows = ids.length === 0 ? [] : await selectTasks(db).where("t.id", "in", ids).execute();
  const byId = new Map(rows.map((row) => [row.id, row]));
  for (const task of tasks) {
    task.deleted = !byId.has(task.row.id);
    task.row = byId.get(task.row.id) ?? task.row;
  }
  return tasks.map((task) => task.row);
}

/** Why the task can no longer become what the wait is for, as long as nobody reopens it. */
function deadEnd({ status }: WaitedTask, deleted: boolean | undefined, goal: WaitOptions) {
  if (deleted) return "deleted";
  if ((goal.status ?? "CLOSED") !== "CLOSED") return undefined;
  return ({ REJECTED: "rejected", DEFERRED: "deferred" } as const)[status as string];
}

/** What the owner of a task was last seen doing, and since when. */
interface Owner {
  status: AgentStatus | null;
  since: string | null;
}

async function ownersOf(db: Reader, rows: readonly TaskRow[]): Promise<Map<number | null, Owner>> {
  const ids = rows.flatMap(({ owner_id }) => owner_id ?? []);
  if (ids.length === 0) return new Map();
  const found = await selectAgents(db).where("a.id", "in", ids).execute();
  return new Map(
    found.map((row) => {
      const { status, statusSince, closedAt } = toAgent(row);
      return [row.id, closedAt === null ? { status, since: statusSince } : { status: "terminated", since: closedAt }];
    }),
  );
}

/** Row ids of tasks that were released since the last look because their owner died. */
async function newlyReaped(db: Reader, { cursors }: Watch): Promise<Set<number>> {
  const ids = new Set<number>();
  for (const [scope, cursor] of cursors) {
    const head = (await findHead(db, scope))?.n ?? 0;
    cursors.set(scope, head);
    // A restore can have cut the chain short.
    if (head <= cursor) continue;
    const events = await db
      .selectFrom("events")
      .select("changes")
      .where("scope", "=", scope)
      .where("n", ">", cursor)
      .where("n", "<=", head)
      .where("op", "in", REAPING_OPS)
      .execute();
    for (const event of events) for (const id of givenBack(JSON.parse(event.changes))) ids.add(id);
  }
  return ids;
}

function givenBack(changes: readonly Change[]): number[] {
  return changes
    .filter((change) => change.table === "tasks" && "patch" in change && change.patch.status?.[1] === "OPEN")
    .map((change) => change.id);
}

function toWaited(row: TaskRow, goal: WaitOptions, owners: Map<number | null, Owner>, now: string): WaitedTask {
  const { workstream, name, owner } = row;
  const status = row.status as TaskStatus;
  const wanted = goal.status ?? "CLOSED";
  const reached = wanted === "CLOSED" ? isSatisfied(row, goal.level ?? "closed") : status === wanted;
  const ownerStatus = owners.get(row.owner_id)?.status ?? null;
  const quietMs = Date.parse(now) - quietSince(row, owners.get(row.owner_id));
  const stuck = !reached && status === "IN_PROGRESS" && !!goal.stuckAfterMs && quietMs >= goal.stuckAfterMs;
  const task = { workstream, name, qualifiedName: qualifiedName(row), status, level: levelOf(row), owner };
  return { ...task, reached, ownerStatus, stuck };
}

/** Since when nobody works on the task, in ms: neither it nor its owner's status changed. Of a person only the task is known. */
function quietSince({ updated_at }: TaskRow, owner: Owner | undefined): number {
  if (owner?.status === "busy" || owner?.status === "spawning") return Number.POSITIVE_INFINITY;
  return Math.max(Date.parse(updated_at), Date.parse(owner?.since ?? updated_at));
}

/** The reached task whose last change is the oldest. */
function earliest(all: readonly WaitedTask[], rows: readonly TaskRow[]): WaitedTask | null {
  const when = new Map(all.map((task, at) => [task, rows[at]?.updated_at ?? ""]));
  const reached = all.filter((task) => task.reached);
  return reached.sort((a, b) => ((when.get(a) ?? "") < (when.get(b) ?? "") ? -1 : 1))[0] ?? null;
}

import { type Clock, pollUntil } from "../clock.js";
import { type Context, timestamp } from "../db/context.js";
import { type Change, findHead } from "../db/events.js";
import type { Reader } from "../db/schema.js";
import { qualifiedName, type TaskRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { type EdgeLevel, isSatisfied } from "./edge.js";
import {
  levelOf,
  selectTasks,
  TASK_LEVELS,
  TASK_STATUSES,
  type TaskRow,
  type TaskStatus,
  taskNotFound,
  taskRow,
} from "./task.js";

/** Interval between looks if no change wakes the wait, in ms. */
const LOOK_MS = 1_000;

export interface WaitOptions {
  /** CLOSED unless it is given. */
  status?: TaskStatus | undefined;
  /** How far a CLOSED task must be proved; `closed` unless the reference says otherwise. */
  level?: EdgeLevel | undefined;
  /** Wait for all tasks, or for one of them; `first` is `any` for callers that want to know which. */
  mode?: "all" | "any" | "first" | undefined;
  /** An IN_PROGRESS task without a change for this long is stuck; 0 or absent: none ever is. */
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
  /** It is IN_PROGRESS, has not reached the goal, and has not changed for too long. */
  stuck: "boolean",
});

export type WaitedTask = TypeOf<typeof WAITED_TASK>;

export const WAIT_RESULT = shape({
  outcome: ["reached", "timeout", "interrupted", "reaped", "stalled"],
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
 * watched task went back to OPEN because its owner died. Faults `task.not_found`, also when one is deleted
 * meanwhile, and `workstream.not_found`.
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
    clock.looking();
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

/** The context's clock, whose sleep ends early when the database changes. */
function wakingClock({ clock, store }: Context): Clock & { looking(): void; end(): void } {
  let changed = false;
  let wake = () => {};
  const end = store.watch(() => {
    changed = true;
    wake();
  });
  return {
    now: () => clock.now(),
    /** Changes from now on end the next sleep. */
    looking: () => {
      changed = false;
    },
    sleep: async (ms, signal) => {
      if (changed) return;
      const change = new AbortController();
      wake = () => change.abort();
      await clock.sleep(ms, signal ? AbortSignal.any([signal, change.signal]) : change.signal);
    },
    end,
  };
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
type Look = Pick<WaitResult, "firing" | "all"> & { outcome?: "reached" | "reaped" | "stalled" };

/** A task to wait for; `until` is for this one what `level` of the goal is for all. */
type WaitRef = TaskRef & { until?: EdgeLevel | undefined };

/** The tasks that a wait watches, and how far it has read the events of their workstreams. */
interface Watch {
  tasks: { id: number; ref: WaitRef }[];
  cursors: Map<string, number>;
}

/** Begins to watch; only later reaps count. Faults `task.not_found`, `workstream.not_found`. */
async function beginWait(db: Reader, refs: readonly WaitRef[]): Promise<Watch> {
  const tasks = new Map<number, WaitRef>();
  const cursors = new Map<string, number>();
  for (const ref of refs) {
    tasks.set((await taskRow(db, ref)).id, ref);
    if (!cursors.has(ref.workstream)) cursors.set(ref.workstream, (await findHead(db, ref.workstream))?.n ?? 0);
  }
  return { tasks: [...tasks].map(([id, ref]) => ({ id, ref })), cursors };
}

/** Looks once at the watched tasks at the moment `now`. Faults `task.not_found` when one was deleted. */
async function waitOnce(db: Reader, watch: Watch, goal: WaitOptions, now: string): Promise<Look> {
  const rows = await watchedRows(db, watch);
  // After the rows: a task that is seen as OPEN because of a reap has that reap's event by now.
  const reaped = await newlyReaped(db, watch);
  const all = rows.map((row, at) => toWaited(row, { ...goal, level: watch.tasks[at]?.ref.until ?? goal.level }, now));
  const firingOf = (is: (task: WaitedTask, row: TaskRow) => boolean) =>
    all.find((task, at) => is(task, rows[at] as TaskRow)) ?? null;

  const { mode = "all" } = goal;
  const done = mode === "all" ? all.every((task) => task.reached) : all.some((task) => task.reached);
  if (done) return { outcome: "reached", firing: mode === "all" ? null : earliest(all, rows), all };
  const orphan = (goal.status ?? "CLOSED") === "CLOSED" && firingOf((task, row) => !task.reached && reaped.has(row.id));
  if (orphan) return { outcome: "reaped", firing: orphan, all };
  const stalled = goal.onStall === "exit" && firingOf((task) => task.stuck);
  if (stalled) return { outcome: "stalled", firing: stalled, all };
  return { firing: null, all };
}

async function watchedRows(db: Reader, { tasks }: Watch): Promise<TaskRow[]> {
  const ids = tasks.map((task) => task.id);
  const rows = ids.length === 0 ? [] : await selectTasks(db).where("t.id", "in", ids).execute();
  const byId = new Map(rows.map((row) => [row.id, row]));
  return Promise.all(tasks.map(async ({ id, ref }) => byId.get(id) ?? Promise.reject(await taskNotFound(db, ref))));
}

/** Row ids of tasks that were released since the last look because their owner died. */
async function newlyReaped(db: Reader, { cursors }: Watch): Promise<Set<number>> {
  const ids = new Set<number>();
  for (const [scope, cursor] of cursors) {
    const head = (await findHead(db, scope))?.n ?? 0;
    if (head <= cursor) continue;
    cursors.set(scope, head);
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

function toWaited(row: TaskRow, goal: WaitOptions, now: string): WaitedTask {
  const { workstream, name, owner } = row;
  const status = row.status as TaskStatus;
  const wanted = goal.status ?? "CLOSED";
  const reached = wanted === "CLOSED" ? isSatisfied(row, goal.level ?? "closed") : status === wanted;
  const quietMs = Date.parse(now) - Date.parse(row.updated_at);
  const stuck = !reached && status === "IN_PROGRESS" && !!goal.stuckAfterMs && quietMs >= goal.stuckAfterMs;
  return { workstream, name, qualifiedName: qualifiedName(row), status, level: levelOf(row), owner, reached, stuck };
}

/** The reached task whose last change is the oldest. */
function earliest(all: readonly WaitedTask[], rows: readonly TaskRow[]): WaitedTask | null {
  const when = new Map(all.map((task, at) => [task, rows[at]?.updated_at ?? ""]));
  const reached = all.filter((task) => task.reached);
  return reached.sort((a, b) => ((when.get(a) ?? "") < (when.get(b) ?? "") ? -1 : 1))[0] ?? null;
}

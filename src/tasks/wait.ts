import { type Clock, pollUntil } from "../clock.js";
import { type Context, timestamp } from "../db/context.js";
import { beginWait, type Look, type WaitedTask, type WaitGoal, type WaitRef, waitOnce } from "./wait-once.js";

/** How often a wait looks when nothing tells it of a change, in ms. */
const LOOK_MS = 1_000;

export interface WaitOptions extends WaitGoal {
  /** 0 or absent waits forever. */
  timeoutMs?: number | undefined;
  /** Ends the wait as a timeout does. */
  signal?: AbortSignal | undefined;
  /** Runs before every look, for example a reconcile. */
  beforeLook?: (() => Promise<unknown>) | undefined;
  /** Told of each task once, when it is first seen stuck. */
  onStuck?: ((task: WaitedTask) => void) | undefined;
}

export interface WaitResult {
  outcome: "reached" | "timeout" | "reaped" | "stalled";
  /** The task that ended the wait; null when all did, or the time. */
  firing: WaitedTask | null;
  /** Every watched task, in the order of the references. */
  all: WaitedTask[];
  /** After a timeout, those that did not get there. */
  timedOut: WaitedTask[];
  elapsedMs: number;
}

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
  const wakeful = wakefulClock(context);
  const told = new Set<string>();
  let last: Look = { firing: null, all: [] };
  const look = async () => {
    wakeful.looking();
    await options.beforeLook?.();
    last = await waitOnce(context.store.db, watch, options, timestamp(context.clock));
    tell(last.all, told, options);
    return last.outcome;
  };
  const every = { everyMs: LOOK_MS, timeoutMs: options.timeoutMs || Number.POSITIVE_INFINITY };
  try {
    const outcome = await pollUntil(wakeful, look, { ...every, ...(options.signal && { signal: options.signal }) });
    return {
      outcome: outcome ?? "timeout",
      firing: last.firing,
      all: last.all,
      timedOut: outcome === undefined ? last.all.filter((task) => !task.reached) : [],
      elapsedMs: context.clock.now().getTime() - start,
    };
  } finally {
    wakeful.end();
  }
}

/** The context's clock, whose sleep ends early when the database changes. */
function wakefulClock({ clock, store }: Context): Clock & { looking(): void; end(): void } {
  let changed = false;
  let wake = () => {};
  const end = store.watch(() => {
    changed = true;
    wake();
  });
  return {
    now: () => clock.now(),
    /** What changes from here on is not seen yet. */
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

function tell(all: readonly WaitedTask[], told: Set<string>, { onStuck }: WaitOptions): void {
  for (const task of all) {
    if (!task.stuck || told.has(task.qualifiedName)) continue;
    told.add(task.qualifiedName);
    onStuck?.(task);
  }
}

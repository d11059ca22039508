import type { Crew } from "../../agents/crew.js";
import { pollUntil } from "../../clock.js";
import { wakingClock } from "../../db/context.js";
import type { Scene } from "../../dispatch/facts.js";
import { askToStop, livingDispatcher } from "../../dispatch/lease.js";
import { Fault } from "../../errors.js";
import { duration } from "../../names.js";
import type { TaskRow } from "../../tasks/task.js";
import {
  classify,
  endOf,
  type MonitorEvent,
  type MonitorOutcome,
  OUTCOME_OF,
  type RuntimeStatus,
  readStatus,
} from "./status.js";

export interface DelegateOptions {
  /** Evidence must be newer; UTC ISO 8601. */
  since: string;
  timeoutMs: number;
  /** How often a dispatcher that is gone is started again. */
  maxRestarts: number;
  /** Tells what ends before all of it has ended. */
  notify: boolean;
  /** Leaves the dispatcher that this call started running. */
  keep: boolean;
  signal: AbortSignal;
  /** Starts a dispatcher that outlives this call. */
  startDispatcher(): Promise<void>;
  onProgress(event: MonitorEvent): Promise<void>;
}

export interface Delegated {
  event: MonitorEvent;
  outcome: MonitorOutcome;
  status: RuntimeStatus;
  progress: MonitorEvent[];
}

/** How long a dispatcher may take until it has taken its lease, in ms. */
const START_MS = 30_000;

/**
 * Waits until an intake has come to an end, and starts a dispatcher where none runs; a dispatcher that this call started is
 * ended with it. Faults `intake.timeout`, `request.interrupted`.
 */
export async function delegate(crew: Crew, scene: Scene, root: TaskRow, options: DelegateOptions): Promise<Delegated> {
  const { since, timeoutMs, maxRestarts, notify, keep, signal, startDispatcher, onProgress } = options;
  const { name: workstream } = scene.workstream;
  const clock = wakingClock(crew.context);
  const seen = new Set<string>();
  const progress: MonitorEvent[] = [];
  let isOurs = false;
  let restarts = -1;
  const look = () => readStatus(crew, workstream, { root, since });
  const start = async () => {
    restarts++;
    isOurs = true;
    await startDispatcher();
    const isUp = async () => (await livingDispatcher(crew, scene.workstream)) ?? endOf(await look());
    await pollUntil(clock, isUp, { everyMs: 200, timeoutMs: START_MS, signal });
  };
  try {
    if ((await livingDispatcher(crew, scene.workstream)) === undefined && endOf(await look()) === undefined)
      await start();
    else restarts = 0;
    const turn = async (): Promise<Delegated | undefined> => {
      const status = await look();
      const event = classify(status, { notify, seen });
      if (event === undefined) return undefined;
      if (event.kind === "stage_progress") {
        seen.add(event.reason);
        progress.push(event);
        await onProgress(event);
        return undefined;
      }
      if (event.kind === "restart_needed" && restarts < maxRestarts) {
        await start();
        return undefined;
      }
      return { event, outcome: OUTCOME_OF[event.kind], status, progress };
    };
    const done = await pollUntil(clock, turn, { everyMs: 500, timeoutMs, signal });
    if (done !== undefined) return done;
    if (signal.aborted)
      throw new Fault("unavailable", "request.interrupted", "The wait was interrupted. The work goes on.");
    throw new Fault("unavailable", "intake.timeout", `${root.name} has not ended in ${duration(timeoutMs)}.`, [
      { intent: "See how it stands", command: `mu task tree ${root.name} -w ${workstream}` },
    ]);
  } finally {
    clock.end();
    if (isOurs && !keep) await askToStop(crew, scene.workstream, "now");
  }
}

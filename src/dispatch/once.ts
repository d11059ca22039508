import type { Crew } from "../agents/crew.js";
import { asFault, Fault } from "../errors.js";
import { RUN_FAILURES, type RunFailure } from "../runs/advance.js";
import { NO_BILL } from "../runs/bill.js";
import { performHere } from "../runs/here.js";
import { patienceOf, takeOver } from "../runs/perform.js";
import { micros, type Run, runRow, toRun } from "../runs/run.js";
import { type Settled, settleRun } from "../runs/settle.js";
import type { RunWorld } from "../runs/special.js";
import { legalVerdicts, mustSayHow } from "../runs/verdict.js";
import { getTask } from "../tasks/task.js";
import { type DispatchWorld, explain, requireRoles, reserve } from "./dispatch.js";
import type { Scene } from "./facts.js";
import { dispatchLoop, type LoopResult } from "./loop.js";
import { followScene } from "./scene.js";

/** A dispatcher whose runs are work of this process. */
function worldHere(crew: Crew, scene: Scene, say: (text: string) => void, launch: DispatchWorld["launch"]) {
  return { ...crew, transport: "child" as const, scene: followScene(scene, say), launch };
}

export interface OnceOptions {
  /** Ends the starting of runs; what runs is waited for. */
  signal?: AbortSignal;
  /** Told what happens, a sentence at a time. */
  say?(text: string): void;
  /** Told what the agents print, as it comes. */
  echo?(chunk: Uint8Array): void;
}

/** As `dispatchOnce`; `special` loads what runs of jobs need. */
export async function drainHere(
  crew: Crew,
  scene: Scene,
  {
    signal = new AbortController().signal,
    say = () => {},
    echo = () => {},
    special,
  }: OnceOptions & Pick<RunWorld, "special">,
): Promise<LoopResult> {
  await requireRoles(crew.context.store.db, scene);
  const runs: Promise<unknown>[] = [];
  const lasting = new AbortController().signal;
  const launch: DispatchWorld["launch"] = async ({ id }) => {
    runs.push(performHere(crew, id, { signal: lasting, echo, special }).catch((error) => say(asFault(error).message)));
  };
  const world = { ...worldHere(crew, scene, say, launch), special };
  try {
    return await dispatchLoop(world, { once: true, signal, say });
  } finally {
    await Promise.all(runs);
  }
}

/**
 * Claims a ready task for a free slot of its role and reserves the role's money, in one write. The run is under way: this
 * process does the work and calls `endRun`; if it dies, the next dispatcher gives the task back.
 *
 * Faults `budget.exceeded` (a cap or ceiling would be passed) and `run.not_now` (anything else that keeps it waiting), both
 * with `{task, role, code, why}` in their details; `run.taken` if somebody was first; `settings.invalid`.
 */
export async function beginRun(crew: Crew, scene: Scene, task: string): Promise<Run> {
  const only = { ...scene, only: task };
  const world = worldHere(
    crew,
    only,
    () => {},
    async () => {},
  );
  const { start, wait } = await explain(world);
  const [one] = start;
  if (one === undefined) throw notNow(scene, task, wait[0]);
  const run = await reserve(world, await world.scene(), one);
  const begun = run && (await takeOver(world, run));
  if (begun !== undefined) return toRun(begun);
  throw new Fault("conflict", "run.taken", `${task} was started by somebody else just now.`, [
    { intent: "See who has it", command: `mu task show ${scene.workstream.name}/${task}` },
  ]);
}

const MONEY = ["task_budget", "role_cap", "project_ceiling", "role_disabled"];

function notNow(
  { workstream: { name } }: Scene,
  task: string,
  wait: Awaited<ReturnType<typeof explain>>["wait"][0] | undefined,
): Fault {
  const why = wait?.why ?? "it is no open task with a role";
  const code = MONEY.includes(wait?.code ?? "") ? "budget.exceeded" : "run.not_now";
  const step = { intent: "See what keeps tasks waiting", command: `mu dispatch --explain -w ${name}` };
  return new Fault("conflict", code, `${task} does not start: ${why}.`, [step], { ...wait });
}

/** How a program's own run ended. */
export interface RunEnd {
  /** `cancelled` gives the task back and counts no attempt. */
  state: "done" | "failed" | "cancelled";
  /**
   * What a failed run failed of; `crash` without it. `auth`, `config` and `permission_denied` hold the task at once, and
   * after `rate_limit` nothing is asked of the role's provider for a while.
   */
  failure?: RunFailure | undefined;
  /** Null where nobody knows; then the reservation counts. */
  costUsd: number | null;
  /** Why, for the next attempt and the escalation. */
  reason?: string | undefined;
  /** `done`, `blocked`, or for a review, test or verification `pass` or `fail`. */
  verdict?: string | undefined;
  /** What was answered; the last 64 KiB are kept. */
  answer?: string | undefined;
}

/**
 * Ends a run of `beginRun`: books its cost, even one over the cap, and closes its task, gives it back or holds it, in one
 * write. Faults `run.not_found`, `run.ended`, `run.invalid_end`.
 */
export async function endRun({ context, env }: Crew, id: number, end: RunEnd): Promise<Settled> {
  const run = await runRow(context.store.db, id);
  const { state, costUsd, reason = null, verdict = null, answer = null } = end;
  const failure = end.failure ?? (state === "failed" ? "crash" : null);
  const { kind } = await getTask(context.store.db, { workstream: run.workstream, name: run.task });
  const legal = legalVerdicts(kind);
  const isSilent = verdict === null && (state !== "done" || !mustSayHow(kind));
  if (!isSilent && !legal.includes(verdict ?? "")) throw invalidEnd(`a ${kind} ends with ${legal.join(", ")}`);
  if (costUsd !== null && !(costUsd >= 0 && costUsd < 1e6)) throw invalidEnd("costUsd is not null or an amount in USD");
  if ((failure !== null) !== (state === "failed")) throw invalidEnd("only a failed run has a failure");
  if (failure !== null && !RUN_FAILURES.includes(failure)) throw invalidEnd(`a failure is ${RUN_FAILURES.join(", ")}`);
  const cost = costUsd === null ? {} : { cost_micros: micros(costUsd), cost_basis: "cli" };
  const outcome = { state, failure, reason, retryAt: null, verdict };
  const rest = { exitCode: null, sessionRef: null, answer };
  const settled = await settleRun(
    context,
    run,
    { outcome, bill: { ...NO_BILL, ...cost }, ...rest },
    { patience: patienceOf(env) },
  );
  if (settled !== undefined) return settled;
  throw new Fault("conflict", "run.ended", `Run ${id} has ended already.`, [
    { intent: "See how", command: `mu runs show ${id}` },
  ]);
}

const invalidEnd = (why: string) => new Fault("usage", "run.invalid_end", `The run cannot end like that: ${why}.`);

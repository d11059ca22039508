import type { TmuxHost } from "../agents/crew.js";
import { type CheckRun, runCheck } from "../checks.js";
import { Fault } from "../errors.js";
import type { Tip } from "../vcs/lander.js";
import { requireApproved, runSetupCommand } from "../workspaces/setup/command.js";
import { putFiles } from "../workspaces/setup/files.js";
import { planSetup, REPOSITORY_FILE } from "../workspaces/setup/plan.js";
import type { SetupSettings } from "../workstreams/settings.js";
import type { Place } from "./place.js";

/** One run of the check, on a commit that may become the branch. */
export interface CheckAnswer extends Answer {
  command: string;
  commit: string;
  exitCode: number | null;
  timedOut: boolean;
  seconds: number;
  /** Its last lines. */
  tail: string;
  /** How it ended, as the end of `npm test …`. */
  ending: string;
}

export interface CheckPlan {
  command: string;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

/** Runs the check on tips, in the scratch checkout of a batch. A tree that was green is not checked again. */
export function createChecker(crew: TmuxHost, place: Place, scratch: Scratch, plan: CheckPlan) {
  const bringTo = scratchCheckout(crew, place, scratch);
  const green = new Map<string, CheckAnswer>();
  const answers: CheckAnswer[] = [];
  return {
    /** All runs so far, oldest first. */
    answers,
    /** Faults `landing.interrupted`, `check.not_started`, and as `scratchCheckout`. */
    async ask({ commit, tree }: Tip): Promise<CheckAnswer> {
      const known = green.get(tree);
      if (known !== undefined) return known;
      await bringTo(commit);
      const run = await runCheck(crew, {
        command: plan.command,
        cwd: scratch.path,
        timeoutMs: plan.timeoutMs,
        ...(plan.signal && { signal: plan.signal }),
      });
      if (run.interrupted) throw interrupted();
      const answer = answerOf(plan, commit, run);
      answers.push(answer);
      if (answer.green) green.set(tree, answer);
      return answer;
    },
  };
}

function answerOf({ command, timeoutMs }: CheckPlan, commit: string, run: CheckRun): CheckAnswer {
  const { exitCode, timedOut, seconds, tail } = run;
  const green = exitCode === 0;
  const ending = timedOut
    ? `timed out after ${timeoutMs / 1000} s`
    : exitCode === null
      ? "was ended by a signal"
      : `ended with ${exitCode}`;
  return { green, command, commit, exitCode, timedOut, seconds, tail, ending };
}

export function interrupted(): Fault {
  return new Fault("unavailable", "landing.interrupted", "The landing was interrupted; nothing is half done.", [
    { intent: "Continue it", command: "mu land --continue" },
  ]);
}

/** What a check said of a prefix of a batch. */
export interface Answer {
  green: boolean;
}

/** The verdict on a batch: `good` tasks from its start are green together, the next one is red. */
export type Judgement<A extends Answer> =
  | { outcome: "green" }
  | { outcome: "culprit"; good: number; answer: A }
  | { outcome: "target_red"; answer: A };

/**
 * Finds the first of `count` tasks with which a check turns red. The whole batch is asked first, a red answer twice:
 * a check that is green the second time blames no task. Then the bare target (0 tasks), then halves: about log2(count)
 * answers more. A task is blamed only for two red answers with it and a green one without it.
 */
export async function judge<A extends Answer>(
  count: number,
  ask: (tasks: number) => Promise<A>,
): Promise<Judgement<A>> {
  if ((await ask(count)).green) return { outcome: "green" };
  const whole = await ask(count);
  if (whole.green) return { outcome: "green" };
  if (!(await ask(0)).green) {
    const bare = await ask(0);
    if (!bare.green) return { outcome: "target_red", answer: bare };
  }
  for (let good = 0; ; ) {
    const found = await halve({ good, red: count, answer: whole }, ask);
    const again = found.red === count ? whole : await ask(found.red);
    if (!again.green) return { outcome: "culprit", good: found.good, answer: again };
    good = found.red;
  }
}

interface Range<A> {
  /** This many tasks are green, this many red. */
  good: number;
  red: number;
  answer: A;
}

async function halve<A extends Answer>(range: Range<A>, ask: (tasks: number) => Promise<A>): Promise<Range<A>> {
  let { good, red, answer } = range;
  while (red - good > 1) {
    const middle = (good + red) >> 1;
    const found = await ask(middle);
    if (found.green) good = middle;
    else [red, answer] = [middle, found];
  }
  return { good, red, answer };
}

/** The scratch checkout of a batch, and what workspaces of its workstream get. */
export interface Scratch {
  path: string;
  workstream: string;
  setup: SetupSettings;
  signal?: AbortSignal | undefined;
}

/** Whose name the output of the setup is kept under. */
const LANDER = "landing";

/**
 * Brings the scratch checkout to commits one after the other, each time set up as a workspace is, so that the check
 * finds what it finds there: files each time, the command once. Faults `setup.not_approved`, `setup.failed`, `vcs.*`.
 */
export function scratchCheckout(crew: TmuxHost, { lander, root }: Place, { path, workstream, setup, signal }: Scratch) {
  let isSetUp = false;
  return async (commit: string): Promise<void> => {
    const plan = await planSetup(root, setup);
    const theirs = plan.command?.from === REPOSITORY_FILE ? plan.command.command : undefined;
    if (theirs !== undefined) await requireApproved(crew.context.store.db, { root, command: theirs }, workstream);
    await lander.scratch(crew, root, path, commit);
    await putFiles(crew, { root, path, backend: "git" }, plan);
    if (isSetUp || plan.command === null) return;
    const env = { MU_WORKSTREAM: workstream, MU_WORKSPACE: path, MU_PROJECT_ROOT: root };
    const { command } = plan.command;
    const timeoutMs = plan.timeoutSeconds * 1000;
    await runSetupCommand(crew, { workstream, agent: LANDER, path, command, env, timeoutMs, signal });
    isSetUp = true;
  };
}

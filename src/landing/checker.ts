import type { Crew } from "../agents/crew.js";
import { type CheckRun, runCheck } from "../checks/run.js";
import { Fault } from "../errors.js";
import type { Tip } from "../vcs/lander.js";
import type { Answer } from "./judge.js";
import type { Place } from "./place.js";
import { type Scratch, scratchCheckout } from "./scratch.js";

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

/** Runs the check on tips, in the scratch checkout of a batch. A tree that was green needs no second look. */
export function createChecker(crew: Crew, place: Place, scratch: Scratch, plan: CheckPlan) {
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
    ? `was still running after ${timeoutMs / 1000} s`
    : exitCode === null
      ? "was ended by a signal"
      : `ended with ${exitCode}`;
  return { green, command, commit, exitCode, timedOut, seconds, tail, ending };
}

function interrupted(): Fault {
  return new Fault("unavailable", "landing.interrupted", "The landing was ended on the way; nothing is half done.", [
    { intent: "Go on with it", command: "mu land --continue" },
  ]);
}

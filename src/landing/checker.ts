import { existsSync } from "node:fs";
import { join } from "node:path";
import type { TmuxHost } from "../agents/crew.js";
import { type CheckRun, runCheck } from "../checks.js";
import { Fault } from "../errors.js";
import { duration } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import type { Tip } from "../vcs/lander.js";
import { type CommandSpec, runSetupCommand } from "../workspaces/setup/command.js";
import { putFiles } from "../workspaces/setup/files.js";
import { INCLUDE_FILE, REPOSITORY_FILE } from "../workspaces/setup/plan.js";
import { planApprovedSetup } from "../workspaces/setup/setup.js";
import type { Settings, SetupSettings } from "../workstreams/settings.js";
import type { Place } from "./place.js";

/** One run of the check, on a commit that may become the branch. */
export const CHECK_RUN = shape({
  green: "boolean",
  command: "string",
  commit: "string",
  exitCode: "number | null",
  timedOut: "boolean",
  seconds: "number",
});

/** `tail` are its last lines; `ending` is how it ended, as the end of `npm test …`. */
export type CheckAnswer = TypeOf<typeof CHECK_RUN> & { tail: string; ending: string };

export interface CheckPlan {
  command: string;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  /** The scratch checkout. */
  path: string;
  workstream: string;
  setup: SetupSettings;
}

/** Runs the check on tips, in the scratch checkout of a batch. A tree that was green is not checked again. */
export function createChecker(crew: TmuxHost, place: Place, plan: CheckPlan) {
  const checkOut = scratchCheckout(crew, place, plan);
  const green = new Map<string, CheckAnswer>();
  const answers: CheckAnswer[] = [];
  return {
    /** All runs so far, oldest first. */
    answers,
    /** A setup command that fails is red too. Faults `landing.interrupted`, `check.not_started`, and as `scratchCheckout`. */
    async ask({ commit, tree }: Tip): Promise<CheckAnswer> {
      const known = green.get(tree);
      if (known !== undefined) return known;
      const failure = await checkOut(commit);
      const { command, path: cwd, timeoutMs, signal } = plan;
      const run = failure ?? (await runCheck(crew, { command, cwd, timeoutMs, signal }));
      if (run.interrupted) throw interrupted();
      const answer = answerOf(failure ?? plan, commit, run);
      answers.push(answer);
      if (answer.green) green.set(tree, answer);
      return answer;
    },
  };
}

export type Checker = ReturnType<typeof createChecker>;

/** What a landing says of its check, and the settings that hold where it says nothing. */
interface Checking {
  /** The scratch checkout, which is deleted at the end. */
  path: string;
  workstream: string;
  settings: Settings;
  options: { check?: string | null | undefined; timeoutMs?: number | undefined; signal?: AbortSignal | undefined };
}

/** Does `act` with the checker of a landing; undefined where there is nothing to check by. */
export async function withChecker<T>(
  crew: TmuxHost,
  place: Place,
  { path, workstream, settings, options }: Checking,
  act: (checker: Checker | undefined) => Promise<T>,
): Promise<T> {
  const { check = settings.check, timeoutMs = settings.checkTimeoutSeconds * 1000, signal } = options;
  if (check === null) return act(undefined);
  const plan = { path, workstream, setup: settings.setup, signal, command: check, timeoutMs };
  return act(createChecker(crew, place, plan)).finally(() => place.lander.removeScratch(crew, place.root, path));
}

type Asked = Pick<CheckPlan, "command" | "timeoutMs">;

function answerOf({ command, timeoutMs }: Asked, commit: string, run: CheckRun): CheckAnswer {
  const { exitCode, timedOut, seconds, tail } = run;
  const green = exitCode === 0;
  const ending = timedOut
    ? `timed out after ${duration(timeoutMs)}`
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

/** The verdict on a batch: `good` tasks from its start are green together, the next one is red. */
export type Judgement<A> =
  | { outcome: "green" }
  | { outcome: "culprit"; good: number; answer: A }
  | { outcome: "target_red"; answer: A };

/**
 * Finds the first of `count` tasks with which a check turns red. The whole batch is asked first, a red answer twice:
 * a check that is green the second time blames no task. Then the bare target (0 tasks), then halves: about log2(count)
 * answers more. A task is blamed only for two red answers with it and a green one without it.
 */
export async function judge<A extends { green: boolean }>(
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
    let red = count;
    while (red - good > 1) {
      const middle = (good + red) >> 1;
      if ((await ask(middle)).green) good = middle;
      else red = middle;
    }
    const again = red === count ? whole : await ask(red);
    if (!again.green) return { outcome: "culprit", good, answer: again };
    good = red;
  }
}

/**
 * Checks out commits in the scratch checkout, each set up as its own tree says: what another tree left is deleted and the
 * command runs again, unless the files that it depends on are the same. Gives the run of a command that failed. Faults
 * `setup.not_approved`, `setup.invalid_file`, `vcs.*`.
 */
function scratchCheckout(crew: TmuxHost, { lander, root }: Place, { path, workstream, setup, signal }: CheckPlan) {
  let done: { commit: string; command: string | undefined } | undefined;
  return async (commit: string): Promise<(CheckRun & Asked) | undefined> => {
    await lander.scratch(crew, root, path, commit);
    const from = existsSync(join(path, REPOSITORY_FILE)) ? path : root;
    const approved = await planApprovedSetup(crew.context.store.db, { root, workstream, from }, setup);
    const plan = { ...approved, includes: existsSync(join(root, INCLUDE_FILE)) };
    const command = plan.command?.command;
    const last = done?.command === command ? done?.commit : undefined;
    const isSame = last !== undefined && !(await lander.differ(crew, root, { from: last, to: commit }, plan.key));
    if (!isSame) await lander.dropIgnored(crew, root, path, commit);
    await putFiles(crew, { root, path, backend: "git" }, plan);
    if (isSame) return undefined;
    done = undefined;
    const env = { MU_WORKSTREAM: workstream, MU_WORKSPACE: path, MU_PROJECT_ROOT: root };
    const timeoutMs = plan.timeoutSeconds * 1000;
    const spec = { workstream, agent: "landing", path, env, timeoutMs, signal };

    const failure = command === undefined ? undefined : await failedSetup(crew, { ...spec, command });
    if (failure === undefined) done = { commit, command };
    return failure;
  };
}

/** Runs the command. Its failure is an answer about the tree, like that of a check. */
async function failedSetup(crew: TmuxHost, spec: CommandSpec): Promise<(CheckRun & Asked) | undefined> {
  try {
    await runSetupCommand(crew, spec);
    return undefined;
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "setup.failed") throw error;
    const { command, timeoutMs, signal } = spec;
    const run = error.details as unknown as CheckRun;
    return { ...run, command, timeoutMs, interrupted: signal?.aborted === true };
  }
}

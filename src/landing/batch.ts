import type { TmuxHost } from "../agents/crew.js";
import { Fault } from "../errors.js";
import { enumerate } from "../names.js";
import type { Tip } from "../vcs/lander.js";
import { describeCommits } from "../work/loose.js";
import { type CheckAnswer, type Checker, interrupted, judge } from "./checker.js";
import type { Candidate, Link } from "./choose.js";
import type { LandingLock } from "./lock.js";
import { confirmLanded, type Landing, leaveOut, type Returned, returnClash, returnRed, skip } from "./outcome.js";
import type { Place } from "./place.js";
import { recordWait, stackRows } from "./rows.js";
import { type Clash, type Stack, type Step, stackTasks } from "./stack.js";

/** Tasks that were taken, and what landing them needs. */
export interface TakenBatch {
  place: Place;
  lock: LandingLock;
  /** Row ids of the landings by task. */
  landings: ReadonlyMap<number, number>;
  edges: readonly Link[];
  checker: Checker | undefined;
  report: Landing;
  signal?: AbortSignal | undefined;
  remark?: ((text: string) => void) | undefined;
}

/** Landing fails once something else has moved the branch this often. */
export const MAX_MOVES = 5;

/**
 * Lands the candidates in rounds. A round stacks all that are left, finds the longest good prefix, moves the branch to
 * it, and returns what is at fault. So each round leaves fewer, or finds that the branch has moved.
 */
export async function landBatch(crew: TmuxHost, batch: TakenBatch, candidates: readonly Candidate[]): Promise<void> {
  let waiting = [...candidates];
  for (let moves = 0; waiting.length > 0; ) {
    if (batch.signal?.aborted) throw interrupted();
    const stack = await stackTasks(crew, batch.place, waiting, batch.edges);
    const from = stack.target.commit;
    batch.report.target ??= { branch: batch.place.branch, from, to: from };
    const held = await withoutRoom(crew, batch.place, stack);
    if (held !== undefined) {
      waiting = await holdBack(crew, batch, waiting, held);
      continue;
    }
    const { good, culprit } = await verdictOn(batch, stack);
    if (!(await advance(crew, batch, stack, good))) {
      moves++;
      if (moves >= MAX_MOVES) throw keepsMoving(batch.place.branch);
      continue;
    }
    const back = await returnFaulty(crew, batch, stack, { good, culprit });
    const done = new Set([...good.map(({ candidate }) => candidate), ...back]);
    const left = waiting.filter((candidate) => !done.has(candidate));
    waiting = leaveOut(batch.report, left, batch.edges, { out: back, reason: "waits for a task that did not land" });
  }
}

interface Held {
  candidates: Candidate[];
  fault: Fault;
}

/** What cannot land now because of the user's checkout: an operation is in progress, or uncommitted changes meet it. */
async function withoutRoom(crew: TmuxHost, place: Place, { target, steps }: Stack): Promise<Held | undefined> {
  if (!target.exists) return undefined;
  const refusal = (from: string, to: string) =>
    place.lander.requireRoom(crew, place.root, { branch: place.branch, from, to }).then(() => undefined, dirtyFault);
  const tips = [target.commit, ...steps.map((step) => step.tip.commit)];
  const whole = await refusal(target.commit, tips.at(-1) ?? target.commit);
  if (whole === undefined) return undefined;
  const candidates: Candidate[] = [];
  for (const [at, { candidate, commits }] of steps.entries()) {
    const [from = "", to = ""] = tips.slice(at);
    if (commits > 0 && (await refusal(from, to)) !== undefined) candidates.push(candidate);
  }
  return candidates.length > 0 ? { candidates, fault: whole } : undefined;
}

/** For `.catch`: the fault of a checkout that cannot move now. */
export function dirtyFault(error: unknown): Fault {
  if (error instanceof Fault && error.code === "landing.checkout_dirty") return error;
  throw error;
}

/** Ends the landing of these tasks. Gives those that can go on; if nothing lands, faults. */
async function holdBack(
  crew: TmuxHost,
  { report, edges, landings }: TakenBatch,
  waiting: readonly Candidate[],
  { candidates, fault }: Held,
): Promise<Candidate[]> {
  await recordWait(crew.context, candidates, landings, fault);
  for (const candidate of candidates) skip(report, candidate, "checkout_dirty", `waits: ${fault.message}`);
  const left = leaveOut(report, waiting, edges, { out: candidates, reason: "waits for a task that does not land yet" });
  if (left.length + report.landed.length + report.returned.length === 0) throw fault;
  return left;
}

interface Verdict {
  /** The steps that land. */
  good: Step[];
  culprit: { step: Step; answer: CheckAnswer } | undefined;
}

async function verdictOn(batch: TakenBatch, { target, steps }: Stack): Promise<Verdict> {
  const { place, checker, report } = batch;
  const last = steps.at(-1);
  if (last === undefined || last.tip.commit === target.commit) return { good: steps, culprit: undefined };
  if (checker === undefined) return { good: steps, culprit: undefined };

  const tips: Tip[] = [target, ...steps.map((step) => step.tip)];
  const asked = new Set<number>();
  const judgement = await judge(steps.length, async (tasks) => {
    const names = steps.slice(0, tasks).map(({ candidate }) => candidate.row.name);
    batch.remark?.(
      `Checking ${place.branch}${names.length > 0 ? ` with ${names.join(", ")}` : " as it is"}${asked.has(tasks) ? " once more" : ""}…`,
    );
    asked.add(tasks);
    return checker.ask(tips[tasks] as Tip);
  }).finally(() => {
    report.checks = checker.answers.map(({ tail: _tail, ending: _ending, ...answer }) => answer);
  });
  if (judgement.outcome === "green") return { good: steps, culprit: undefined };
  if (judgement.outcome === "target_red") throw targetRed(place.branch, judgement.answer);
  const { good, answer } = judgement;
  return { good: steps.slice(0, good), culprit: { step: steps[good] as Step, answer } };
}

/** One tip, what its check is told to be about, and the branch that it is for. */
interface Trial {
  branch: string;
  target: Tip;
  tip: Tip;
  what: string;
  remark?: TakenBatch["remark"];
}

/** The red answer that one tip is to blame for; undefined where its check passes. Faults `landing.target_red`. */
export async function redOf(
  checker: Checker,
  { branch, target, tip, what, remark }: Trial,
): Promise<CheckAnswer | undefined> {
  const judgement = await judge<CheckAnswer>(1, async (tasks) => {
    remark?.(`Checking ${branch} ${tasks === 0 ? "as it is" : what}…`);
    return checker.ask(tasks === 0 ? target : tip);
  });
  if (judgement.outcome === "target_red") throw targetRed(branch, judgement.answer);
  return judgement.outcome === "green" ? undefined : judgement.answer;
}

/** Moves the branch to the last of these steps and records it; false if the branch or its checkout has changed. */
async function advance(crew: TmuxHost, batch: TakenBatch, { target }: Stack, good: readonly Step[]): Promise<boolean> {
  const { place, lock, landings, report, checker } = batch;
  const last = good.at(-1);
  if (last === undefined) return true;
  const idOf = (step: Step) => landings.get(step.candidate.row.id) as number;
  const tips = good.map((step) => ({ id: idOf(step), tip: step.as ?? step.tip.commit }));
  await stackRows(crew.context, target.commit, tips);
  if (last.tip.commit !== target.commit) {
    const world = { ...crew, env: { ...crew.env, ...lock.env } };
    const move = { target, to: last.tip.commit, note: lock.note };
    const moved = await place.lander.advance(world, place.root, move).catch(dirtyFault);
    if (moved !== "advanced") return false;
  }
  if (report.target !== null) report.target.to = last.tip.commit;
  const check = checker?.answers.findLast((answer) => answer.green) ?? null;
  for (const step of good) {
    const { row, work, said } = step.candidate;
    const commit = step.as ?? step.tip.commit;
    await confirmLanded(crew.context, row, {
      landing: idOf(step),
      workTo: row.work_to,
      commit,
      branch: place.branch,
      onto: target.commit,
      commits: step.commits,
      agent: row.work_agent,
      said,
      check: work && check && { command: check.command, exitCode: check.exitCode, seconds: check.seconds },
    });
    report.landed.push({ task: row.name, commit, commits: step.commits, agent: row.work_agent });
  }
  return true;
}

/** Returns the culprit, and what conflicts with the bare branch; conflicts within the batch are retried. */
async function returnFaulty(
  crew: TmuxHost,
  batch: TakenBatch,
  { target, clashes }: Stack,
  { good, culprit }: Verdict,
): Promise<Candidate[]> {
  const { place, landings, report } = batch;
  const back: Candidate[] = [];
  const refusal = (candidate: Candidate, onto: string) => {
    back.push(candidate);
    return { landing: landings.get(candidate.row.id) as number, candidate, branch: place.branch, onto };
  };
  const record = (candidate: Candidate, returned: Returned | undefined) => {
    if (returned === undefined) skip(report, candidate, "not_closed", "was changed while it was landing");
    else report.returned.push(returned);
  };
  for (const clash of clashes.filter(({ below }) => below.length === 0)) {
    const base = await unlandedBase(crew, clash);
    if (base !== undefined) {
      back.push(clash.candidate);
      skip(report, clash.candidate, "builds_on", `conflicts with ${place.branch} without ${base}`);
      continue;
    }
    record(clash.candidate, await returnClash(crew, refusal(clash.candidate, target.commit), clash));
  }
  if (culprit !== undefined) {
    const { candidate } = culprit.step;
    const onto = good.at(-1)?.tip.commit ?? target.commit;
    record(candidate, await returnRed(crew, refusal(candidate, onto), culprit.answer));
  }
  return back;
}

/** What the work is on that the target lacks: unlanded tasks of the same workspace, or commits of no task. */
async function unlandedBase(crew: TmuxHost, { candidate, under }: Clash): Promise<string | undefined> {
  const { row } = candidate;
  if (under.length === 0) return undefined;
  const ends = under.map(({ sha }) => sha);
  const tasks = await crew.context.store.db
    .selectFrom("tasks")
    .select("name")
    .where("workstream_id", "=", row.workstream_id)
    .where("work_agent", "=", row.work_agent)
    .where("work_root", "=", candidate.root)
    .where((e) =>
      e.or([
        e("work_to", "in", ends),
        e.and([e("status", "in", ["OPEN", "IN_PROGRESS"]), e("work_from", "is not", null)]),
      ]),
    )
    .where((e) => e.or([e("level", "is", null), e("level", "<>", "landed")]))
    .where("id", "<>", row.id)
    .orderBy("id")
    .execute();
  if (tasks.length > 0) return `${enumerate(tasks.map(({ name }) => name))}, which has not landed`;
  return `${describeCommits(under)} of no task, which it builds on: mu land ${row.name} --include takes them in`;
}

/** The fault for a check that is red on the bare branch. */
function targetRed(branch: string, { command, ending, tail, exitCode, timedOut, seconds }: CheckAnswer): Fault {
  return new Fault(
    "negative",
    "landing.target_red",
    `${command} ${ending} on ${branch} itself, with nothing of this landing on it. No task is to blame, and nothing landed.\n${tail}`,
    [
      { intent: "Add a task to fix it", command: `mu task add --title 'Make ${branch} green again'` },
      { intent: "Land without the check", command: "mu land --no-check" },
    ],
    { command, exitCode, timedOut, seconds, tail },
  );
}

/** The fault for a branch that others move all the time. */
export function keepsMoving(branch: string): Fault {
  return new Fault(
    "unavailable",
    "landing.moving",
    `${branch} moved ${MAX_MOVES} times during the landing. Nothing landed.`,
    [{ intent: "Try again", command: "mu land --continue" }],
  );
}

import { join } from "node:path";
import type { TmuxHost } from "../agents/crew.js";
import { newGroup } from "../db/context.js";
import { Fault } from "../errors.js";
import { counted, enumerate, qualifiedName, type TaskRef } from "../names.js";
import { pidOf, processIdentity } from "../processes.js";
import { type TaskRow, taskRow } from "../tasks/task.js";
import type { LandingTarget, Tip } from "../vcs/lander.js";
import { landedSpans } from "../work/changes.js";
import { getSettings } from "../workstreams/workstream.js";
import { dirtyFault, keepsMoving, MAX_MOVES, redOf } from "./batch.js";
import { type Checker, interrupted, withChecker } from "./checker.js";
import { alreadyLanding } from "./choose.js";
import type { LandOptions } from "./land.js";
import { type LandingLock, withLandingLock } from "./lock.js";
import type { Reverted } from "./outcome.js";
import { findPlace, type Place } from "./place.js";
import { confirmReverted } from "./reverted.js";
import { landingsUnderWay, REVERTS, stackRows, takeTasks } from "./rows.js";
import { endInterruptedLandings, endLandings, scratchFolder, settleLeft } from "./settle.js";
import { auditTrailers } from "./stack.js";

type RevertOptions = Omit<LandOptions, "push">;

/**
 * Takes what a task landed off the branch with one commit, which is checked like any landing, and opens the task again.
 * Faults `landing.not_landed`, `landing.nothing_to_revert`, `landing.revert_conflict`, `landing.revert_red`, and those of
 * `landTasks`; after each of them the branch is as it was.
 */
export async function revertTask(crew: TmuxHost, ref: TaskRef, options: RevertOptions = {}): Promise<Reverted> {
  await endInterruptedLandings(crew, options.remark);
  const row = await landedRow(crew, ref);
  const { db } = crew.context.store;
  const settings = await getSettings(db, ref.workstream);
  const { branch } = await landedSpans(crew, db, row);
  const candidate = { row, root: row.work_root, work: null };
  const place = await findPlace(crew, ref.workstream, [candidate], { onto: options.onto ?? branch, settings });
  const purpose = `the revert of ${row.name} in ${ref.workstream} by ${crew.context.actor}`;
  return withLandingLock(crew, await place.lander.lockFile(place.root), { ...options, purpose }, async (lock) => {
    await settleLeft(crew, lock, options.remark);
    await endLandings(crew, await underWayIn(crew, place), "taken over");
    return takeAndRevert(crew, await landedRow(crew, ref), { place, lock, options });
  });
}

async function underWayIn(crew: TmuxHost, { root }: Place) {
  return (await landingsUnderWay(crew.context.store.db)).filter((one) => one.root === root);
}

/** Faults `landing.not_landed`, `task.not_found`. */
async function landedRow(crew: TmuxHost, ref: TaskRef): Promise<TaskRow> {
  const row = await taskRow(crew.context.store.db, ref);
  if (row.status === "CLOSED" && row.level === "landed") return row;
  throw new Fault("conflict", "landing.not_landed", `${row.name} has not landed, so there is nothing to revert.`, [
    { intent: "Look at it", command: `mu task show ${qualifiedName(row)}` },
  ]);
}

interface Scene {
  place: Place;
  lock: LandingLock;
  options: RevertOptions;
}

/** Reserves, acts, confirms; always ends its row and deletes its scratch checkout. */
async function takeAndRevert(crew: TmuxHost, row: TaskRow, { place, lock, options }: Scene): Promise<Reverted> {
  const { context } = crew;
  const id = newGroup();
  const scratch = join(scratchFolder(crew.stateDir), id);
  const process = await processIdentity(crew);
  const batch = { id, root: place.root, branch: place.branch, scratch, process, reason: REVERTS };
  const { taken, others } = await takeTasks(context, batch, [row]);
  const [other] = others;
  if (other !== undefined) throw alreadyLanding(row, pidOf(other.process));
  const landing = taken.get(row.id) as number;
  const settings = await getSettings(context.store.db, row.workstream);
  const revert = async (checker?: Checker) => {
    for (let moves = 0; moves < MAX_MOVES; moves++) {
      if (options.signal?.aborted) throw interrupted();
      const target = await place.lander.target(crew, place.root, place.branch);
      const tip = await tipWithout(crew, row, place, target);
      if (checker !== undefined) await requireGreen(place, row, { target, tip, checker, remark: options.remark });
      await stackRows(context, target.commit, [{ id: landing, tip: tip.commit }]);
      const world = { ...crew, env: { ...crew.env, ...lock.env } };
      const move = { target, to: tip.commit, note: lock.note };
      if ((await place.lander.advance(world, place.root, move).catch(dirtyFault)) !== "advanced") continue;
      const { branch } = place;
      await confirmReverted(context, row, { landing, commit: tip.commit, branch, onto: target.commit });
      return { task: row.name, branch, from: target.commit, commit: tip.commit };
    }
    throw keepsMoving(place.branch);
  };
  try {
    return await withChecker(crew, place, { path: scratch, workstream: row.workstream, settings, options }, revert);
  } finally {
    const left = (await landingsUnderWay(context.store.db)).filter((one) => one.batch === id);
    await endLandings(crew, left, "not reverted");
  }
}

/** The branch without what the task brought. Faults `landing.nothing_to_revert`, `landing.revert_conflict`. */
async function tipWithout(crew: TmuxHost, row: TaskRow, place: Place, target: LandingTarget): Promise<Tip> {
  const { lander, root, branch } = place;
  const { spans } = await landedSpans(crew, crew.context.store.db, row);
  const there = [];
  for (const span of spans) if (await lander.contains(crew, root, branch, span.to)) there.push(span);
  const message = await messageOf(crew, row, there);
  const taken = there.length === 0 ? undefined : await lander.revert(crew, root, target, { spans: there, message });
  if (taken?.outcome === "reverted" && taken.tip.commit !== target.commit) return taken.tip;
  const name = qualifiedName(row);
  if (taken?.outcome !== "conflict") {
    const why =
      spans.length === 0 ? `${row.name} landed without commits` : `${branch} has nothing of ${row.name} any more`;
    throw new Fault("conflict", "landing.nothing_to_revert", `${why}.`, [
      { intent: "Open it again all the same", command: `mu task open ${name}` },
    ]);
  }
  const where = taken.files.length === 0 ? "" : ` in ${enumerate(taken.files)}`;
  throw new Fault(
    "conflict",
    "landing.revert_conflict",
    `${row.name} cannot be taken off ${branch}: later commits changed the same lines${where}. ${branch} was not touched.`,
    [
      { intent: "See what it brought", command: `mu task diff ${name}` },
      { intent: "Add a task to undo it", command: `mu task add --title 'Take back ${row.name}'` },
    ],
    { files: taken.files, words: taken.words },
  );
}

async function messageOf(
  crew: TmuxHost,
  row: TaskRow,
  spans: readonly { from: string; to: string }[],
): Promise<string> {
  const ranges = spans.map(({ from, to }) => `${from.slice(0, 12)}..${to.slice(0, 12)}`);
  const trailers = [`Mu-Revert: ${qualifiedName(row)}`, ...(await auditTrailers(crew, row.workstream))];
  const body = `This takes back the work of ${qualifiedName(row)}: ${ranges.join(", ")}.`;
  return `Revert "${row.title}"\n\n${body}\n\n${trailers.join("\n")}\n`;
}

interface Question {
  target: LandingTarget;
  tip: Tip;
  checker: Checker;
  remark?: LandOptions["remark"];
}

/** Faults `landing.revert_red`, and `landing.target_red` if the check is red without the revert, too. */
async function requireGreen(place: Place, row: TaskRow, { target, tip, checker, remark }: Question): Promise<void> {
  const { branch } = place;
  const red = await redOf(checker, { branch, target, tip, what: `without ${row.name}`, remark });
  if (red === undefined) return;
  const { command, ending, tail } = red;
  throw new Fault(
    "negative",
    "landing.revert_red",
    `${command} ${ending} without ${row.name}, and passes with it. ${place.branch} was not touched.\n${tail}`,
    [{ intent: "Revert it without the check", command: `mu land --revert ${qualifiedName(row)} --no-check` }],
    { command, tail, checks: counted(checker.answers.length, "check") },
  );
}

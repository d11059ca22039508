import type { Claimant } from "../agents/agent.js";
import type { TmuxHost } from "../agents/crew.js";
import { type CheckRun, runCheck } from "../checks.js";
import type { Reader } from "../db/schema.js";
import type { Tx } from "../db/write.js";
import { Fault } from "../errors.js";
import { duration, enumerate, qualifiedName, shellWord, type TaskRef } from "../names.js";
import { claimantName, ownTaskToChange, type TaskToChange, taskToChange, taskVerb, touched } from "../tasks/change.js";
import { type Check, insertCheck, type NewCheck } from "../tasks/checks.js";
import { openBlockers } from "../tasks/graph.js";
import { type CloseOptions, type Closing, closeTask, type Finding, requireSameClaim } from "../tasks/lifecycle.js";
import type { Loose } from "../vcs/vcs.js";
import type { Settings } from "../workstreams/settings.js";
import { getSettings, workstreamRow } from "../workstreams/workstream.js";
import { describeLoose, isLoose } from "./loose.js";
import { backendOf, isInside } from "./place.js";
import { requireMet, type Warning } from "./requirements.js";
import {
  describeWork,
  earlierWork,
  type Subject,
  subjectOfFolder,
  subjectOfWorkspace,
  type WorkDone,
  workOfTask,
} from "./work.js";

/** The part of a crew that a close needs. */
export type FinishWorld = Pick<TmuxHost, "context" | "exec" | "env">;

export interface FinishOptions extends Omit<CloseOptions, "finding"> {
  /** The command that must be green. Without it that of the workstream; null for none. */
  check?: string | null | undefined;
  /** The caller's folder: without a workspace the check runs there, if it is in the project. */
  cwd: string;
  /** True if the caller lands the work next: it need not have landed, but an agent must have committed all of it. */
  landsNext?: boolean | undefined;
  /** True if commits in the workspace that belong to no task are this task's. */
  include?: boolean | undefined;
  signal?: AbortSignal | undefined;
  onOutput?(chunk: Uint8Array): void;
}

/** The result of a close. */
export interface Finish extends Omit<Closing, "check"> {
  /** The check that was run; null if none was. */
  check: Check | null;
  warnings: Warning[];
  /** Who was working on the task, if not the caller, and how many commits that made; null if unknown. */
  was?: { owner: string; commits: number | null };
}

/**
 * Closes a task and records the proof that it is done: the commits of its owner's workspace, and a check that runs
 * first. A failed check leaves the task as it is. Faults as `closeTask`; `task.check_failed` (negative),
 * `task.commit_required`, `task.check_required`, `task.landing_required` for agents where the workstream asks for it,
 * `task.claim_changed` if the task changed hands while the check ran, `check.*`, `vcs.*`.
 */
export async function finishTask(
  world: FinishWorld,
  ref: TaskRef,
  claimant: Claimant,
  options: FinishOptions,
): Promise<Finish> {
  const { db } = world.context.store;
  const row = await ownTaskToChange(db, ref, claimant, options);
  const settings = await getSettings(db, ref.workstream);
  const command = options.check === undefined ? settings.check : options.check;
  const isDone = row.status === "CLOSED" && options.check == null;
  if (isDone || (options.ifReady && row.blocked === 1)) {
    return { ...(await closeTask(world.context, ref, claimant, options)), check: null, warnings: [] };
  }

  const { finding, warnings, work } = await proveTask(world, row, claimant, { ...options, settings, command });
  const closing = await closeTask(world.context, ref, claimant, { ...options, finding });
  const other = row.status === "IN_PROGRESS" && row.owner !== claimantName(claimant) ? row.owner : null;
  return {
    ...closing,
    check: closing.check ?? null,
    warnings,
    ...(other !== null && { was: { owner: other, commits: work?.commits ?? null } }),
  };
}

/** What a proof needs beside the options of a close. */
type ProofOptions = FinishOptions & { settings: Settings; command: string | null };

/**
 * Collects the proof that a task is done, and runs `command`, which must be green; closes nothing. Faults as `finishTask`.
 */
export async function proveTask(
  world: FinishWorld,
  row: TaskToChange,
  claimant: Claimant,
  options: ProofOptions,
): Promise<{ finding: Finding; warnings: Warning[]; work: WorkDone | undefined }> {
  const { db } = world.context.store;
  const { landsNext, include, cwd, settings, command } = options;
  const asked = settings.closeRequires ?? (landsNext ? "landed" : null);
  const wanted = "agent" in claimant && row.status !== "CLOSED" ? asked : null;
  const mustHaveLanded = wanted === "landed" && !landsNext;
  const work = await workOfTask(world, db, row, { compareWithTarget: mustHaveLanded, include, cwd });
  const warnings = [
    ...(await stillBlocked(db, row)),
    ...warningsOf(row, work),
    ...(await workElsewhere(db, row, work)),
  ];
  if (wanted !== null && (wanted !== "check" || command === null)) {
    warnings.push(...requireMet(wanted, row, work, { landsNext }));
  }

  // Whoever commits nothing to a shared checkout may have checked something else.
  const judged = work?.space.shared && !work.commits ? undefined : work;
  const checked = command === null ? null : await checkWork(world, row, judged, { ...options, command });
  if (checked !== null && checked.check.exit_code !== 0) {
    throw checkFailed(row, checked.run, await recordCheck(world.context, row, claimant, checked));
  }
  if (checked?.doubt !== undefined) {
    if (wanted === "check") {
      await recordCheck(world.context, row, claimant, checked);
      throw notVerified(row, checked.doubt);
    }
    warnings.push({ code: "not_verified", message: `${checked.doubt} It is closed, but not verified.` });
  }
  if (row.status !== "CLOSED" && work !== undefined) await keepWork(world, row, work);
  const finding = {
    before: row,
    ...(row.status !== "CLOSED" && work !== undefined && { work: workEnd(work) }),
    ...(checked !== null && { check: { ...checked.check, author: claimantName(claimant) } }),
    ...(checked !== null && checked.doubt === undefined && { level: "verified" as const }),
    ...(mustHaveLanded && work?.commits ? { level: "landed" as const } : {}),
  };
  return { finding, warnings, work };
}

async function stillBlocked(db: Reader, row: TaskToChange): Promise<Warning[]> {
  if (row.blocked !== 1 || row.status === "CLOSED") return [];
  return [{ code: "blocked", message: `${row.name} still waits for ${enumerate(await openBlockers(db, row.id))}.` }];
}

function warningsOf(row: TaskToChange, work: WorkDone | undefined): Warning[] {
  if (work === undefined || row.status === "CLOSED") return [];
  const { standing, commits, space } = work;
  const warnings: Warning[] = [];
  const warn = (code: Warning["code"], message: string) => void warnings.push({ code, message });
  if (standing?.present === false) warn("workspace_gone", `The workspace of ${space.agent} is gone: ${space.path}.`);
  else if (commits === null && space.backend !== "none") {
    warn("unknown_work", `Cannot tell which commits in ${space.path} belong to ${row.name}.`);
  }
  const dirty = standing?.dirty ?? 0;
  if (dirty > 0 && space.backend !== "none") {
    warn("uncommitted", `${dirty} ${dirty === 1 ? "file" : "files"} in the workspace of ${space.agent} not committed.`);
  }
  if (standing?.underway) warn("underway", `A ${standing.underway} is unfinished in ${space.path}.`);
  if (work.loose !== undefined && isLoose(work.loose)) warn("loose_commits", looseWarning(row, work.loose));
  if (commits === 0 && !space.shared)
    warn("no_commits", `${space.agent} has committed nothing since it claimed ${row.name}.`);
  return warnings;
}

function looseWarning({ name, workstream }: TaskToChange, loose: Loose): string {
  const include = `To land them with it: mu land ${name} --include -w ${workstream}`;
  const apply = "To keep a stash, apply it and commit.";
  return `Of no task, and not part of ${name}: ${describeLoose(loose)}. ${loose.commits.length > 0 ? include : apply}`;
}

/** Warns that a new owner closes returned work without the commits that were to land. */
async function workElsewhere(db: Reader, row: TaskToChange, work: WorkDone | undefined): Promise<Warning[]> {
  if (row.status === "CLOSED" || work?.commits) return [];
  const earlier = await earlierWork(db, row);
  if (earlier === undefined || earlier.agent === row.owner) return [];
  const message = `Nothing new was committed for ${row.name}: its earlier work is in ${describeWork(earlier)}.`;
  return [{ code: "work_elsewhere", message }];
}

/** A check that was run; `doubt` is why a green one proves nothing about the recorded work. */
interface Checked {
  check: Omit<NewCheck, "author">;
  run: CheckRun;
  doubt?: string;
}

async function checkWork(
  world: FinishWorld,
  row: TaskToChange,
  work: WorkDone | undefined,
  { command, settings, cwd, signal, onOutput }: FinishOptions & { command: string; settings: Settings },
): Promise<Checked> {
  const folder =
    work === undefined || work.space.shared ? await folderInProject(world, row.workstream, cwd) : work.space.path;
  const subject = () => (work === undefined ? subjectOfFolder(world, folder) : subjectOfWorkspace(world, work.space));
  const before = await subject();
  const run = await runCheck(world, {
    command,
    cwd: folder,
    timeoutMs: settings.checkTimeoutSeconds * 1000,
    signal,
    onOutput,
  });
  if (run.interrupted) {
    const message = `The check was interrupted; ${row.name} is still ${row.status}.`;
    throw new Fault("unavailable", "check.interrupted", message);
  }
  const after = run.exitCode === 0 ? await subject() : before;
  const doubt = doubtOf(row, work, before, after);
  const { exitCode: exit_code, seconds, tail } = run;
  return {
    check: { command, exit_code, seconds, tail, commit_id: before.commit, tree: before.tree },
    run,
    ...(doubt !== undefined && { doubt }),
  };
}

/** Why a green check proves nothing: it did not run on what will be recorded as the task's work. */
function doubtOf(row: TaskToChange, work: WorkDone | undefined, before: Subject, after: Subject): string | undefined {
  if (before.commit !== after.commit) return "The workspace moved to another commit while the check ran.";
  if (before.tree !== after.tree) return "Files changed while the check ran: ignore or commit what it writes.";
  if (work === undefined) return undefined;
  const recorded = row.status === "CLOSED" ? row.work_to : work.to;
  if (recorded !== null && before.commit !== recorded) {
    return "The workspace is not at the commit of the task's work.";
  }
  return before.dirty ? "The check saw uncommitted files, which will not land." : undefined;
}

/** The caller's folder when it is in the project, else the project's own. */
async function folderInProject({ context }: FinishWorld, workstream: string, cwd: string): Promise<string> {
  const { root } = await workstreamRow(context.store.db, workstream);
  return root === null || isInside(root, cwd) ? cwd : root;
}

/** Records a check that closes nothing. Faults `task.claim_changed`. */
const recordCheck = taskVerb("task.check", recordCheckIn);

async function recordCheckIn(tx: Tx, row: TaskToChange, claimant: Claimant, { check }: Checked): Promise<Check> {
  const author = claimantName(claimant);
  const now = await taskToChange(tx.db, row);
  requireSameClaim(row, now);
  await tx.patch("tasks", now.id, touched(now, claimant, tx.now), now);
  return insertCheck(tx, now.id, { ...check, author });
}

function checkFailed(row: TaskToChange, { exitCode, timedOut, seconds }: CheckRun, check: Check): Fault {
  const how = timedOut
    ? `timed out after ${duration(seconds * 1000)}`
    : exitCode === null
      ? "died"
      : `ended with ${exitCode}`;
  const name = qualifiedName(row);
  return new Fault(
    "negative",
    "task.check_failed",
    `The check of ${row.name} ${how}, so it is still ${row.status}: ${check.command}`,
    [
      { intent: "See its output", command: `mu task show ${name}` },
      { intent: "Fix it, then retry", command: `mu task close ${name} --check ${shellWord(check.command)}` },
      { intent: "Release the task", command: `mu task release ${name}` },
    ],
    { task: row.name, check },
  );
}

function notVerified(row: TaskToChange, doubt: string): Fault {
  return new Fault(
    "conflict",
    "task.check_required",
    `${doubt} The check result does not count; ${row.name} is still ${row.status}.`,
    [{ intent: "Commit, then close it again", command: `mu task close ${qualifiedName(row)}` }],
  );
}

/** Keeps the commits even if the workspace is deleted. */
async function keepWork(world: FinishWorld, row: TaskToChange, { space, to, commits }: WorkDone): Promise<void> {
  if (to && commits) await (await backendOf(space)).keep?.(world, space.root, qualifiedName(row), to);
}

/** Takes what the owner's workspace has of no task into a finished task that has not landed. Faults as `finishTask`. */
export async function includeLoose(world: FinishWorld, ref: TaskRef, claimant: Claimant): Promise<void> {
  const row = await ownTaskToChange(world.context.store.db, ref, claimant, {});
  const work =
    row.level === "landed" ? undefined : await workOfTask(world, world.context.store.db, row, { include: true });
  if (!work?.to || !work.commits || (work.from === row.work_from && work.to === row.work_to)) return;
  await keepWork(world, row, work);
  await recordInclude(world.context, row, work);
}

const recordInclude = taskVerb("task.include", async (tx, row: TaskToChange, work: WorkDone) => {
  const now = await taskToChange(tx.db, row);
  requireSameClaim(row, now);
  await tx.patch("tasks", now.id, { ...workEnd(work), updated_at: tx.now }, now);
});

function workEnd({ space, from, to }: WorkDone) {
  return { work_agent: space.agent, work_root: space.root, work_from: from, work_to: to };
}

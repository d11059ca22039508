import { sql } from "kysely";
import type { Claimant } from "../agents/agent.js";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import type { RowOf, Tx } from "../db/write.js";
import { Fault } from "../errors.js";
import { enumerate, type TaskRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import {
  type Authority,
  claimantName,
  ownTaskToChange,
  requireAuthority,
  type TaskToChange,
  taskToChange,
  taskVerb,
  touched,
} from "./change.js";
import { type Check, insertCheck, type NewCheck } from "./checks.js";
import { goOnIn } from "./flow/go-on.js";
import { openBlockers } from "./graph.js";
import { insertEvidence, insertNote } from "./notes.js";
import { lookAt, selectTasks, TASK, TASK_STATUSES, type TaskRow, type TaskStatus, taskRow, toTask } from "./task.js";
import { TRANSITIONS, type Transition, transition } from "./transition.js";

export interface StatusOptions extends Authority {
  /** Kept as a note of kind `evidence`, in the same event. */
  evidence?: string | undefined;
}

export const STATUS_CHANGE = shape({
  task: TASK,
  previousStatus: TASK_STATUSES,
  previousOwner: "string | null",
  /** False when nothing was written. */
  changed: "boolean",
});

export type StatusChange = TypeOf<typeof STATUS_CHANGE>;

export interface ReleaseOptions extends StatusOptions {
  /** Release from any status, not just IN_PROGRESS. */
  reopen?: boolean | undefined;
}

/**
 * Gives the task back: IN_PROGRESS becomes OPEN without an owner; other statuses stay as they are unless `reopen` is
 * set. Faults `task.not_owner`, `task.not_found`, `agent.not_found`, `agent.replaced`.
 */
export const releaseTask = taskVerb("task.release", releaseTaskIn);

export async function releaseTaskIn(
  tx: Tx,
  ref: TaskRef,
  claimant: Claimant,
  options: ReleaseOptions = {},
): Promise<StatusChange> {
  const row = await ownTaskToChange(tx.db, ref, claimant, options);
  return changeStatus(tx, row, claimant, options.reopen ? "open" : "release", options);
}

/** Makes the task OPEN from any status. Faults as `releaseTask`. */
export const openTask = taskVerb("task.open", openTaskIn);

export function openTaskIn(tx: Tx, ref: TaskRef, claimant: Claimant, options?: StatusOptions): Promise<StatusChange> {
  return releaseTaskIn(tx, ref, claimant, { ...options, reopen: true });
}

export interface CloseOptions extends StatusOptions {
  /** Leave the task alone, without a fault, while something blocks it. */
  ifReady?: boolean | undefined;
  /** The proof that was collected before the write. */
  finding?: Finding | undefined;
  /** How it ended, in the words of its kind: \`done\`, \`pass\`, \`fail\` … */
  outcome?: string | undefined;
}

/** The proof that a task is done. Valid for one claim only. */
export interface Finding {
  /** The task when the proof was collected. */
  before: Claimed;
  /** The commits that are the task's work. */
  work?: Pick<TaskRow, "work_agent" | "work_root" | "work_from" | "work_to">;
  check?: NewCheck;
  level?: "verified" | "landed";
}

/** What identifies one claim of a task. */
export type Claimed = Pick<TaskRow, "name" | "workstream" | "claim_generation" | "owner_id" | "status">;

/** The result of a close; with `skipped`, the task was left alone because of `blockers`. */
export interface Closing extends StatusChange {
  skipped?: "not_ready";
  blockers?: string[];
  /** The check of the finding, as it was recorded. */
  check?: Check;
}

/**
 * Makes the task CLOSED from any status, and records the proof that it is done; a CLOSED one can still be verified. Its
 * owner stays, as history. Faults as `releaseTask`, and `task.claim_changed`.
 */
export const closeTask = taskVerb("task.close", closeTaskIn);

export async function closeTaskIn(
  tx: Tx,
  ref: TaskRef,
  claimant: Claimant,
  options: CloseOptions = {},
): Promise<Closing> {
  const row = await taskToChange(tx.db, ref);
  if (options.finding !== undefined) requireSameClaim(options.finding.before, row);
  await requireAuthority(tx.db, row, claimant, options);
  if (options.ifReady && row.blocked !== 0) {
    return { ...unchanged(row), skipped: "not_ready", blockers: await openBlockers(tx.db, row.id) };
  }
  const { check, work, level } = options.finding ?? {};
  const proof = {
    ...work,
    ...(level !== undefined && row.level !== "landed" && { level }),
    ...(level === "landed" && work !== undefined && { landed_commit: work.work_to }),
    ...(options.outcome !== undefined && { outcome: options.outcome }),
  };
  const change = await changeStatus(tx, row, claimant, "close", { ...options, proof });
  if (row.status !== "CLOSED") await goOnIn(tx, row);
  if (check === undefined) return change;
  return { ...change, changed: true, check: await insertCheck(tx, row.id, check) };
}

/** Refuses a proof of an earlier claim. Faults `task.claim_changed`. */
export function requireSameClaim(before: Claimed, now: TaskToChange): void {
  const identity = ["claim_generation", "owner_id", "status"] as const;
  if (identity.every((column) => before[column] === now[column])) return;
  throw new Fault(
    "conflict",
    "task.claim_changed",
    `${now.name} is now ${now.status}${now.owner === null ? "" : ` by ${now.owner}`}: it changed while its work was examined, so it was not closed.`,
    [lookAt(now)],
  );
}

export interface SweepOptions extends StatusOptions {
  /** Do the same to every live task that waits for this one, directly or not. */
  cascade?: boolean | undefined;
}

/** The result of a reject or a defer; `affected` names every task that changed. */
export interface Sweep extends StatusChange {
  affected: string[];
}

/**
 * Makes the task REJECTED: it will not be done. Faults `task.has_open_dependents` without `cascade` if others wait for
 * it, and as `releaseTask`.
 */
export const rejectTask = sweepVerb("reject");

/** Makes the task DEFERRED: not now. Faults as `rejectTask`. */
export const deferTask = sweepVerb("defer");

function sweepVerb(verb: "reject" | "defer") {
  return taskVerb(`task.${verb}`, (tx, ref, claimant: Claimant, options?: SweepOptions) =>
    sweepTaskIn(tx, ref, claimant, verb, options),
  );
}

async function sweepTaskIn(
  tx: Tx,
  ref: TaskRef,
  claimant: Claimant,
  verb: "reject" | "defer",
  options: SweepOptions = {},
): Promise<Sweep> {
  const row = await ownTaskToChange(tx.db, ref, claimant, options);
  const dependents =
    row.status === TRANSITIONS[verb].to && !options.cascade ? [] : await selectSweep(tx.db, { root: row.id });
  if (dependents.length > 0 && !options.cascade) throw hasOpenDependents(row, verb, dependents);

  const result = await changeStatus(tx, row, claimant, verb, options);
  const affected = result.task.status === row.status ? [] : [row.name];
  for (const dependent of dependents) {
    await requireAuthority(tx.db, dependent, claimant, options);
    await transition(tx, dependent, verb);
    affected.push(dependent.name);
  }
  return { ...result, changed: result.changed || affected.length > 0, affected };
}

function hasOpenDependents(row: TaskRow, verb: "reject" | "defer", dependents: readonly TaskRow[]): Fault {
  const names = dependents.map((dependent) => dependent.name);
  return new Fault(
    "conflict",
    "task.has_open_dependents",
    `${enumerate(names)} would wait for ${row.name} forever.`,
    [
      {
        intent: `${verb === "reject" ? "Reject" : "Defer"} them too`,
        command: `mu task ${verb} ${row.name} --cascade -w ${row.workstream}`,
      },
      { intent: "See what waits for it", command: `mu task tree ${row.name} --down -w ${row.workstream}` },
    ],
    { dependents: names },
  );
}

/** Takes the transition if there is one from here, and keeps the evidence in either case. */
async function changeStatus(
  tx: Tx,
  row: TaskToChange,
  claimant: Claimant,
  verb: Transition,
  { evidence, proof = {} }: StatusOptions & { proof?: Partial<RowOf<"tasks">> },
): Promise<StatusChange> {
  let after = await transition(tx, row, verb, proof);
  if (after === undefined) {
    if (evidence === undefined && Object.keys(proof).length === 0) return unchanged(row);
    const columns = { ...touched(row, claimant, tx.now), ...proof };
    await tx.patch("tasks", row.id, columns, row);
    after = { ...row, ...columns };
  }
  await insertEvidence(tx, row.id, claimantName(claimant), evidence);
  return { ...unchanged(row), task: toTask(after), changed: true };
}

/** The result of a verb that leaves the task as it is. */
export function unchanged(row: TaskRow): StatusChange {
  return { task: toTask(row), previousStatus: row.status as TaskStatus, previousOwner: row.owner, changed: false };
}

/** The live tasks that wait for a task, through live tasks only. */
const selectSweep = statement((db, { root }: { root: number }) =>
  selectTasks(db)
    .select("o.closed_at as owner_closed_at")
    .where(
      sql<boolean>`t.id in (
        with recursive sweep(id) as (
          select d.id from task_edges e join tasks d on d.id = e.blocked_id
          where e.blocker_id = ${root} and d.status in ('OPEN', 'IN_PROGRESS')
          union
          select d.id from sweep s join task_edges e on e.blocker_id = s.id join tasks d on d.id = e.blocked_id
          where d.status in ('OPEN', 'IN_PROGRESS'))
        select id from sweep)`,
    )
    .orderBy("t.name"),
);

/** What rejecting or deferring `ref` with `cascade` would change. Faults `task.not_found`. */
export async function previewCascade(
  db: Reader,
  ref: TaskRef,
): Promise<{ task: string; affected: { name: string; status: TaskStatus }[] }> {
  const row = await taskRow(db, ref);
  const rows = [row, ...(await selectSweep(db, { root: row.id }))];
  return { task: row.name, affected: rows.map(({ name, status }) => ({ name, status: status as TaskStatus })) };
}

/**
 * Releases the tasks of the agent with row id `owner`, each with a note that says why; for the write that closes the
 * row. Returns the names of the tasks.
 */
export async function releaseOwned(tx: Tx, owner: number, note: { author: string; text: string }): Promise<string[]> {
  const tasks = await ownedTasks(tx, owner);
  for (const task of tasks) {
    await transition(tx, task, "release");
    await insertNote(tx, task.id, note.author, { text: note.text });
  }
  return tasks.map(({ name }) => name);
}

/** Moves the tasks of the agent with row id `from` to another incarnation. Returns their names. */
export async function passOn(tx: Tx, from: number, to: number): Promise<string[]> {
  const tasks = await ownedTasks(tx, from);
  for (const task of tasks) await tx.patch("tasks", task.id, { owner_id: to, updated_at: tx.now }, task);
  return tasks.map(({ name }) => name);
}

/**
 * Returns an OPEN task to the incarnation with row id `owner`, of an agent that had it before; the start of its work
 * stays and nothing is checked. Undefined if the task is not OPEN.
 */
export function resumeTask(tx: Tx, row: RowOf<"tasks">, owner: number): Promise<RowOf<"tasks"> | undefined> {
  return transition(tx, row, "claim", { owner_id: owner, claim_generation: row.claim_generation + 1 });
}

function ownedTasks(tx: Tx, owner: number) {
  return tx.db
    .selectFrom("tasks")
    .selectAll()
    .where("owner_id", "=", owner)
    .where("status", "=", "IN_PROGRESS")
    .orderBy("id")
    .execute();
}

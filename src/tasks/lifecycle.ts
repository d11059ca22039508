import { sql } from "kysely";
import type { Claimant } from "../agents/agent.js";
import type { Context } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import { type Tx, write } from "../db/write.js";
import { Fault } from "../errors.js";
import { enumerate, qualifiedName, type TaskRef } from "../names.js";
import { type Authority, claimantName, requireAuthority, type TaskToChange, taskToChange, touched } from "./change.js";
import { type Check, insertCheck, type NewCheck } from "./checks.js";
import { awaitedName } from "./edge.js";
import { blockersOfId } from "./graph.js";
import { insertNote } from "./notes.js";
import { selectTasks, type Task, type TaskRow, type TaskStatus, taskRow, toTask } from "./task.js";

/** From which status a verb leads to which. Every change of status in the tree is one of these. */
export const TRANSITIONS = {
  claim: { from: ["OPEN"], to: "IN_PROGRESS" },
  steal: { from: ["IN_PROGRESS"], to: "IN_PROGRESS" },
  release: { from: ["IN_PROGRESS"], to: "OPEN" },
  open: { from: ["IN_PROGRESS", "CLOSED", "REJECTED", "DEFERRED"], to: "OPEN" },
  close: { from: ["OPEN", "IN_PROGRESS", "REJECTED", "DEFERRED"], to: "CLOSED" },
  reject: { from: ["OPEN", "IN_PROGRESS", "CLOSED", "DEFERRED"], to: "REJECTED" },
  defer: { from: ["OPEN", "IN_PROGRESS", "CLOSED", "REJECTED"], to: "DEFERRED" },
} as const satisfies Record<string, { from: readonly TaskStatus[]; to: TaskStatus }>;

/** The verbs that set a status and nothing else. */
export type StatusVerb = "release" | "open" | "close" | "reject" | "defer";

export interface StatusOptions extends Authority {
  /** Kept as a note of kind `evidence`, in the same event. */
  evidence?: string | undefined;
}

export interface StatusChange {
  task: Task;
  previousStatus: TaskStatus;
  previousOwner: string | null;
  /** False when nothing was written. */
  changed: boolean;
}

/**
 * Gives the task back: IN_PROGRESS becomes OPEN without an owner. With `reopen` any status does; without it
 * other statuses stay as they are. Faults `task.not_owner`, `task.not_found`, `agent.not_found`, `agent.replaced`.
 */
export function releaseTask(
  context: Context,
  ref: TaskRef,
  claimant: Claimant,
  options: StatusOptions & { reopen?: boolean | undefined } = {},
): Promise<StatusChange> {
  return changeStatus(context, ref, claimant, options.reopen ? "open" : "release", options, "task.release");
}

/** Makes the task OPEN from any status. Faults as `releaseTask`. */
export function openTask(
  context: Context,
  ref: TaskRef,
  claimant: Claimant,
  options: StatusOptions = {},
): Promise<StatusChange> {
  return changeStatus(context, ref, claimant, "open", options);
}

export interface CloseOptions extends StatusOptions {
  /** Leave the task alone, without a fault, while something blocks it. */
  ifReady?: boolean | undefined;
  /** What was found out about the work before the write. */
  finding?: Finding | undefined;
}

/** What shows that a task is done. It is about one claim, and worth nothing for another. */
export interface Finding {
  /** The task when it was looked at. */
  before: Claimed;
  /** The commits that are the task's work. */
  work?: Pick<TaskRow, "work_agent" | "work_root" | "work_from" | "work_to">;
  check?: NewCheck;
  level?: "verified" | "landed";
}

/** What tells one claim of a task from another. */
export type Claimed = Pick<TaskRow, "name" | "workstream" | "claim_generation" | "owner_id" | "status">;

/** What became of a close: with `skipped`, the task was left alone because of `blockers`. */
export interface Closing extends StatusChange {
  skipped?: "not_ready";
  blockers?: string[];
  /** The check of the finding, as it was written down. */
  check?: Check;
}

/** Makes the task CLOSED from any status; its owner stays, as history. Faults as `releaseTask`. */
export function closeTask(
  context: Context,
  ref: TaskRef,
  claimant: Claimant,
  options: CloseOptions = {},
): Promise<Closing> {
  return write(context, specOf("task.close", ref), async (tx) => {
    const row = await taskToChange(tx.db, ref);
    if (options.finding !== undefined) requireSameClaim(options.finding.before, row);
    await requireAuthority(tx.db, row, claimant, options);
    if (!options.ifReady || row.blocked === 0) return close(tx, row, claimant, options);
    const blockers = (await blockersOfId(tx.db, row.id)).filter((blocker) => !blocker.satisfied);
    return { ...unchanged(row), skipped: "not_ready", blockers: blockers.map(awaitedName) };
  });
}

/** Closes the task and writes down what shows that it is done; a CLOSED one may be verified afterwards. */
async function close(tx: Tx, row: TaskToChange, claimant: Claimant, options: CloseOptions): Promise<Closing> {
  const { check, work, level } = options.finding ?? {};
  const proof = {
    ...work,
    ...(level !== undefined && row.level !== "landed" && { level }),
    ...(level === "landed" && work !== undefined && { landed_commit: work.work_to }),
  };
  const change = await settle(tx, row, claimant, "close", { ...options, proof });
  if (check === undefined) return change;
  return { ...change, changed: true, check: await insertCheck(tx, row.id, check) };
}

/** Refuses what was found out about another claim than the present one. Faults `task.claim_changed`. */
export function requireSameClaim(before: Claimed, now: TaskToChange): void {
  const isSame = (["claim_generation", "owner_id", "status"] as const).every(
    (column) => before[column] === now[column],
  );
  if (isSame) return;
  throw new Fault(
    "conflict",
    "task.claim_changed",
    `${now.name} is ${now.status}${now.owner === null ? "" : ` by ${now.owner}`} by now: it changed while its work was looked at, so nothing was closed.`,
    [{ intent: "Look at it", command: `mu task show ${now.workstream}/${now.name}` }],
  );
}

export interface SweepOptions extends StatusOptions {
  /** Do the same to every live task that waits for this one, however far. */
  cascade?: boolean | undefined;
}

/** What became of a reject or a defer; `affected` names every task that changed. */
export interface Sweep extends StatusChange {
  affected: string[];
}

/**
 * Makes the task REJECTED: it will not be done. Faults `task.has_open_dependents` without `cascade` when others
 * wait for it, and as `releaseTask`.
 */
export function rejectTask(
  context: Context,
  ref: TaskRef,
  claimant: Claimant,
  options: SweepOptions = {},
): Promise<Sweep> {
  return sweep(context, ref, claimant, "reject", options);
}

/** Makes the task DEFERRED: not now. Faults as `rejectTask`. */
export function deferTask(
  context: Context,
  ref: TaskRef,
  claimant: Claimant,
  options: SweepOptions = {},
): Promise<Sweep> {
  return sweep(context, ref, claimant, "defer", options);
}

function sweep(
  context: Context,
  ref: TaskRef,
  claimant: Claimant,
  verb: "reject" | "defer",
  options: SweepOptions,
): Promise<Sweep> {
  return write(context, specOf(`task.${verb}`, ref), async (tx) => {
    const row = await taskToChange(tx.db, ref);
    await requireAuthority(tx.db, row, claimant, options);
    const dependents = row.status === TRANSITIONS[verb].to && !options.cascade ? [] : await sweepRows(tx.db, row.id);
    if (dependents.length > 0 && !options.cascade) throw hasOpenDependents(row, verb, dependents);

    const result = await settle(tx, row, claimant, verb, options);
    const affected = result.task.status === row.status ? [] : [row.name];
    for (const dependent of dependents) {
      await requireAuthority(tx.db, dependent, claimant, options);
      await tx.patch("tasks", dependent.id, columnsOf(verb, tx.now), dependent);
      affected.push(dependent.name);
    }
    return { ...result, changed: result.changed || affected.length > 0, affected };
  });
}

function hasOpenDependents(row: TaskRow, verb: "reject" | "defer", dependents: readonly TaskRow[]): Fault {
  const names = dependents.map((dependent) => dependent.name);
  return new Fault(
    "conflict",
    "task.has_open_dependents",
    `${enumerate(names)} would wait for ${row.name} forever.`,
    [
      { intent: `${verb} them too`, command: `mu task ${verb} ${row.name} --cascade -w ${row.workstream}` },
      { intent: "See what waits for it", command: `mu task tree ${row.name} --down -w ${row.workstream}` },
    ],
    { dependents: names },
  );
}

function changeStatus(
  context: Context,
  ref: TaskRef,
  claimant: Claimant,
  verb: StatusVerb,
  options: StatusOptions,
  op = `task.${verb}`,
): Promise<StatusChange> {
  return write(context, specOf(op, ref), async (tx) => {
    const row = await taskToChange(tx.db, ref);
    await requireAuthority(tx.db, row, claimant, options);
    return settle(tx, row, claimant, verb, options);
  });
}

const specOf = (op: string, ref: TaskRef) => ({ op, scope: ref.workstream, subject: qualifiedName(ref) });

/** What a close writes beside the status. */
type Proof = Partial<Pick<TaskRow, "level" | "landed_commit" | "work_agent" | "work_root" | "work_from" | "work_to">>;

/** Takes the transition when there is one from here, and keeps the evidence in either case. */
async function settle(
  tx: Tx,
  row: TaskToChange,
  claimant: Claimant,
  verb: StatusVerb,
  { evidence, proof = {} }: StatusOptions & { proof?: Proof },
): Promise<StatusChange> {
  const moves = (TRANSITIONS[verb].from as readonly string[]).includes(row.status);
  if (!moves && evidence === undefined && Object.keys(proof).length === 0) return unchanged(row);
  const columns = {
    ...(moves ? columnsOf(verb, tx.now) : touched(row, claimantName(claimant), tx.now)),
    ...proof,
  };
  await tx.patch("tasks", row.id, columns, row);
  if (evidence !== undefined)
    await insertNote(tx, row.id, claimantName(claimant), { text: evidence, kind: "evidence" });
  const owner = "owner_id" in columns && columns.owner_id === null ? null : row.owner;
  return { ...unchanged(row), task: toTask({ ...row, ...columns, owner }), changed: true };
}

function unchanged(row: TaskToChange): StatusChange {
  return { task: toTask(row), previousStatus: row.status as TaskStatus, previousOwner: row.owner, changed: false };
}

/** What a verb writes: only a CLOSED task keeps its owner, only one that is over has a moment of its end. */
export function columnsOf(verb: StatusVerb, now: string) {
  const status = TRANSITIONS[verb].to;
  return {
    status,
    ...(status !== "CLOSED" && { owner_id: null }),
    lease_until: null,
    lease_seconds: null,
    closed_at: status === "CLOSED" || status === "REJECTED" ? now : null,
    level: null,
    work_to: null,
    landed_commit: null,
    updated_at: now,
  };
}

/** The live tasks that wait for a task, through live tasks: what waits for one that is over is not its business. */
const selectSweep = statement((db, { root }: { root: number }) =>
  selectTasks(db)
    .select([sql<number>`1`.as("blocked"), "o.closed_at as owner_closed_at"])
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

/** The rows that a cascade from `id` takes along, by name, without `id` itself. */
export function sweepRows(db: Reader, id: number): Promise<TaskToChange[]> {
  return selectSweep(db, { root: id });
}

/** What `cascade` would do: the task and every live task that waits for it. */
export interface SweepPreview {
  task: string;
  affected: { name: string; status: TaskStatus }[];
}

/** What rejecting or deferring `ref` with `cascade` would change. Faults `task.not_found`. */
export async function previewCascade(db: Reader, ref: TaskRef): Promise<SweepPreview> {
  const row = await taskRow(db, ref);
  const rows = [row, ...(await sweepRows(db, row.id))];
  return { task: row.name, affected: rows.map(({ name, status }) => ({ name, status: status as TaskStatus })) };
}

/**
 * Gives back what the agent with row id `owner` is working on, each task with a note that says why; for the write
 * that closes the row. Gives the names of the tasks.
 */
export async function releaseOwned(tx: Tx, owner: number, note: { author: string; text: string }): Promise<string[]> {
  const tasks = await ownedTasks(tx, owner);
  for (const task of tasks) {
    await tx.patch("tasks", task.id, columnsOf("release", tx.now), task);
    await insertNote(tx, task.id, note.author, { text: note.text });
  }
  return tasks.map(({ name }) => name);
}

/** Lets another incarnation go on with what the agent with row id `from` is working on. Gives the tasks' names. */
export async function passOn(tx: Tx, from: number, to: number): Promise<string[]> {
  const tasks = await ownedTasks(tx, from);
  for (const task of tasks) await tx.patch("tasks", task.id, { owner_id: to, updated_at: tx.now }, task);
  return tasks.map(({ name }) => name);
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

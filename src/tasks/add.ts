import { sql } from "kysely";
import type { Context } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import { type Tx, write } from "../db/write.js";
import { Fault } from "../errors.js";
import { checkTaskName, qualifiedName, quote, slug, type TaskRef, unusedName, wholeSlug } from "../names.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { awaitedName, type EdgeLevel } from "./edge.js";
import { type NewTaskFields, newTaskRow } from "./fields.js";
import { blockerRows, insertEdge } from "./graph.js";
import { lineageIn, twinOf } from "./lineage.js";
import { insertNote, type NewNote } from "./notes.js";
import { findTask, getTask, type Task, taskRow } from "./task.js";

export type NewTask = NewTaskFields & {
  /** Derived from the title by default. */
  name?: string | undefined;
  /** The job or intake that the task belongs to, by name. */
  root?: string | null | undefined;
  /** The tasks that it waits for, as `build` or `build@landed`. */
  blockedBy?: readonly string[] | undefined;
  /** The level for blockers that name none; `closed` by default. */
  until?: EdgeLevel | undefined;
  notes?: readonly (string | NewNote)[] | undefined;
};

export interface Addition {
  task: Task;
  /** The tasks that it waits for, as `build` or `build@landed`. */
  blockers: string[];
  /** The full name of the title, if it had to be cut. */
  truncated?: string;
  /** A task of that title that the same run has added before. */
  twin?: string;
}

/**
 * Adds a task with its edges and notes. Faults `task.exists` for a given name, `task.invalid_name` when the
 * title makes none, `task.invalid_field`, `task.invalid_note`, `task.cross_workstream`, `task.not_found`,
 * `task.invalid_level`, `workstream.not_found`; of a run that adds more than it may, `run.too_many_tasks`, `run.too_deep`.
 */
export function addTask(context: Context, workstream: string, spec: NewTask): Promise<Addition> {
  return write(context, { op: "task.add", scope: workstream, subject: workstream }, async (tx) => {
    const addition = await addTaskIn(tx, workstream, spec);
    tx.about(qualifiedName(addition.task));
    return addition;
  });
}

export async function addTaskIn(tx: Tx, workstream: string, spec: NewTask): Promise<Addition> {
  const { id: workstreamId } = await workstreamRow(tx.db, workstream);
  const ref = { workstream, name: await chooseName(tx.db, workstream, workstreamId, spec) };

  const blockers = await blockerRows(tx.db, ref, spec.blockedBy ?? [], spec.until);
  const fields = newTaskRow(workstreamId, ref.name, spec, tx.now);
  const lineage = await lineageIn(tx);
  const twin = await twinOf(tx.db, lineage.from_run, fields.title);
  const root = spec.root == null ? null : (await taskRow(tx.db, { workstream, name: spec.root })).id;
  const { id } = await tx.insert("tasks", { ...fields, ...lineage, root_id: root });
  for (const blocker of blockers.values()) await insertEdge(tx, blocker.id, id, blocker.until);
  await addNotes(tx, id, tx.actor, spec.notes ?? []);

  const asked = wholeSlug(spec.title);
  return {
    task: await getTask(tx.db, ref),
    blockers: [...blockers.values()].map(({ name, until = "closed" }) => awaitedName({ name, until })),
    ...(spec.name === undefined && asked !== slug(spec.title) && { truncated: asked }),
    ...(twin !== undefined && { twin }),
  };
}

/** Adds notes to a new task. Faults `task.invalid_note`. */
export async function addNotes(
  tx: Tx,
  taskId: number,
  author: string,
  notes: readonly (string | NewNote)[],
): Promise<void> {
  for (const note of notes) await insertNote(tx, taskId, author, typeof note === "string" ? { text: note } : note);
}

/** The given name if it is free; without one, a free name from the title. Faults `task.exists`, `task.invalid_name`. */
async function chooseName(db: Reader, workstream: string, id: number, spec: NewTask): Promise<string> {
  if (spec.name !== undefined) {
    checkTaskName(spec.name);
    const ref = { workstream, name: spec.name };
    if ((await findTask(db, ref)) !== undefined) throw taskExists(ref);
    return spec.name;
  }
  const wanted = slug(spec.title);
  if (wanted === "") throw noName(spec.title);
  const taken = await namesLike(db, id, wanted);
  return unusedName(wanted, (name) => taken.has(name));
}

/** The names of a workstream's tasks that begin like that. */
export async function namesLike(db: Reader, workstreamId: number, start: string): Promise<Set<string>> {
  const pattern = `${start.replace(/_/g, "\\_")}%`;
  return new Set((await selectNamesLike(db, { id: workstreamId, pattern })).map(({ name }) => name));
}

const selectNamesLike = statement((db, { id, pattern }: { id: number; pattern: string }) =>
  db
    .selectFrom("tasks")
    .select("name")
    .where("workstream_id", "=", id)
    .where(sql<boolean>`name like ${pattern} escape '\\'`),
);

/** The fault for a name that is taken. */
export function taskExists({ workstream, name }: TaskRef): Fault {
  return new Fault("conflict", "task.exists", `${workstream} already has a task ${quote(name)}.`, [
    { intent: "Show it", command: `mu task show ${name} -w ${workstream}` },
    { intent: "Change it", command: `mu task update ${name} --title '…' -w ${workstream}` },
  ]);
}

function noName(title: string): Fault {
  return new Fault(
    "usage",
    "task.invalid_name",
    title === ""
      ? "A task needs a title."
      : `The title ${quote(title)} has no letter or digit to make a name from. Give the task a name.`,
    [{ intent: title === "" ? "Give it one" : "Name it yourself", command: "mu task add <name> --title '…'" }],
  );
}

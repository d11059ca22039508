import type { Tx } from "../db/write.js";
import { Fault } from "../errors.js";
import { quote, type TaskRef } from "../names.js";
import { taskVerb, touched, writerOf } from "./change.js";
import { FIELD_OF_COLUMN, type TaskColumns, type TaskFields, taskColumns } from "./fields.js";
import { getTask, lookAt, type Task, type TaskRow, taskRow } from "./task.js";

export interface TaskUpdate extends TaskFields {
  /** Added to the tags, after `tags` and `removeTags`. */
  addTags?: readonly string[] | undefined;
  removeTags?: readonly string[] | undefined;
  /** The job or intake that the task belongs to, by name; null for none. */
  root?: string | null | undefined;
}

/** The task after an update, and which of the given fields were different before. */
export interface Update {
  task: Task;
  changedFields: string[];
}

/**
 * Sets the given fields of the task; those that have the value already are no change. Letting go of a hold, or
 * setting one without a reason, clears the reason. Faults `task.nothing_to_update` when no field is given,
 * `task.invalid_field`, `task.invalid_root`, `task.not_found`; `task.changed_meanwhile` if a given field is not as
 * `expected` any more.
 */
export const updateTask = taskVerb("task.update", updateTaskIn);

export async function updateTaskIn(
  tx: Tx,
  ref: TaskRef,
  update: TaskUpdate,
  expected: TaskFields = {},
): Promise<Update> {
  if (Object.values(update).every((value) => value === undefined)) throw nothingToUpdate(ref);
  const row = await taskRow(tx.db, ref);
  const columns = { ...columnsOf(row, update), ...(await rootColumn(tx, row, update.root)) };
  requireExpected(row, columns, expected);
  const changed = Object.keys(columns).filter((column) => columns[column as never] !== row[column as never]);
  if (changed.length > 0) await tx.patch("tasks", row.id, { ...columns, ...touched(row, writerOf(tx), tx.now) }, row);
  const changedFields = [...SETTABLE].filter(([column]) => changed.includes(column)).map(([, field]) => field);
  return { task: await getTask(tx.db, ref), changedFields };
}

/** The fields that an update sets, by column. */
const SETTABLE = new Map([...FIELD_OF_COLUMN, ["root_id", "root"]]);

function columnsOf(row: TaskRow, { addTags, removeTags, root: _, ...fields }: TaskUpdate): TaskColumns {
  const columns = taskColumns({ ...fields, tags: tagsAfter(row, fields.tags, addTags, removeTags) });
  if (columns.hold === null) return { ...columns, hold_reason: null };
  return columns.hold === undefined ? columns : { hold_reason: null, ...columns };
}

/** Refuses to set what somebody else has set since the writer read it. */
function requireExpected(row: TaskRow, columns: TaskColumns, expected: TaskFields): void {
  const before: TaskColumns = taskColumns(expected);
  const clash = Object.keys(before).find((name) => {
    const column = name as keyof TaskColumns & keyof TaskRow;
    return column in columns && row[column] !== before[column] && row[column] !== columns[column];
  });
  if (clash === undefined) return;
  const [field, now] = [FIELD_OF_COLUMN.get(clash) ?? clash, String(row[clash as keyof TaskRow] ?? "")];
  throw new Fault(
    "conflict",
    "task.changed_meanwhile",
    `The ${field} of ${row.name} was changed meanwhile, to ${quote(now)}. Nothing was written.`,
    [lookAt(row)],
    { field },
  );
}

type Tags = readonly string[] | undefined;

function tagsAfter(row: TaskRow, set: Tags, add: Tags, remove: Tags): string[] | undefined {
  if (set === undefined && add === undefined && remove === undefined) return undefined;
  const present: string[] = row.tags === null ? [] : JSON.parse(row.tags);
  const kept = (set ?? present).filter((tag) => !remove?.includes(tag));
  return [...kept, ...(add ?? [])];
}

async function rootColumn(tx: Tx, row: TaskRow, root: string | null | undefined): Promise<TaskColumns> {
  if (root === undefined) return {};
  if (root === null) return { root_id: null };
  const found = await taskRow(tx.db, { workstream: row.workstream, name: root });
  if (found.id !== row.id) return { root_id: found.id };
  throw new Fault("usage", "task.invalid_root", `${row.name} cannot belong to itself.`, [lookAt(row)]);
}

function nothingToUpdate({ workstream, name }: TaskRef): Fault {
  return new Fault("usage", "task.nothing_to_update", `Say what to change in ${name}.`, [
    { intent: "Set its title", command: `mu task update ${name} --title '…' -w ${workstream}` },
  ]);
}

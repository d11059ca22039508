import { sql } from "kysely";
import type { Change, EventRow } from "../db/events.js";
import { describeTable, goingWith, type JournalledTable, speaks } from "../db/relations.js";
import type { Reader } from "../db/schema.js";
import type { TableName } from "../db/tables.js";
import { readable } from "../db/texts.js";
import { asFault, Fault } from "../errors.js";
import { LOG_ENTRY, toEntry } from "../journal/log.js";
import { expandLabel, labelOf, parentsOf, rowsIn } from "../journal/rows.js";
import type { TaskRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { taskRow } from "./task.js";

/** One value that an event changed, with names in place of ids. */
export const FIELD_CHANGE = shape({
  /** A column of the task (`status`, `owner`), or what was added to it or removed: `note`, `check`, `blocker`, `blocks`. */
  field: "string",
  before: "unknown",
  after: "unknown",
});

export type FieldChange = TypeOf<typeof FIELD_CHANGE>;

/** A line of the log about one task, with what it changed in it. */
export const HISTORY_ENTRY = shape({
  ...LOG_ENTRY,
  changes: [FIELD_CHANGE],
});

export type HistoryEntry = TypeOf<typeof HISTORY_ENTRY>;

/**
 * Everything that happened to the task, oldest first; also to a deleted one. Faults
 * `workstream.not_found`, `task.not_found`.
 */
export async function taskHistory(db: Reader, ref: TaskRef): Promise<HistoryEntry[]> {
  const subject = `${ref.workstream}/${ref.name}`;
  const id = await idOf(db, ref, subject);
  const rows = await db
    .selectFrom("events")
    .selectAll()
    .where((e) => e.or([e("subject", "=", subject), mentions(id, ","), mentions(id, "}")]))
    .orderBy("id")
    .execute();
  const own = rows
    .map((row) => ({ row, changes: (JSON.parse(row.changes) as Change[]).filter((change) => isAbout(change, id)) }))
    .filter(({ row, changes }) => changes.length > 0 || (row.subject === subject && row.changes === "[]"));
  const find = await parentsOf(
    db,
    own.flatMap(({ changes }) => changes.flatMap(rowsIn)).map(({ table, row: { id: _, ...row } }) => ({ table, row })),
  );
  return withoutMentions(own).map(({ row, changes }) => {
    const fields = changes.flatMap((change) => fieldsOf(change, id, find));
    const entry = toEntry(row);
    return { ...entry, text: [entry.text, describeFields(fields)].filter(Boolean).join(": "), changes: fields };
  });
}

/** In compact JSON an id is followed by one of two signs. */
const mentions = (id: number, sign: "," | "}") => sql<boolean>`changes like ${`%id":${id}${sign}%`}`;

async function idOf(db: Reader, ref: TaskRef, subject: string): Promise<number> {
  const row = await taskRow(db, ref).catch(asFault);
  if (!(row instanceof Fault)) return row.id;
  const events = await db
    .selectFrom("events")
    .select("changes")
    .where("subject", "=", subject)
    .orderBy("id", "desc")
    .execute();
  for (const { changes } of events) {
    const gone = (JSON.parse(changes) as Change[]).find(
      (change) => change.table === "tasks" && "remove" in change && change.remove.name === ref.name,
    );
    if (gone !== undefined) return gone.id;
  }
  throw row;
}

/** Columns of other tables that refer to a task and belong in its history, each with its field and label there. */
const ABOUT_TASKS = goingWith("tasks").map(({ name: table, column }) => {
  const { noun, label, inHistoryOf } = describeTable(table);
  return { table, column, ...(inHistoryOf?.[column] ?? { field: noun, value: label }) };
});

function isAbout(change: Change, id: number): boolean {
  if (change.table === "tasks") return change.id === id;
  return ABOUT_TASKS.some(({ table, column }) => change.table === table && valueIn(change, column) === id);
}

function valueIn(change: Change, column: string): unknown {
  if ("insert" in change) return change.insert[column];
  if ("remove" in change) return change.remove[column];
  return change.patch[column]?.[1];
}

/** Shows a write with events in several chains once: by the event with the changes. */
function withoutMentions<T extends { row: EventRow }>(entries: readonly T[]): T[] {
  const recorded = new Set(
    entries.filter(({ row }) => row.changes !== "[]").map(({ row }) => `${row.group_id} ${row.op}`),
  );
  return entries.filter(({ row }) => row.changes !== "[]" || !recorded.has(`${row.group_id} ${row.op}`));
}

type FindRow = Awaited<ReturnType<typeof parentsOf>>;

function fieldsOf(change: Change, task: number, find: FindRow): FieldChange[] {
  const table = change.table as JournalledTable;
  if (table !== "tasks") {
    return ABOUT_TASKS.filter((about) => about.table === table && valueIn(change, about.column) === task).map(
      ({ field, value }) => sides(change, field, (row) => expandLabel(value, table, row, find)),
    );
  }
  if (!("patch" in change)) return [sides(change, "task", (row) => row.title)];
  return Object.entries(change.patch)
    .filter(([column]) => speaks(table, column))
    .map(([column, [before, after]]) => {
      const to = describeTable(table).references[column];
      const show = (value: unknown) =>
        to === undefined || value === null ? readable(value) : nameOf(to, Number(value), find);
      return { field: column.replace(/_id$/, ""), before: show(before), after: show(after) };
    });
}

function nameOf(table: TableName, id: number, find: FindRow): string {
  const row = find(table, id);
  return row === undefined ? "?" : labelOf(table, row, find);
}

function sides(change: Change, field: string, show: (row: Record<string, unknown>) => unknown): FieldChange {
  return {
    field,
    before: "remove" in change ? show(change.remove) : null,
    after: "insert" in change ? show(change.insert) : null,
  };
}

/** `status OPEN → IN_PROGRESS, owner – → worker-1`; the event's own sentence names added and removed rows. */
function describeFields(fields: readonly FieldChange[]): string {
  return fields
    .filter(({ field }) => !["task", "note", "check"].includes(field))
    .map(({ field, before, after }) => `${field} ${short(before)} → ${short(after)}`)
    .join(", ");
}

function short(value: unknown): string {
  if (value === null || value === undefined) return "–";
  const line = String(value).replace(/\s+/g, " ");
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}

import { sql } from "kysely";
import type { Change, EventRow } from "../db/events.js";
import type { JournalledTable, Reader } from "../db/schema.js";
import { LOG_ENTRY, toEntry } from "../journal/log.js";
import { SILENT_COLUMNS } from "../journal/sentences.js";
import type { TaskRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { findTask, taskRow } from "./task.js";

/** One value that an event changed, with the names that ids stood for. */
export const FIELD_CHANGE = shape({
  /** A column of the task (`status`, `owner`), or what was added to or taken from it: `note`, `blocker`, `blocks`. */
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
 * Everything that happened to the task, oldest first; also to one that is deleted by now. Faults
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
  const names = await namesOf(
    db,
    own.flatMap(({ changes }) => changes),
  );
  return withoutMentions(own).map(({ row, changes }) => {
    const fields = changes.flatMap((change) => fieldsOf(change, id, names));
    const entry = toEntry(row);
    return { ...entry, text: [entry.text, tellFields(fields)].filter(Boolean).join(": "), changes: fields };
  });
}

/** Events are stored as compact JSON, so an id stands between a colon and one of two signs. */
const mentions = (id: number, sign: "," | "}") => sql<boolean>`changes like ${`%id":${id}${sign}%`}`;

async function idOf(db: Reader, ref: TaskRef, subject: string): Promise<number> {
  if ((await findTask(db, ref)) !== undefined) return (await taskRow(db, ref)).id;
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
  return (await taskRow(db, ref)).id;
}

const REFERRING: readonly (readonly [JournalledTable, string])[] = [
  ["task_notes", "task_id"],
  ["task_edges", "blocker_id"],
  ["task_edges", "blocked_id"],
];

function isAbout(change: Change, id: number): boolean {
  if (change.table === "tasks") return change.id === id;
  return REFERRING.some(([table, column]) => change.table === table && valueIn(change, column) === id);
}

function valueIn(change: Change, column: string): unknown {
  if ("insert" in change) return change.insert[column];
  if ("remove" in change) return change.remove[column];
  return change.patch[column]?.[1];
}

/** A write that is told in several chains is shown once: where its changes are. */
function withoutMentions<T extends { row: EventRow }>(entries: readonly T[]): T[] {
  const told = new Set(entries.filter(({ row }) => row.changes !== "[]").map(({ row }) => `${row.group_id} ${row.op}`));
  return entries.filter(({ row }) => row.changes !== "[]" || !told.has(`${row.group_id} ${row.op}`));
}

interface Names {
  tasks: Map<number, string>;
  agents: Map<number, string>;
}

/** The names of the tasks and agents that the changes mention; those that are gone have none. */
async function namesOf(db: Reader, changes: readonly Change[]): Promise<Names> {
  const values = (columns: readonly string[]) => [
    0,
    ...new Set(changes.flatMap((change) => columns.flatMap((column) => allValues(change, column)))),
  ];
  const taskIds = values(["blocker_id", "blocked_id", "root_id"]);
  const tasks = await db.selectFrom("tasks").select(["id", "name"]).where("id", "in", taskIds).execute();
  const agents = await db
    .selectFrom("agents")
    .select(["id", "name"])
    .where("id", "in", values(["owner_id"]))
    .execute();
  return {
    tasks: new Map(tasks.map((row) => [row.id, row.name])),
    agents: new Map(agents.map((row) => [row.id, row.name])),
  };
}

function allValues(change: Change, column: string): number[] {
  const found = "patch" in change ? (change.patch[column] ?? []) : [valueIn(change, column)];
  return found.filter((value) => typeof value === "number");
}

function fieldsOf(change: Change, task: number, names: Names): FieldChange[] {
  if (change.table === "task_notes") return [sides(change, "note", (row) => row.text)];
  if (change.table === "task_edges") {
    const blocked = valueIn(change, "blocked_id") === task;
    const other = blocked ? "blocker_id" : "blocked_id";
    return [sides(change, blocked ? "blocker" : "blocks", (row) => names.tasks.get(Number(row[other])) ?? "?")];
  }
  if (!("patch" in change)) return [sides(change, "task", (row) => row.title)];
  return Object.entries(change.patch)
    .filter(([column]) => !SILENT_COLUMNS.has(column))
    .map(([column, [before, after]]) => {
      const named = column === "owner_id" ? names.agents : column === "root_id" ? names.tasks : undefined;
      const show = (value: unknown) => (named && value !== null ? (named.get(Number(value)) ?? "?") : value);
      return { field: column.replace(/_id$/, ""), before: show(before), after: show(after) };
    });
}

function sides(change: Change, field: string, show: (row: Record<string, unknown>) => unknown): FieldChange {
  return {
    field,
    before: "remove" in change ? show(change.remove) : null,
    after: "insert" in change ? show(change.insert) : null,
  };
}

/** `status OPEN → IN_PROGRESS, owner – → worker-1`; what was added or removed is in the sentence already. */
function tellFields(fields: readonly FieldChange[]): string {
  return fields
    .filter(({ field }) => field !== "task" && field !== "note")
    .map(({ field, before, after }) => `${field} ${short(before)} → ${short(after)}`)
    .join(", ");
}

function short(value: unknown): string {
  if (value === null || value === undefined) return "–";
  const line = String(value).replace(/\s+/g, " ");
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}

import type { Claimant } from "../agents/agent.js";
import { fromRow } from "../db/from-row.js";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import type { RowOf, Tx } from "../db/write.js";
import { Fault } from "../errors.js";
import { quote, type TaskRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { actingAgent, claimantName, taskVerb, touched } from "./change.js";
import { cleanText, moment } from "./fields.js";
import { type Task, taskRow, toTask } from "./task.js";

export const NOTE_KINDS = ["note", "decision", "evidence", "review", "test"] as const;
export type NoteKind = (typeof NOTE_KINDS)[number];

/** A note on a task. Notes are never changed. */
export const NOTE = shape({
  author: "string",
  kind: NOTE_KINDS,
  text: "string",
  /** Why, for a decision. */
  rationale: "string | null",
  createdAt: "string",
});

export type Note = TypeOf<typeof NOTE>;

export interface NewNote {
  text: string;
  kind?: NoteKind | undefined;
  rationale?: string | null | undefined;
  /** Whose name the note carries; the writer's without it. */
  author?: string | undefined;
  /** Where it stands in a review. */
  comment?: Pick<RowOf<"task_notes">, "round" | "file" | "line"> | undefined;
}

export interface NoteAddition {
  task: Task;
  note: Note;
}

/**
 * Adds a note; one by the task's owner renews the owner's lease. An agent of any workstream may write, a
 * replaced incarnation may not. Faults `task.not_found`, `task.invalid_note`, `agent.replaced`.
 */
export const addNote = taskVerb("task.note", addNoteIn);

export async function addNoteIn(tx: Tx, ref: TaskRef, writer: Claimant, note: NewNote): Promise<NoteAddition> {
  const row = await taskRow(tx.db, ref);
  if ("agent" in writer && writer.incarnation !== undefined) await actingAgent(tx.db, row, writer);
  const added = await insertNote(tx, row.id, note.author ?? claimantName(writer), note);
  const columns = touched(row, writer, tx.now);
  await tx.patch("tasks", row.id, columns, row);
  return { task: toTask({ ...row, ...columns }), note: added };
}

/** Writes a note inside a write that sets the task's `updated_at` itself. Faults `task.invalid_note`. */
export async function insertNote(tx: Tx, taskId: number, author: string, note: NewNote): Promise<Note> {
  const row = await tx.insert("task_notes", {
    task_id: taskId,
    author: cleanText("author", author),
    kind: noteKind(note.kind ?? "note"),
    text: noteText(note.text),
    rationale: note.rationale == null ? null : cleanText("rationale", note.rationale),
    ...(note.comment ?? { round: null, file: null, line: null }),
    ...{ handled_at: null, handled_by: null },
  });
  return toNote(row);
}

/** Keeps what proves a change of a task, if anything does. */
export async function insertEvidence(tx: Tx, taskId: number, author: string, text: string | undefined): Promise<void> {
  if (text !== undefined) await insertNote(tx, taskId, author, { text, kind: "evidence" });
}

/** A word as a kind of note. Faults `task.invalid_note`. */
export function noteKind(kind: string): NoteKind {
  const found = NOTE_KINDS.find((known) => known === kind);
  if (found !== undefined) return found;
  throw invalid(`Unknown note kind ${quote(kind)}: use ${NOTE_KINDS.join(", ")}.`);
}

/** The text of a note. Faults `task.invalid_note`. */
export function noteText(text: string): string {
  const found = cleanText("text", text);
  if (found.trim() !== "") return found;
  throw invalid("A note needs text.");
}

function invalid(message: string): Fault {
  return new Fault("usage", "task.invalid_note", message, [
    { intent: "Write one", command: "mu task note <task> 'what you found'" },
  ]);
}

const selectNotes = statement((db, { task, since, limit }: { task: number; since: string; limit: number }) =>
  db
    .selectFrom("task_notes")
    .select(["author", "kind", "text", "rationale", "created_at"])
    .where("task_id", "=", task)
    .where("created_at", ">=", since)
    .orderBy("id", "desc")
    .limit(limit),
);

export interface NoteFilter {
  /** Only the newest ones, this many. */
  last?: number | undefined;
  /** Only those written at or after this moment, ISO 8601. */
  since?: string | undefined;
}

/** The notes of a task, oldest first. Faults `task.not_found`, `task.invalid_field`. */
export async function listNotes(db: Reader, ref: TaskRef, filter: NoteFilter = {}): Promise<Note[]> {
  const { id } = await taskRow(db, ref);
  const since = filter.since === undefined ? "" : moment("since", filter.since);
  const rows = await selectNotes(db, { task: id, since, limit: filter.last || Number.MAX_SAFE_INTEGER });
  return rows.reverse().map(toNote);
}

const toNote = (row: Pick<RowOf<"task_notes">, "author" | "kind" | "text" | "rationale" | "created_at">): Note =>
  fromRow(NOTE, row);

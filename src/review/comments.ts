import type { Reader } from "../db/schema.js";
import type { RowOf } from "../db/write.js";
import { Fault } from "../errors.js";
import { qualifiedName, type TaskRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { taskToChange, taskVerb, touched, writerOf } from "../tasks/change.js";
import { taskRow } from "../tasks/task.js";

/** A comment of a review: a note of the kind `review` that its author handles. */
export const COMMENT = shape({
  /** Counts from 1 over all rounds of the task. */
  n: "number",
  round: "number",
  file: "string | null",
  line: "number | null",
  text: "string",
  author: "string",
  createdAt: "string",
  /** Null while it is open. */
  handledAt: "string | null",
  handledBy: "string | null",
});

export type Comment = TypeOf<typeof COMMENT>;

/** A comment as it was written. */
export interface NewComment {
  file: string | null;
  line: number | null;
  text: string;
}

/** A path with spaces must have an extension, so that words before a number are no path. */
const PLACE = /^(\S+?|\S.*?\.\w{1,10}):([1-9]\d{0,8})(?::\d+)?:?(?:\s+|$)/;

/**
 * The comments of a text: one begins on each line that begins with `file:line`, and takes the lines after it. What is
 * before the first is a comment of its own, on no file.
 */
export function parseComments(text: string): NewComment[] {
  const found: NewComment[] = [];
  for (const line of text.split(/\r?\n/)) {
    const place = PLACE.exec(line);
    if (place !== null) found.push({ file: place[1] ?? "", line: Number(place[2]), text: line.slice(place[0].length) });
    else if (found.length === 0) found.push({ file: null, line: null, text: line });
    else (found.at(-1) as NewComment).text += `\n${line}`;
  }
  return found.map((one) => ({ ...one, text: one.text.trim() })).filter(({ text }) => text !== "");
}

/** `src/a.ts:12 text`, as it was written. */
export const commentText = ({ file, line, text }: NewComment) => (file === null ? text : `${file}:${line} ${text}`);

/** The rows of a task's comments, oldest first. */
export function commentRows(db: Reader, task: number): Promise<RowOf<"task_notes">[]> {
  const notes = db.selectFrom("task_notes").selectAll().where("task_id", "=", task);
  return notes.where("round", "is not", null).orderBy("id").execute();
}

/** The comments of all reviews of a task, oldest first. Faults `task.not_found`. */
export async function listComments(db: Reader, ref: TaskRef): Promise<Comment[]> {
  return (await commentRows(db, (await taskRow(db, ref)).id)).map(toComment);
}

function toComment(row: RowOf<"task_notes">, at: number): Comment {
  const { round, file, line, text, author, created_at, handled_at, handled_by } = row;
  const own = file === null ? text : text.slice(`${file}:${line} `.length);
  const handled = { handledAt: handled_at, handledBy: handled_by };
  return { n: at + 1, round: round ?? 0, file, line, text: own, author, createdAt: created_at, ...handled };
}

/** Marks comments of a task as handled; what is handled stays so. Faults `review.comment_not_found`, `task.not_found`. */
export const handleComments = taskVerb("review.handled", async (tx, ref: TaskRef, numbers: readonly number[]) => {
  const task = await taskToChange(tx.db, ref);
  const rows = await commentRows(tx.db, task.id);
  const unknown = numbers.find((n) => rows[n - 1] === undefined);
  if (unknown !== undefined) throw commentNotFound(ref, unknown, rows.length);
  let changed = false;
  for (const n of numbers) {
    const row = rows[n - 1];
    if (row === undefined || row.handled_at !== null) continue;
    rows[n - 1] = await tx.patch("task_notes", row.id, { handled_at: tx.now, handled_by: tx.actor }, row);
    changed = true;
  }
  if (changed) {
    tx.addPayload({ comments: numbers });
    await tx.patch("tasks", task.id, touched(task, writerOf(tx), tx.now), task);
  }
  return rows.map(toComment);
});

function commentNotFound(ref: TaskRef, n: number, count: number): Fault {
  const has = count === 0 ? "has no comments" : `has comments 1 to ${count}`;
  return new Fault("missing", "review.comment_not_found", `There is no comment ${n}: ${ref.name} ${has}.`, [
    { intent: "List them", command: `mu review comments ${qualifiedName(ref)}` },
  ]);
}

import * as z from "zod";
import { listNotes, NOTE } from "../../tasks/notes.js";
import { defineTaskVerb, listed, listOf, type Paint, type TypeOf } from "../define.js";
import { field, momentField } from "../fields.js";

type Note = TypeOf<typeof NOTE>;

export const taskNotes = defineTaskVerb({
  name: "task.notes",
  summary: "Read a task's notes, oldest first",
  effect: "read",
  input: () => ({
    last: field(z.number().int().min(1).optional(), "Only the last ones", { short: "n", aliases: ["tail", "lines"] }),
    since: momentField("Only notes since this date").optional(),
  }),
  output: listOf(NOTE),
  examples: [
    { command: "mu task notes build --last 3", shows: "the last three notes" },
    { command: "mu task notes nobody", shows: "an unknown task", fault: "task.not_found" },
  ],
  run: async (app, ref, given) => listed(await listNotes(app.context.store.db, ref, given)),
  render: ({ items }, paint) => (items.length === 0 ? "No notes." : items.map((note) => noteLines(note, paint))),
});

/** A note as a person reads it: who and when, then the text, set in. */
export function noteLines(note: Note, paint: Paint): string[] {
  const head = `${paint.bold(note.author)} ${paint.dim(`${note.kind === "note" ? "" : `${note.kind}, `}${paint.ago(note.createdAt)} ago`)}`;
  const body = note.rationale ? `${note.text}\nBecause: ${note.rationale}` : note.text;
  return [`  ${head}`, ...body.split("\n").map((line) => `    ${line}`)];
}

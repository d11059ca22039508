import * as z from "zod";
import { claimant } from "../../agents/identity.js";
import { addNote, NOTE } from "../../tasks/notes.js";
import { TASK } from "../../tasks/task.js";
import { defineTaskVerb, step, textOrFile } from "../define.js";
import { field, optionalText, personField } from "../fields.js";

export const taskNote = defineTaskVerb({
  name: "task.note",
  summary: "Add a note to a task",
  description: "Notes are never changed. A note by the task's owner renews the lease of the claim.",
  effect: "write",
  input: () => ({
    text: field(z.string().max(1_048_576).optional(), "Note text; - reads standard input", { lines: true }),
    file: optionalText("Read the note from a file", { value: "path" }),
    kind: field(z.enum(["note", "decision", "evidence", "review", "test"]).default("note"), "What kind of note it is"),
    rationale: field(z.string().max(65_536).optional(), "Rationale, for a decision", { lines: true }),
    author: personField("Author of the note (default: you)", { value: "name" }).optional(),
  }),
  output: { task: TASK, note: NOTE },
  positional: ["text"],
  examples: [
    { command: "mu task note build 'The tests need Node 22'", shows: "a note" },
    { command: "mu task note build --kind decision 'Use SQLite' --rationale 'No server to run'", shows: "a decision" },
    { command: "mu task note build", shows: "nothing to write", fault: "usage.missing_argument" },
  ],
  async run(app, ref, { text, file, author, kind, rationale }) {
    const given = { text: await textOrFile(app.request, text, file), kind, rationale, author: author?.name };
    return addNote(app.context, ref, claimant(app.caller), given);
  },
  next: (_, at) => [step("Read the notes", `mu task notes ${at}`), step("Close the task", `mu task close ${at}`)],
  render: ({ task, note }, paint) => `Added a note to ${paint.bold(task.name)} as ${note.author}`,
});

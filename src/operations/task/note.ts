import * as z from "zod";
import { claimant } from "../../agents/identity.js";
import { qualifiedName } from "../../names.js";
import { addNote, NOTE } from "../../tasks/notes.js";
import { TASK } from "../../tasks/task.js";
import { field, optionalText, personField } from "../fields.js";
import { NEXT_STEPS, step } from "../operation.js";
import { defineTaskVerb } from "../subject.js";
import { textOrFile } from "../text.js";

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
  output: { task: TASK, note: NOTE, nextSteps: NEXT_STEPS },
  positional: ["text"],
  examples: [
    { command: "mu task note build 'The tests need Node 22'", shows: "a note" },
    { command: "mu task note build --kind decision 'Use SQLite' --rationale 'No server to run'", shows: "a decision" },
    { command: "mu task note build", shows: "nothing to write", fault: "usage.missing_argument" },
  ],
  async run(app, ref, { text, file, author, kind, rationale }) {
    const given = { text: await textOrFile(app.request, text, file), kind, rationale, author: author?.name };
    const { task: noted, note } = await addNote(app.context, ref, claimant(app.caller), given);
    return {
      task: noted,
      note,
      nextSteps: [
        step("Read the notes", `mu task notes ${qualifiedName(ref)}`),
        step("Close the task", `mu task close ${qualifiedName(ref)}`),
      ],
    };
  },
  render: ({ task, note }, paint) => `Added a note to ${paint.bold(task.name)} as ${note.author}`,
});

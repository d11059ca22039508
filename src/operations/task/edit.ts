import { taskColumnEntries } from "../../db/task-columns.js";
import type { TaskFields } from "../../tasks/fields.js";
import { getTask, TASK, type Task } from "../../tasks/task.js";
import { updateTask } from "../../tasks/update.js";
import { defineTaskVerb, required, step } from "../define.js";

export const taskEdit = defineTaskVerb({
  name: "task.edit",
  summary: "Edit a task's title and description in your editor",
  description:
    "Opens $VISUAL, else $EDITOR, else vi. The first line is the title, the rest the description. Only what you changed is written; if somebody else changed the same field meanwhile, or your text is refused, it stays in a file that the message names.",
  effect: "write",
  needs: ["terminal"],
  output: { task: TASK, changedFields: "string[]" },
  examples: [
    { command: "mu task edit build", shows: "the text in your editor" },
    { command: "mu task edit nothing", shows: "an unknown task", fault: "task.not_found" },
  ],
  async run(app, ref) {
    const before = await getTask(app.context.store.db, ref);
    const text = documentOf(before);
    return required(app.request, "terminal").edit(text, `${ref.name}.md`, async (edited) => {
      const expected = fieldsOf(text);
      const changes = changed(expected, fieldsOf(edited));
      if (Object.keys(changes).length === 0) return { task: before, changedFields: [] };
      return updateTask(app.context, ref, changes, expected);
    });
  },
  next: (_, at) => [step("Show it", `mu task show ${at}`)],
  render: ({ task, changedFields }, paint) =>
    changedFields.length === 0
      ? "Nothing changed."
      : `Changed ${changedFields.join(" and ")} of ${paint.bold(task.name)}`,
});

/** The fields in the document: a first line, the text below it, and any other below a line with its name. */
const [LINE = "title", TEXT = "description", ...OTHERS] = taskColumnEntries().flatMap(([, { key, edit }]) =>
  key === undefined || edit === undefined ? [] : [key],
);

function documentOf(task: Task): string {
  const value = (field: string) => String(task[field as keyof Task] ?? "");
  const others = OTHERS.map((field) => `\n--- ${field} ---\n${value(field)}\n`);
  return [`${value(LINE)}\n\n${value(TEXT)}\n`, ...others].join("");
}

type Texts = Record<string, string | null>;

/** The fields that are not as they were. */
const changed = (before: Texts, after: Texts): TaskFields =>
  Object.fromEntries(Object.entries(after).filter(([field, text]) => text !== before[field]));

function fieldsOf(document: string): Texts {
  const fields: Texts = {};
  let rest = document.replaceAll("\r\n", "\n");
  for (const field of [...OTHERS].reverse()) {
    const [before = "", text] = rest.split(`\n--- ${field} ---\n`);
    if (text === undefined) continue;
    fields[field] = text.trim() || null;
    rest = before;
  }
  const [line = "", ...text] = rest.split("\n");
  return { ...fields, [LINE]: line.trim(), [TEXT]: text.join("\n").trim() || null };
}

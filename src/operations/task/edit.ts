import * as z from "zod";
import { getTask, TASK } from "../../tasks/task.js";
import { updateTask } from "../../tasks/update.js";
import { taskField, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveTask } from "../resolve.js";
import { NEXT_STEPS, schemaOf } from "../shapes.js";

export const taskEdit = defineOperation({
  name: "task.edit",
  summary: "Edit a task's title and description in your editor",
  description: "Opens $VISUAL, else $EDITOR, else vi. The first line is the title, the rest the description.",
  effect: "write",
  input: () => z.strictObject({ task: taskField(), workstream: workstreamField() }),
  output: () => schemaOf({ task: TASK, changedFields: "string[]", nextSteps: NEXT_STEPS }),
  positional: ["task"],
  examples: [
    { command: "mu task edit build", shows: "the text in your editor" },
    { command: "mu task edit nothing", shows: "a task that is none", fault: "task.not_found" },
  ],
  async run(app, { task, workstream }) {
    const ref = await resolveTask(app, task, workstream);
    const before = await getTask(app.context.store.db, ref);
    const text = await app.io.edit(`${before.title}\n\n${before.description ?? ""}\n`, `${ref.name}.md`);
    const [title = "", ...rest] = text.split(/\r?\n/);
    const description = rest.join("\n").trim();
    const { task: after, changedFields } = await updateTask(app.context, ref, {
      title: title.trim(),
      description: description === "" ? null : description,
    });
    const nextSteps = [{ intent: "Look at it", command: `mu task show ${ref.workstream}/${ref.name}` }];
    return { task: after, changedFields, nextSteps };
  },
  render: ({ task, changedFields }, paint) =>
    changedFields.length === 0
      ? "Nothing changed."
      : `Changed ${changedFields.join(" and ")} of ${paint.bold(task.name)}`,
});

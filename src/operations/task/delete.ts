import * as z from "zod";
import { claimant } from "../../agents/identity.js";
import { counted } from "../../names.js";
import { deleteTask, previewDelete } from "../../tasks/delete.js";
import { taskField, workstreamField, yesField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveTask } from "../resolve.js";
import { NEXT_STEPS, schemaOf } from "../shapes.js";
import { overrideField } from "./change.js";

export const taskDelete = defineOperation({
  name: "task.delete",
  summary: "Delete a task with its edges and notes",
  description: "Its events stay, and `mu undo` restores it. If you decide not to do a task, reject it instead.",
  effect: "destroy",
  input: () =>
    z.strictObject({ task: taskField(), workstream: workstreamField(), override: overrideField(), yes: yesField() }),
  output: () =>
    schemaOf({
      task: "string",
      deleted: "boolean",
      dryRun: "boolean",
      edges: "number",
      notes: "number",
      nextSteps: NEXT_STEPS,
    }),
  positional: ["task"],
  examples: [
    { command: "mu task delete build", shows: "what would be deleted" },
    { command: "mu task delete build --yes", shows: "delete it" },
    { command: "mu task delete nothing --yes", shows: "an unknown task", fault: "task.not_found" },
  ],
  async run(app, { task, workstream, override, yes }) {
    const ref = await resolveTask(app, task, workstream);
    const { edges, notes } = yes
      ? await deleteTask(app.context, ref, claimant(app.caller), { override })
      : await previewDelete(app.context.store.db, ref);
    const again = { intent: "Apply it", command: `mu task delete ${ref.workstream}/${ref.name} --yes` };
    const back = { intent: "Restore it", command: "mu undo --yes" };
    return { task: ref.name, deleted: yes, dryRun: !yes, edges, notes, nextSteps: [yes ? back : again] };
  },
  render: ({ task, deleted, edges, notes }, paint) =>
    `${deleted ? "Deleted" : "Would delete"} ${paint.bold(task)} with ${counted(edges, "edge")} and ${counted(notes, "note")}`,
});

import { claimant } from "../../agents/identity.js";
import { counted, enumerate } from "../../names.js";
import { deleteTask, previewDelete } from "../../tasks/delete.js";
import { defineTaskVerb, step } from "../define.js";
import { yesField } from "../fields.js";
import { overrideField } from "./status.js";

export const taskDelete = defineTaskVerb({
  name: "task.delete",
  summary: "Delete a task with its edges and notes",
  description: "Its events stay, and `mu undo` restores it. If you decide not to do a task, reject it instead.",
  effect: "destroy",
  several: { order: "in turn" },
  input: () => ({ override: overrideField(), yes: yesField() }),
  output: {
    task: "string",
    deleted: "boolean",
    dryRun: "boolean",
    edges: "number",
    notes: "number",
    frees: "string[]",
  },
  examples: [
    { command: "mu task delete build", shows: "what would be deleted" },
    { command: "mu task delete build --yes", shows: "delete it" },
    { command: "mu task delete nothing --yes", shows: "an unknown task", fault: "task.not_found" },
  ],
  async run(app, ref, { override, yes }) {
    const { edges, notes, frees } = yes
      ? await deleteTask(app.context, ref, claimant(app.caller), { override })
      : await previewDelete(app.context.store.db, ref);
    return { task: ref.name, deleted: yes, dryRun: !yes, edges, notes, frees };
  },
  next: ({ deleted }, at, { workstream }) => [
    deleted ? step("Restore it", `mu undo --yes -w ${workstream}`) : step("Apply it", `mu task delete ${at} --yes`),
  ],
  render: ({ task, deleted, edges, notes, frees }, paint) => {
    const what = `${paint.bold(task)} with ${counted(edges, "edge")} and ${counted(notes, "note")}`;
    const freed = frees.length === 0 ? "" : `; nothing else blocks ${enumerate(frees)}`;
    return `${deleted ? "Deleted" : "Would delete"} ${what}${freed}.`;
  },
});

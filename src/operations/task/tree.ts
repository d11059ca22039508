import * as z from "zod";
import { drawTree, TASK_TREE, taskTree } from "../../tasks/tree.js";
import { about, taskField, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveTask } from "../resolve.js";
import { schemaOf } from "../shapes.js";

export const taskTreeOperation = defineOperation({
  name: "task.tree",
  summary: "Draw what a task waits for, or what waits for it",
  description:
    "A task that is reached twice is drawn once and then marked. Indentation ends at depth 32; deeper lines begin with their depth.",
  effect: "read",
  input: () =>
    z.strictObject({
      task: taskField(),
      workstream: workstreamField(),
      down: z.boolean().default(false).meta(about("What waits for it, instead of what it waits for")),
      depth: z.number().int().min(0).optional().meta(about("No deeper than this")),
    }),
  output: () => schemaOf(TASK_TREE),
  positional: ["task"],
  examples: [
    { command: "mu task tree deploy", shows: "what deploy waits for" },
    { command: "mu task tree build --down --depth 1", shows: "what waits for build directly" },
    { command: "mu task tree nothing", shows: "a task that is none", fault: "task.not_found" },
  ],
  async run(app, { task, workstream, down, depth }) {
    const ref = await resolveTask(app, task, workstream);
    return taskTree(app.context.store.db, ref, {
      direction: down ? "dependents" : "blockers",
      ...(depth !== undefined && { depth }),
    });
  },
  render: (tree) => drawTree(tree).join("\n"),
});

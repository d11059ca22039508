import * as z from "zod";
import { drawTree, TASK_TREE, taskTree } from "../../tasks/tree.js";
import { defineTaskVerb } from "../define.js";
import { field, flag } from "../fields.js";

export const taskTreeOperation = defineTaskVerb({
  name: "task.tree",
  summary: "Show the blockers or dependents of a task as a tree",
  description:
    "A task that appears twice is expanded once and marked afterwards. Lines deeper than 32 levels start with their depth instead of more indentation.",
  effect: "read",
  input: () => ({
    down: flag("Show dependents instead of blockers"),
    depth: field(z.number().int().min(0).optional(), "Maximum depth"),
  }),
  output: TASK_TREE,
  examples: [
    { command: "mu task tree deploy", shows: "what deploy waits for" },
    { command: "mu task tree build --down --depth 1", shows: "what waits for build directly" },
    { command: "mu task tree nothing", shows: "an unknown task", fault: "task.not_found" },
  ],
  async run(app, ref, { down, depth }) {
    return taskTree(app.context.store.db, ref, { direction: down ? "dependents" : "blockers", depth });
  },
  render: (tree) => drawTree(tree).join("\n"),
});

import * as z from "zod";
import { blockerRef, blockTask } from "../../tasks/graph.js";
import { about, taskField, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveTask } from "../resolve.js";
import { nextStepsShape, taskShape } from "../shapes.js";

export const taskBlock = defineOperation({
  name: "task.block",
  summary: "Let a task wait for another",
  effect: "write",
  input: () =>
    z.strictObject({
      task: taskField("The task that waits"),
      by: z
        .string()
        .min(1)
        .meta(about("What it waits for", { short: "b", aliases: ["blocked-by"], completes: "task", value: "task" })),
      workstream: workstreamField(),
    }),
  output: () =>
    z.strictObject({ task: taskShape(), blocker: z.string(), changed: z.boolean(), nextSteps: nextStepsShape() }),
  positional: ["task"],
  examples: [
    { command: "mu task block docs --by build", shows: "docs wait for build" },
    { command: "mu task block build --by deploy", shows: "a circle", fault: "task.cycle" },
  ],
  async run(app, { task, by, workstream }) {
    const ref = await resolveTask(app, task, workstream);
    const change = await blockTask(app.context, ref, blockerRef(ref, by));
    const nextSteps = [{ intent: "See the tree", command: `mu task tree ${ref.workstream}/${ref.name}` }];
    return { ...change, nextSteps };
  },
  render: ({ task, blocker, changed }, paint) =>
    changed
      ? `${paint.bold(task.name)} now waits for ${blocker}`
      : `${paint.bold(task.name)} waits for ${blocker} already`,
});

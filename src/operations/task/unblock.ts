import * as z from "zod";
import { blockerRef, unblockTask } from "../../tasks/graph.js";
import { about, taskField, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveTask } from "../resolve.js";
import { nextStepsShape, taskShape } from "../shapes.js";

export const taskUnblock = defineOperation({
  name: "task.unblock",
  summary: "Let a task no longer wait for another",
  effect: "write",
  input: () =>
    z.strictObject({
      task: taskField("The task that waits"),
      by: z
        .string()
        .min(1)
        .meta(
          about("What it shall not wait for", {
            short: "b",
            aliases: ["blocked-by"],
            completes: "task",
            value: "task",
          }),
        ),
      workstream: workstreamField(),
    }),
  output: () =>
    z.strictObject({ task: taskShape(), blocker: z.string(), changed: z.boolean(), nextSteps: nextStepsShape() }),
  positional: ["task"],
  examples: [
    { command: "mu task unblock deploy --by build", shows: "deploy waits no longer for build" },
    { command: "mu task unblock deploy --by nothing", shows: "a task that is none", fault: "task.not_found" },
  ],
  async run(app, { task, by, workstream }) {
    const ref = await resolveTask(app, task, workstream);
    const change = await unblockTask(app.context, ref, blockerRef(ref, by));
    const nextSteps = [{ intent: "See the tree", command: `mu task tree ${ref.workstream}/${ref.name}` }];
    return { ...change, nextSteps };
  },
  render: ({ task, blocker, changed }, paint) =>
    changed
      ? `${paint.bold(task.name)} no longer waits for ${blocker}`
      : `${paint.bold(task.name)} did not wait for ${blocker}`,
});

import * as z from "zod";
import type { Context } from "../../context.js";
import type { TaskRef } from "../../names.js";
import { blockerRef, type EdgeChange } from "../../tasks/graph.js";
import { about, taskField, workstreamField } from "../fields.js";
import { defineOperation, type Operation } from "../operation.js";
import { resolveTask } from "../resolve.js";
import { nextStepsShape, taskShape } from "../shapes.js";

/** What sets `task block` and `task unblock` apart. */
interface EdgeVerb extends Pick<Operation, "name" | "summary" | "examples"> {
  /** What `--by` names. */
  by: string;
  change: (context: Context, task: TaskRef, blocker: TaskRef) => Promise<EdgeChange>;
  /** `docs now waits for`, and what is said when it was so already. */
  done: string;
  already: string;
}

/** A verb that makes or ends one wait of a task for another. */
export function defineEdgeVerb({ by: byWhat, change, done, already, ...verb }: EdgeVerb): Operation {
  return defineOperation({
    ...verb,
    effect: "write",
    input: () =>
      z.strictObject({
        task: taskField("The task that waits"),
        by: z
          .string()
          .min(1)
          .meta(about(byWhat, { short: "b", aliases: ["blocked-by"], completes: "task", value: "task" })),
        workstream: workstreamField(),
      }),
    output: () =>
      z.strictObject({ task: taskShape(), blocker: z.string(), changed: z.boolean(), nextSteps: nextStepsShape() }),
    positional: ["task"],
    async run(app, { task, by, workstream }) {
      const ref = await resolveTask(app, task, workstream);
      const changed = await change(app.context, ref, blockerRef(ref, by));
      const nextSteps = [{ intent: "See the tree", command: `mu task tree ${ref.workstream}/${ref.name}` }];
      return { ...changed, nextSteps };
    },
    render: ({ task, blocker, changed }, paint) => `${paint.bold(task.name)} ${changed ? done : already} ${blocker}`,
  });
}

import * as z from "zod";
import { claimant } from "../../agents/identity.js";
import { closeTask } from "../../tasks/lifecycle.js";
import { about, taskField, textField, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveTask } from "../resolve.js";
import { changeShape, overrideField, renderChange } from "./change.js";

export const taskClose = defineOperation({
  name: "task.close",
  summary: "Finish a task",
  effect: "write",
  input: () =>
    z.strictObject({
      task: taskField(),
      workstream: workstreamField(),
      evidence: textField().optional().meta(about("What shows that it is done, kept as a note")),
      ifReady: z.boolean().default(false).meta(about("Only if nothing blocks it; else say so and exit 0")),
      override: overrideField(),
    }),
  output: () =>
    changeShape().extend({ skipped: z.literal("not_ready").optional(), blockers: z.array(z.string()).optional() }),
  positional: ["task"],
  examples: [
    { command: "mu task close build --evidence 'npm test: 212 passed'", shows: "finish with evidence" },
    { command: "mu task close deploy --if-ready", shows: "skip a task that still waits" },
    { command: "mu task close nothing", shows: "a task that is none", fault: "task.not_found" },
  ],
  async run(app, { task, workstream, ...options }) {
    const ref = await resolveTask(app, task, workstream);
    const change = await closeTask(app.context, ref, claimant(app.caller), options);
    const scope = ref.workstream;
    const nextSteps = change.skipped
      ? [
          { intent: "Wait for what blocks it", command: `mu task wait ${change.blockers?.join(" ")} -w ${scope}` },
          { intent: "Close it all the same", command: `mu task close ${scope}/${ref.name}` },
        ]
      : [
          { intent: "Take another", command: `mu task claim --next -w ${scope}` },
          { intent: "Open it again", command: `mu task open ${scope}/${ref.name}` },
        ];
    return { ...change, nextSteps };
  },
  render: (change, paint) =>
    change.skipped
      ? `Left ${paint.bold(change.task.name)} as it is: blocked by ${change.blockers?.join(", ")}`
      : renderChange(change, paint),
});

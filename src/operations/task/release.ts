import { claimant } from "../../agents/identity.js";
import { releaseTask } from "../../tasks/lifecycle.js";
import { field, flag, taskField, textField, workstreamField } from "../fields.js";
import { defineOperation, step } from "../operation.js";
import { resolveTask } from "../resolve.js";
import { CHANGE, overrideField, renderChange } from "./change.js";

export const taskRelease = defineOperation({
  name: "task.release",
  summary: "Release a task so that others can claim it",
  effect: "write",
  input: () => ({
    task: taskField(),
    workstream: workstreamField(),
    reopen: flag("Reopen it even if it is finished"),
    evidence: field(textField().optional(), "What is done so far, kept as a note"),
    override: overrideField(),
  }),
  output: CHANGE,
  positional: ["task"],
  examples: [
    { command: "mu task release build", shows: "build is OPEN again" },
    { command: "mu task release nothing", shows: "an unknown task", fault: "task.not_found" },
  ],
  async run(app, { task, workstream, ...options }) {
    const ref = await resolveTask(app, task, workstream);
    const change = await releaseTask(app.context, ref, claimant(app.caller), options);
    return { ...change, nextSteps: [step("Take another task", `mu task claim --next -w ${ref.workstream}`)] };
  },
  render: renderChange,
});

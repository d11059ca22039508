import { claimant } from "../../agents/identity.js";
import { releaseTask, STATUS_CHANGE } from "../../tasks/lifecycle.js";
import { defineTaskVerb, step } from "../define.js";
import { field, flag, textField } from "../fields.js";
import { overrideField, renderChange } from "./change.js";

export const taskRelease = defineTaskVerb({
  name: "task.release",
  summary: "Release a task so that others can claim it",
  effect: "write",
  input: () => ({
    reopen: flag("Reopen it even if it is finished"),
    evidence: field(textField().optional(), "What is done so far, kept as a note", { lines: true }),
    override: overrideField(),
  }),
  output: STATUS_CHANGE,
  examples: [
    { command: "mu task release build", shows: "build is OPEN again" },
    { command: "mu task release nothing", shows: "an unknown task", fault: "task.not_found" },
  ],
  run: (app, ref, options) => releaseTask(app.context, ref, claimant(app.caller), options),
  next: ({ task }) => [step("Take another task", `mu task claim --next -w ${task.workstream}`)],
  render: renderChange,
});

import { claimant } from "../../agents/identity.js";
import { releaseTask } from "../../tasks/lifecycle.js";
import { field, flag, textField } from "../fields.js";
import { step } from "../operation.js";
import { defineTaskVerb } from "../subject.js";
import { CHANGE, overrideField, renderChange } from "./change.js";

export const taskRelease = defineTaskVerb({
  name: "task.release",
  summary: "Release a task so that others can claim it",
  effect: "write",
  input: () => ({
    reopen: flag("Reopen it even if it is finished"),
    evidence: field(textField().optional(), "What is done so far, kept as a note", { lines: true }),
    override: overrideField(),
  }),
  output: CHANGE,
  examples: [
    { command: "mu task release build", shows: "build is OPEN again" },
    { command: "mu task release nothing", shows: "an unknown task", fault: "task.not_found" },
  ],
  async run(app, ref, { ...options }) {
    const change = await releaseTask(app.context, ref, claimant(app.caller), options);
    return { ...change, nextSteps: [step("Take another task", `mu task claim --next -w ${ref.workstream}`)] };
  },
  render: renderChange,
});

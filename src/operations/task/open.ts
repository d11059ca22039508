import { claimant } from "../../agents/identity.js";
import { qualifiedName } from "../../names.js";
import { openTask } from "../../tasks/lifecycle.js";
import { taskField, workstreamField } from "../fields.js";
import { defineOperation, step } from "../operation.js";
import { resolveTask } from "../resolve.js";
import { CHANGE, overrideField, renderChange } from "./change.js";

export const taskOpen = defineOperation({
  name: "task.open",
  summary: "Reopen a task",
  effect: "write",
  input: () => ({ task: taskField(), workstream: workstreamField(), override: overrideField() }),
  output: CHANGE,
  positional: ["task"],
  examples: [
    { command: "mu task open done", shows: "reopen a closed task" },
    { command: "mu task open nothing", shows: "an unknown task", fault: "task.not_found" },
  ],
  async run(app, { task, workstream, override }) {
    const ref = await resolveTask(app, task, workstream);
    const change = await openTask(app.context, ref, claimant(app.caller), { override });
    return { ...change, nextSteps: [step("Claim it", `mu task claim ${qualifiedName(ref)}`)] };
  },
  render: renderChange,
});

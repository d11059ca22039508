import { claimant } from "../../agents/identity.js";
import { openTask } from "../../tasks/lifecycle.js";
import { defineTaskVerb } from "../subject.js";
import { CHANGE, firstStep, overrideField, renderChange } from "./change.js";

export const taskOpen = defineTaskVerb({
  name: "task.open",
  summary: "Reopen a task",
  effect: "write",
  repeatable: true,
  input: () => ({ override: overrideField() }),
  output: CHANGE,
  examples: [
    { command: "mu task open done", shows: "reopen a closed task" },
    { command: "mu task open nothing", shows: "an unknown task", fault: "task.not_found" },
  ],
  async run(app, ref, { override }) {
    const change = await openTask(app.context, ref, claimant(app.caller), { override });
    return { ...change, nextSteps: [await firstStep(app, change.task)] };
  },
  render: renderChange,
});

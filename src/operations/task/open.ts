import { claimant } from "../../agents/identity.js";
import { openTask, STATUS_CHANGE } from "../../tasks/lifecycle.js";
import { defineTaskVerb } from "../define.js";
import { firstStep, overrideField, renderChange } from "./change.js";

export const taskOpen = defineTaskVerb({
  name: "task.open",
  summary: "Reopen a task",
  effect: "write",
  repeatable: true,
  input: () => ({ override: overrideField() }),
  output: STATUS_CHANGE,
  examples: [
    { command: "mu task open done", shows: "reopen a closed task" },
    { command: "mu task open nothing", shows: "an unknown task", fault: "task.not_found" },
  ],
  async run(app, ref, { override }) {
    return openTask(app.context, ref, claimant(app.caller), { override });
  },
  next: async ({ task }, _at, _given, app) => [await firstStep(app, task)],
  render: renderChange,
});

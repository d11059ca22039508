import * as z from "zod";
import { moveTask } from "../../tasks/move.js";
import { TASK } from "../../tasks/task.js";
import { field } from "../fields.js";
import { NEXT_STEPS, step } from "../operation.js";
import { defineTaskVerb } from "../subject.js";

export const taskMove = defineTaskVerb({
  name: "task.move",
  summary: "Move a task into another workstream",
  effect: "write",
  input: () => ({
    to: field(z.string(), "Workstream to move it to", { completes: "workstream", value: "workstream" }),
  }),
  output: { task: TASK, from: "string", changed: "boolean", nextSteps: NEXT_STEPS },
  examples: [
    { command: "mu task move docs --to other", shows: "move docs to the workstream other" },
    { command: "mu task move deploy --to other", shows: "a task with edges", fault: "task.has_edges" },
  ],
  async run(app, ref, { to }) {
    const { task: moved, changed } = await moveTask(app.context, ref, to);
    return {
      task: moved,
      from: ref.workstream,
      changed,
      nextSteps: [step("Show it", `mu task show ${to}/${moved.name}`)],
    };
  },
  render: ({ task, from }, paint) => `Moved ${paint.bold(task.name)} from ${from} to ${task.workstream}`,
});

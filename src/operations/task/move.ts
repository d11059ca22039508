import * as z from "zod";
import { moveTask } from "../../tasks/move.js";
import { TASK } from "../../tasks/task.js";
import { field, taskField, workstreamField } from "../fields.js";
import { defineOperation, NEXT_STEPS, step } from "../operation.js";
import { resolveTask } from "../resolve.js";

export const taskMove = defineOperation({
  name: "task.move",
  summary: "Move a task into another workstream",
  effect: "write",
  input: () => ({
    task: taskField(),
    to: field(z.string(), "Workstream to move it to", { completes: "workstream", value: "workstream" }),
    workstream: workstreamField(),
  }),
  output: { task: TASK, from: "string", changed: "boolean", nextSteps: NEXT_STEPS },
  positional: ["task"],
  examples: [
    { command: "mu task move docs --to other", shows: "move docs to the workstream other" },
    { command: "mu task move deploy --to other", shows: "a task with edges", fault: "task.has_edges" },
  ],
  async run(app, { task, to, workstream }) {
    const ref = await resolveTask(app, task, workstream);
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

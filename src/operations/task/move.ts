import * as z from "zod";
import { moveTask } from "../../tasks/move.js";
import { TASK } from "../../tasks/task.js";
import { defineTaskVerb, step } from "../define.js";
import { field } from "../fields.js";

export const taskMove = defineTaskVerb({
  name: "task.move",
  summary: "Move a task into another workstream",
  effect: "write",
  input: () => ({
    to: field(z.string(), "Workstream to move it to", { completes: "workstream", value: "workstream" }),
  }),
  output: { task: TASK, from: "string", changed: "boolean" },
  examples: [
    { command: "mu task move docs --to other", shows: "move docs to the workstream other" },
    { command: "mu task move deploy --to other", shows: "a task with edges", fault: "task.has_edges" },
  ],
  async run(app, ref, { to }) {
    return { ...(await moveTask(app.context, ref, to)), from: ref.workstream };
  },
  next: ({ task }, _, { to }) => [step("Show it", `mu task show ${to}/${task.name}`)],
  render: ({ task, from }, paint) => `Moved ${paint.bold(task.name)} from ${from} to ${task.workstream}`,
});

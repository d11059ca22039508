import { qualifiedName } from "../../names.js";
import { REPARENTING, reparentTask } from "../../tasks/graph.js";
import { taskField, tasksField, untilField, workstreamField } from "../fields.js";
import { defineOperation, NEXT_STEPS, step } from "../operation.js";
import { resolveTask } from "../resolve.js";

export const taskReparent = defineOperation({
  name: "task.reparent",
  summary: "Replace the blockers of a task",
  effect: "write",
  input: () => ({
    task: taskField("Task that waits"),
    blockedBy: tasksField("Everything it waits for; an empty value means nothing", { short: "b", aliases: ["by"] }),
    until: untilField(),
    workstream: workstreamField(),
  }),
  output: { ...REPARENTING, nextSteps: NEXT_STEPS },
  positional: ["task"],
  examples: [
    { command: "mu task reparent deploy --blocked-by docs", shows: "deploy waits for docs only" },
    { command: "mu task reparent deploy --blocked-by docs,build@landed", shows: "wait for build to land, too" },
    { command: "mu task reparent deploy --blocked-by ''", shows: "deploy waits for nothing" },
    { command: "mu task reparent build --blocked-by deploy", shows: "a cycle", fault: "task.cycle" },
  ],
  async run(app, { task, blockedBy, until, workstream }) {
    const ref = await resolveTask(app, task, workstream);
    const change = await reparentTask(app.context, ref, blockedBy, until);
    const nextSteps = [step("Show the tree", `mu task tree ${qualifiedName(ref)}`)];
    return { ...change, nextSteps };
  },
  render: ({ task, blockers }, paint) =>
    blockers.length > 0
      ? `${paint.bold(task.name)} waits for ${blockers.join(", ")}`
      : `${paint.bold(task.name)} waits for nothing`,
});

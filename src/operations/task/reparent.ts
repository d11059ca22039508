import { awaitedText } from "../../tasks/edge.js";
import { deadEndWarnings, REPARENTING, reparentTask } from "../../tasks/graph.js";
import { defineTaskVerb, step, WARNINGS, warningLines } from "../define.js";
import { blockersField, untilField } from "../fields.js";

export const taskReparent = defineTaskVerb({
  name: "task.reparent",
  summary: "Replace the blockers of a task",
  effect: "write",
  repeatable: true,
  about: "Task that waits",
  input: () => ({
    blockedBy: blockersField("Everything it waits for; an empty value means nothing", { short: "b", aliases: ["by"] }),
    until: untilField(),
  }),
  output: { ...REPARENTING, warnings: WARNINGS },
  examples: [
    { command: "mu task reparent deploy --blocked-by docs", shows: "deploy waits for docs only" },
    { command: "mu task reparent deploy --blocked-by docs,build@landed", shows: "wait for build to land, too" },
    { command: "mu task reparent deploy --blocked-by ''", shows: "deploy waits for nothing" },
    { command: "mu task reparent build --blocked-by deploy", shows: "a cycle", fault: "task.cycle" },
  ],
  async run(app, ref, { blockedBy, until }) {
    const change = await reparentTask(app.context, ref, blockedBy.map(awaitedText), until);
    return { ...change, warnings: await deadEndWarnings(app.context.store.db, ref.workstream, [ref.name]) };
  },
  next: (_, at) => [step("Show the tree", `mu task tree ${at}`)],
  render: ({ task, blockers, warnings }, paint) => [
    `${paint.bold(task.name)} waits for ${blockers.join(", ") || "nothing"}.`,
    warningLines(warnings),
  ],
});

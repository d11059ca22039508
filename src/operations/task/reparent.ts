import { qualifiedName } from "../../names.js";
import { awaitedText } from "../../tasks/edge.js";
import { deadEndWarnings, REPARENTING, reparentTask } from "../../tasks/graph.js";
import { blockersField, untilField } from "../fields.js";
import { NEXT_STEPS, step, WARNINGS, warningLines } from "../operation.js";
import { defineTaskVerb } from "../subject.js";

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
  output: { ...REPARENTING, warnings: WARNINGS, nextSteps: NEXT_STEPS },
  examples: [
    { command: "mu task reparent deploy --blocked-by docs", shows: "deploy waits for docs only" },
    { command: "mu task reparent deploy --blocked-by docs,build@landed", shows: "wait for build to land, too" },
    { command: "mu task reparent deploy --blocked-by ''", shows: "deploy waits for nothing" },
    { command: "mu task reparent build --blocked-by deploy", shows: "a cycle", fault: "task.cycle" },
  ],
  async run(app, ref, { blockedBy, until }) {
    const change = await reparentTask(app.context, ref, blockedBy.map(awaitedText), until);
    const nextSteps = [step("Show the tree", `mu task tree ${qualifiedName(ref)}`)];
    const warnings = await deadEndWarnings(app.context.store.db, ref.workstream, [ref.name]);
    return { ...change, warnings, nextSteps };
  },
  render: ({ task, blockers, warnings }, paint) =>
    [`${paint.bold(task.name)} waits for ${blockers.join(", ") || "nothing"}.`, ...warningLines(warnings)].join("\n"),
});

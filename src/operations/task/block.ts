import type { Context } from "../../db/context.js";
import type { TaskRef } from "../../names.js";
import { awaitedName, type EdgeLevel } from "../../tasks/edge.js";
import { blockTask, deadEndWarnings, EDGE_CHANGE, type EdgeChange, unblockTask } from "../../tasks/graph.js";
import { defineTaskVerb, type Operation, step, WARNINGS, warningLines } from "../define.js";
import { blockerField, untilField } from "../fields.js";

/** What sets `task block` and `task unblock` apart. */
interface EdgeVerb extends Pick<Operation, "name" | "summary" | "examples"> {
  /** What `--by` names. */
  by: string;
  change: (context: Context, task: TaskRef, blocker: TaskRef, until?: EdgeLevel) => Promise<EdgeChange>;
  /** True where the verb takes `--until`. */
  levels: boolean;
  /** `docs now waits for`, and what is said when it was so already. */
  done: string;
  already: string;
}

/** A verb that makes or ends one wait of a task for another. */
function defineEdgeVerb({ by: byWhat, change, levels, done, already, ...verb }: EdgeVerb): Operation {
  return defineTaskVerb({
    ...verb,
    about: "Task that waits",
    effect: "write",
    repeatable: true,
    input: () => ({
      by: blockerField(byWhat, { short: "b", aliases: ["blocked-by"] }),
      ...(levels && { until: untilField() }),
    }),
    output: { ...EDGE_CHANGE, warnings: WARNINGS },
    async run(app, ref, { by, ...given }) {
      const changed = await change(app.context, ref, by, by.until ?? (given.until as EdgeLevel | undefined));
      const warnings = await deadEndWarnings(app.context.store.db, ref.workstream, levels ? [ref.name] : []);
      return { ...changed, warnings };
    },
    next: (_, at) => [step("Show the tree", `mu task tree ${at}`)],
    render: ({ task, blocker, until, changed, warnings }, paint) => {
      const awaited = awaitedName({ name: blocker, until: until ?? "closed" });
      return [`${paint.bold(task.name)} ${changed ? done : already} ${awaited}.`, warningLines(warnings)];
    },
  });
}

export const taskBlock = defineEdgeVerb({
  name: "task.block",
  summary: "Make a task wait for another",
  by: "Task to wait for",
  levels: true,
  change: blockTask,
  done: "now waits for",
  already: "already waits for",
  examples: [
    { command: "mu task block docs --by build", shows: "docs wait for build" },
    { command: "mu task block docs --by build --until landed", shows: "wait until it has landed" },
    { command: "mu task block build --by deploy", shows: "a cycle", fault: "task.cycle" },
  ],
});

export const taskUnblock = defineEdgeVerb({
  name: "task.unblock",
  summary: "Stop a task from waiting for another",
  by: "Task to stop waiting for",
  levels: false,
  change: unblockTask,
  done: "no longer waits for",
  already: "did not wait for",
  examples: [
    { command: "mu task unblock deploy --by build", shows: "deploy no longer waits for build" },
    { command: "mu task unblock deploy --by nothing", shows: "an unknown task", fault: "task.not_found" },
  ],
});

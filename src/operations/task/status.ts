import { claimant } from "../../agents/identity.js";
import { timestamp } from "../../db/context.js";
import { qualifiedName } from "../../names.js";
import { blockersOf } from "../../tasks/graph.js";
import { openTask, releaseTask, STATUS_CHANGE } from "../../tasks/lifecycle.js";
import { CONTAINER_KINDS, type TASK } from "../../tasks/task.js";
import { type App, defineTaskVerb, type Paint, step, type TypeOf } from "../define.js";
import { field, flag, textField } from "../fields.js";

export const taskOpen = defineTaskVerb({
  name: "task.open",
  summary: "Reopen a task",
  effect: "write",
  several: { order: "in turn" },
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

export const taskRelease = defineTaskVerb({
  name: "task.release",
  summary: "Release a task so that others can claim it",
  effect: "write",
  several: { order: "in turn" },
  input: () => ({
    reopen: flag("Reopen it even if it is finished"),
    evidence: field(textField().optional(), "What is done so far, kept as a note", { lines: true }),
    override: overrideField(),
  }),
  output: STATUS_CHANGE,
  examples: [
    { command: "mu task release build", shows: "build is OPEN again" },
    { command: "mu task release nothing", shows: "an unknown task", fault: "task.not_found" },
  ],
  run: (app, ref, options) => releaseTask(app.context, ref, claimant(app.caller), options),
  next: ({ task }) => [step("Take another task", `mu task claim --next -w ${task.workstream}`)],
  render: renderChange,
});

/** `--override`, for an agent that must act on another agent's task. */
export const overrideField = () => flag("Act on a task owned by another agent (people do not need this)");

/** What to do with a task that is OPEN: claim it, or what has to come first. */
export async function firstStep({ context }: App, task: TypeOf<typeof TASK>) {
  const ref = qualifiedName(task);
  if ((await blockersOf(context.store.db, task)).some((blocker) => !blocker.satisfied)) {
    return step("See what it waits for", `mu task tree ${ref}`);
  }
  if (task.hold !== null) return step("Remove the hold", `mu task update ${ref} --unhold`);
  const isDue = task.notBefore === null || task.notBefore <= timestamp(context.clock);
  return isDue && !CONTAINER_KINDS.includes(task.kind)
    ? step("Claim it", `mu task claim ${ref}`)
    : step("Show it", `mu task show ${ref}`);
}

/** `Closed build (IN_PROGRESS → CLOSED)`, or that nothing changed. */
export function renderChange(
  { task, previousStatus, changed }: Pick<TypeOf<typeof STATUS_CHANGE>, "task" | "previousStatus" | "changed">,
  paint: Paint,
): string {
  if (!changed) return `${paint.bold(task.name)} is already ${task.status}`;
  return `${paint.bold(task.name)}: ${paint.status(previousStatus)} → ${paint.status(task.status)}`;
}

import { timestamp } from "../../db/context.js";
import { qualifiedName } from "../../names.js";
import { blockersOf } from "../../tasks/graph.js";
import type { STATUS_CHANGE } from "../../tasks/lifecycle.js";
import { CONTAINER_KINDS, type TASK } from "../../tasks/task.js";
import { type App, type Paint, step, type TypeOf } from "../define.js";
import { flag } from "../fields.js";

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

import { shape, type TypeOf } from "../../shape.js";
import { STATUS_CHANGE } from "../../tasks/lifecycle.js";
import { flag } from "../fields.js";
import { NEXT_STEPS } from "../operation.js";
import type { Paint } from "../paint.js";

/** What a verb that changes a task's status gives back. */
export const CHANGE = shape({ ...STATUS_CHANGE, nextSteps: NEXT_STEPS });

/** `--override`, for an agent that must act on another agent's task. */
export const overrideField = () => flag("Act on a task owned by another agent (people do not need this)");

/** `Closed build (IN_PROGRESS → CLOSED)`, or that nothing changed. */
export function renderChange(
  { task, previousStatus, changed }: Pick<TypeOf<typeof CHANGE>, "task" | "previousStatus" | "changed">,
  paint: Paint,
): string {
  if (!changed) return `${paint.bold(task.name)} is already ${task.status}`;
  return `${paint.bold(task.name)}: ${paint.status(previousStatus)} → ${paint.status(task.status)}`;
}

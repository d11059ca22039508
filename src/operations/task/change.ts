import * as z from "zod";
import { about } from "../fields.js";
import type { Paint } from "../paint.js";
import { nextStepsShape, statusShape, taskShape } from "../shapes.js";

/** What a verb that changes a task's status gives back. */
export const changeShape = () =>
  z.object({
    task: taskShape(),
    previousStatus: statusShape(),
    previousOwner: z.union([z.string(), z.null()]),
    changed: z.boolean(),
    nextSteps: nextStepsShape(),
  });

/** `--override`, for an agent that must act on another agent's task. */
export const overrideField = () =>
  z.boolean().default(false).meta(about("Act although another agent owns it; people need no such flag"));

/** `Closed build (IN_PROGRESS → CLOSED)`, or that nothing changed. */
export function renderChange(
  {
    task,
    previousStatus,
    changed,
  }: Pick<z.output<ReturnType<typeof changeShape>>, "task" | "previousStatus" | "changed">,
  paint: Paint,
): string {
  if (!changed) return `${paint.bold(task.name)} is ${task.status} already`;
  return `${paint.bold(task.name)}: ${paint.status(previousStatus)} → ${paint.status(task.status)}`;
}

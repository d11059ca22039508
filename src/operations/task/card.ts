import { counted } from "../../names.js";
import type { Task } from "../../tasks/task.js";
import type { Column, Paint } from "../paint.js";

/** The columns of a list of tasks. */
export function taskColumns(paint: Paint): Column<Task>[] {
  return [
    { head: "name", text: (task) => task.name, max: 40 },
    { head: "status", text: (task) => statusText(task, paint) },
    { head: "pri", text: (task) => String(task.priority), align: "right" },
    { head: "roi", text: (task) => String(task.roi), align: "right" },
    { head: "role", text: (task) => task.role ?? "—" },
    { head: "owner", text: (task) => task.owner ?? "—" },
    { head: "title", text: (task) => task.title, max: 50 },
  ];
}

/** A table of tasks, or a line that says there are none. */
export function taskTable(tasks: readonly Task[], paint: Paint, none: string): string {
  return tasks.length === 0 ? none : paint.table(tasks, taskColumns(paint));
}

/** `verified`, or `landed as 0123456789ab`. */
function levelText({ level, landedCommit }: Task): string | null {
  return level === "landed" && landedCommit !== null ? `landed as ${landedCommit.slice(0, 12)}` : level;
}

/** The lines under a task's title: every field that says something. */
export function taskLines(task: Task, paint: Paint): string[] {
  const fields: [string, string | null | undefined][] = [
    ["status", paint.status(task.status)],
    ["level", levelText(task)],
    ["owner", task.owner],
    ["role", task.role],
    ["kind", task.kind === "task" ? null : task.kind],
    ["priority", task.priority === 5 ? null : String(task.priority)],
    ["worth", `impact ${task.impact}, effort ${counted(task.effortDays, "day")}, roi ${task.roi}`],
    ["hold", task.hold === null ? null : [task.hold, task.holdReason].filter(Boolean).join(": ")],
    ["not before", task.notBefore],
    ["lease until", task.leaseUntil],
    ["belongs to", task.root],
    ["step", task.step],
    ["tags", task.tags.join(", ")],
    ["touches", task.touches.join(", ")],
    ["outcome", task.outcome],
    ["attempts", task.attempts === 0 ? null : `${task.attempts} of ${task.maxRetries + 1}`],
    ["elsewhere", task.externalRef],
    ["payload", task.payload === null ? null : JSON.stringify(task.payload)],
    ["created", `${task.createdAt} (${paint.ago(task.createdAt)} ago)`],
    ["updated", task.updatedAt === task.createdAt ? null : `${task.updatedAt} (${paint.ago(task.updatedAt)} ago)`],
    ["closed", task.closedAt],
  ];
  return fields.filter(([, value]) => value).map(([name, value]) => `  ${paint.dim(name.padEnd(11))} ${value}`);
}

/** `CLOSED verified` where more than its owner's word shows that it is done. */
function statusText({ status, hold, level }: Task, paint: Paint): string {
  if (hold) return paint.status(`${status} (held)`);
  return level === null || level === "claimed" ? paint.status(status) : `${paint.status(status)} ${level}`;
}

import { localTime } from "../../clock.js";
import { type TaskColumn, taskColumnEntries } from "../../db/task-columns.js";
import { counted } from "../../names.js";
import { CONTAINER_KINDS, type Task } from "../../tasks/task.js";
import type { Paint } from "../define.js";

/** A table of tasks, or a line that says there are none. */
export function taskTable(tasks: readonly Task[], paint: Paint, none = "No tasks."): string {
  return paint.list(tasks, none, [
    { head: "name", text: (task) => task.name, max: 24 },
    { head: "status", text: (task) => statusText(task, paint) },
    { head: "pri", text: (task) => String(task.priority), align: "right" },
    { head: "roi", text: (task) => String(task.roi), align: "right" },
    { head: "role", text: (task) => task.role ?? "—" },
    { head: "owner", text: (task) => task.owner ?? "—" },
    { head: "title", text: (task) => task.title, max: 24 },
  ]);
}

/** `verified`, or `landed as 0123456789ab`. */
function levelText({ level, landedCommit }: Task): string | null {
  return level === "landed" && landedCommit !== null ? `landed as ${landedCommit.slice(0, 12)}` : level;
}

/** Fields whose line on the card says more than their value, or nothing where it says nothing new. */
const CARD_TEXTS: Readonly<Record<string, (task: Task, paint: Paint) => string | null>> = {
  status: (task, paint) => paint.status(task.status),
  level: levelText,
  impact: (task) => `impact ${task.impact}, effort ${counted(task.effortDays, "day")}, roi ${task.roi}`,
  hold: ({ hold, holdReason }) => (hold === null ? null : [hold, holdReason].filter(Boolean).join(": ")),
  attempts: (task) => (task.attempts === 0 ? null : `${task.attempts} of ${task.maxRetries + 1}`),
  budgetUsd: ({ budgetUsd }) => (budgetUsd === null ? null : `$${budgetUsd.toFixed(2)}`),
  payload: (task) => (isOfFlow(task) ? null : plainText(task.payload, "json")),
  createdAt: (task, paint) => `${localTime(task.createdAt)} (${paint.ago(task.createdAt)} ago)`,
  updatedAt: ({ createdAt, updatedAt }, paint) =>
    updatedAt === createdAt ? null : `${localTime(updatedAt)} (${paint.ago(updatedAt)} ago)`,
};

/** True for a job, an intake, and what they consist of: mu keeps its plan of them as their payload. */
const isOfFlow = ({ kind, step }: Task) => CONTAINER_KINDS.includes(kind) || step !== null;

/** The lines under a task's title: every field that is not at its default. */
export function taskLines(task: Task, paint: Paint): string[] {
  return taskColumnEntries().flatMap(([, { key, card, initial, kind }]) => {
    if (key === undefined || card === undefined) return [];
    const value = task[key as keyof Task] as unknown;
    const special = CARD_TEXTS[key];
    const text = special !== undefined ? special(task, paint) : value === initial ? null : plainText(value, kind);
    return text ? [`  ${paint.dim(card.padEnd(11))} ${text}`] : [];
  });
}

function plainText(value: unknown, kind: TaskColumn["kind"]): string | null {
  if (value === null || value === undefined) return null;
  if (kind === "moment") return localTime(String(value));
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value.join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** `CLOSED verified` where more than its owner's word shows that it is done. */
function statusText({ status, hold, level }: Task, paint: Paint): string {
  if (hold) return paint.status(`${status} (held)`);
  return level === null || level === "claimed" ? paint.status(status) : `${paint.status(status)} ${level}`;
}

import * as z from "zod";
import { claimant } from "../../agents/identity.js";
import { localTime } from "../../clock.js";
import { taskColumnEntries } from "../../db/task-columns.js";
import { Fault } from "../../errors.js";
import { enumerate, quote } from "../../names.js";
import { listTasks, TASK, TASK_SORTS, TASK_STATUSES, type Task } from "../../tasks/task.js";
import { defineOperation, excerpt, type Paint, schemaOf, withTotal } from "../define.js";
import { allField, field, flag, limitField, peopleField, underField, workstreamField } from "../fields.js";
import { taskTable } from "./card.js";
import { labels } from "./fields.js";

export const taskList = defineOperation({
  name: "task.list",
  summary: "List tasks",
  description: "Values of one flag match any of them; flags must all match.",
  effect: "read",
  input: () => ({
    workstream: workstreamField("one or all"),
    all: allField(),
    status: field(z.array(z.enum(TASK_STATUSES)).min(1).optional(), "Only these statuses", { short: "s" }),
    role: labels("Only these roles").min(1).optional(),
    kind: labels("Only these kinds").min(1).optional(),
    tag: labels("Only with all of these tags").min(1).optional(),
    under: underField(),
    owner: peopleField("Only owned by these").optional(),
    mine: flag("Only your tasks"),
    sort: field(z.enum(TASK_SORTS).default("name"), "Sort order"),
    limit: limitField(0),
    fields: labels("Only these fields").min(1).optional(),
  }),
  output: () =>
    z.strictObject({
      items: z.array((schemaOf(TASK) as unknown as z.ZodObject).partial()),
      count: z.number(),
      total: z.number(),
    }),
  examples: [
    { command: "mu task list --status OPEN,IN_PROGRESS --sort roi", shows: "unfinished tasks, best value first" },
    { command: "mu task list --under deploy", shows: "only what deploy is made of" },
    { command: "mu task list --json --fields name,owner", shows: "two fields of every task" },
    { command: "mu task list --status DONE", shows: "an unknown status", fault: "usage.invalid_input" },
  ],
  async run(app, { mine, fields, owner, limit, all: _, ...filter }) {
    checkFields(fields ?? []);
    const tasks = await listTasks(app.context.store.db, {
      ...filter,
      owner: owner?.map(({ name }) => name),
      ownedBy: mine ? claimant(app.caller) : undefined,
    });
    const items = fields === undefined ? tasks : tasks.map((task) => pick(task, fields));
    return excerpt(items as Task[], limit);
  },
  render: (found, paint) => {
    const items = found.items as Task[];
    const table = items.every(isWhole) ? taskTable(items, paint, "No matching tasks.") : fieldTable(items, paint);
    return withTotal(table, found, paint);
  },
});

const taskFields = () => Object.keys(TASK);

function checkFields(fields: readonly string[]): void {
  if (fields.length === 0) return;
  const known = taskFields();
  const unknown = fields.filter((field) => !known.includes(field));
  if (unknown.length === 0) return;
  const message = `Unknown field ${enumerate(unknown.map(quote))}. Known fields: ${known.join(", ")}.`;
  throw new Fault("usage", "usage.unknown_field", message);
}

const isWhole = (task: Partial<Task>) => Object.keys(task).length === taskFields().length;

const MOMENTS = new Set(taskColumnEntries().flatMap(([, { key, kind }]) => (kind === "moment" ? [key] : [])));

function fieldTable(tasks: readonly Partial<Task>[], paint: Paint): string {
  const columns = Object.keys(tasks[0] ?? {}).map((head) => ({
    head,
    text: (task: Partial<Task>) => fieldText(head, task[head as keyof Task]),
    always: true as const,
  }));
  return paint.table(tasks, columns);
}

function fieldText(field: string, value: unknown): string {
  if (value === null || value === undefined) return "—";
  if (MOMENTS.has(field)) return localTime(String(value));
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function pick(task: Task, fields: readonly string[]): Partial<Task> {
  return Object.fromEntries(fields.map((field) => [field, task[field as keyof Task]]));
}

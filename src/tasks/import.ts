import type { Context } from "../db/context.js";
import { write } from "../db/write.js";
import { Fault } from "../errors.js";
import { didYouMean, quote } from "../names.js";
import { isObject } from "../shape.js";
import { addTaskIn, type NewTask } from "./add.js";
import { parseJsonPlan, pathPlace, placed } from "./planned-tasks.js";

/** The keys of a task, and the other names of its role. */
const KEYS = ["title", "description", "role", "payload", "priority"];
const ROLE_KEYS = ["role", "agent", "agent_owner"];

/** The tasks of a JSON list, with their places checked. Faults `plan.unreadable`, `plan.invalid`. */
export function readSeedTasks(text: string): NewTask[] {
  const found = parseJsonPlan(text);
  const tasks = isObject(found) && Object.keys(found).join() === "tasks" ? found["tasks"] : found;
  if (!Array.isArray(tasks)) throw invalid("the document", "must be a list of tasks");
  return tasks.map((task, index) => seedTask(task, `[${index}]`));
}

function seedTask(task: unknown, place: string): NewTask {
  if (!isObject(task)) throw invalid(place, "must be an object with at least a title");
  const known = [...KEYS, ...ROLE_KEYS];
  for (const key of Object.keys(task)) {
    if (!known.includes(key)) throw invalid(place, `unknown field ${quote(key)}`, didYouMean(key, known));
  }
  const { title, description, payload, priority } = task;
  if (typeof title !== "string") throw invalid(place, "needs a title");
  const [role, ...others] = ROLE_KEYS.flatMap((key) => task[key] ?? []);
  if (others.some((other) => other !== role)) throw invalid(place, "names two roles");
  // The columns check the values.
  return { title, ...given({ description, payload, priority, role }) } as NewTask;
}

const given = (fields: object) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value != null));

/** Adds all tasks in one write, and gives their names. Faults as `addTask`, with the place of the task. */
export function importTasks(context: Context, workstream: string, tasks: readonly NewTask[]): Promise<string[]> {
  return write(context, { op: "task.import", scope: workstream, subject: workstream }, async (tx) => {
    const names: string[] = [];
    for (const [index, task] of tasks.entries()) {
      const added = await addTaskIn(tx, workstream, task).catch((error) => {
        throw error instanceof Fault ? placed(error, pathPlace, [index]) : error;
      });
      names.push(added.task.name);
    }
    return names;
  });
}

function invalid(place: string, rule: string, hint = ""): Fault {
  const steps = [{ intent: "See what such a file looks like", command: "mu task import --help" }];
  return new Fault("usage", "plan.invalid", `${place}: ${rule}.${hint}`, steps, { place });
}

import { parseMoment } from "../clock.js";
import { TASK_COLUMNS } from "../db/task-columns.js";
import { isTaskName, slug, unusedName } from "../names.js";
import { KEPT_TASK, type KeptTask, keptTask } from "../tasks/kept.js";

/** A task of another program, by its id there. What is undefined is as in a new task. */
export interface Draft {
  id: string;
  /** The name it should have; one made of its title without it. */
  name?: string;
  title: string;
  /** The ids of those that it waits for. */
  waitsFor?: readonly string[];
  fields?: { readonly [F in keyof KeptTask]?: KeptTask[F] | undefined };
}

/** Tasks of another program as mu can hold them, and what is left out or was changed, a line each. */
export interface Drafted {
  tasks: KeptTask[];
  left: string[];
}

const MOST_TITLE = TASK_COLUMNS.title.most;
const BOUNDS = { effortDays: TASK_COLUMNS.effort_days, impact: TASK_COLUMNS.impact } as const;

/** Makes tasks of drafts: names that are valid and free, fields within mu's bounds, blockers by name. */
export function draftTasks(drafts: readonly Draft[], left: readonly string[] = []): Drafted {
  const lines = [...left];
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const { id, name, title } of drafts) {
    const wanted = name !== undefined && isTaskName(name) ? name : slug(name ?? title) || "task";
    const own = unusedName(wanted, (one) => taken.has(one));
    if (names.has(id)) lines.push(`${own}: its id ${id} is there twice, and others wait for the first`);
    else names.set(id, own);
    taken.add(own);
  }
  const inOrder = [...taken];
  const tasks = drafts.map((draft, at) => {
    const name = inOrder[at] as string;
    const say = (line: string) => lines.push(`${name}: ${line}`);
    const missing = (draft.waitsFor ?? []).filter((id) => !names.has(id));
    for (const id of missing) say(`waits for ${id}, which is not there`);
    const blockedBy = (draft.waitsFor ?? []).flatMap((id) => names.get(id) ?? []);
    return { ...fitted(name, draft, say), blockedBy: [...new Set(blockedBy)].sort() };
  });
  return { tasks, left: lines };
}

function fitted(name: string, { title, fields = {} }: Draft, say: (line: string) => void): KeptTask {
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  const task = keptTask(name, title.replace(/\s+/g, " ").trim() || name, given as Partial<KeptTask>);
  if (task.title.length > MOST_TITLE) {
    say(`its title is longer than ${MOST_TITLE} characters; the whole is in its description`);
    task.description = [task.title, task.description ?? ""].join("\n\n").trimEnd();
    task.title = `${task.title.slice(0, MOST_TITLE - 1).trimEnd()}…`;
  }
  for (const field of ["effortDays", "impact"] as const) {
    const fit = Math.min(Math.max(task[field], BOUNDS[field].least), BOUNDS[field].most);
    if (fit !== task[field]) say(`${field} is ${fit} instead of ${task[field]}`);
    task[field] = fit;
  }
  for (const field of ["createdAt", "updatedAt", "closedAt", "notBefore"] as const) {
    const value = task[field];
    if (typeof value !== "string") continue;
    const moment = parseMoment(value);
    if (moment === undefined) say(`${field} ${JSON.stringify(value)} is no moment`);
    Object.assign(task, { [field]: moment });
  }
  const notes = task.notes.filter(({ text }) => text.trim() !== "");
  if (notes.length < task.notes.length) say(`${task.notes.length - notes.length} of its notes have no text`);
  task.notes = notes.map((note) => ({ ...note, createdAt: parseMoment(note.createdAt) ?? task.updatedAt }));
  return task;
}

/** `field: not imported (n times)` for each field that has a value in one of the records and that nobody reads. */
export function unreadFields(records: readonly Readonly<Record<string, unknown>>[], read: readonly string[]): string[] {
  const fields = records.flatMap((record) => Object.keys(record).filter((field) => !isEmpty(record[field])));
  return countedLines(
    fields.filter((field) => !read.includes(field)),
    "not imported",
  );
}

/** `field: not exported (n times)` for each field of tasks that says something and that the other program cannot hold. */
export function unheldFields(tasks: readonly KeptTask[], held: readonly (keyof KeptTask)[]): string[] {
  const blank: Readonly<Record<string, unknown>> = keptTask("", "", {});
  const fields = tasks.flatMap((task: Readonly<Record<string, unknown>>) =>
    Object.keys(KEPT_TASK).filter((field) => !isEmpty(task[field]) && task[field] !== blank[field]),
  );
  return countedLines(
    fields.filter((field) => !["name", "level", ...held].includes(field)),
    "not exported",
  );
}

export function countedLines(words: readonly string[], what: string): string[] {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].map(([word, count]) => `${word}: ${what} (${count === 1 ? "once" : `${count} times`})`);
}

const isEmpty = (value: unknown) =>
  value === null ||
  value === undefined ||
  value === "" ||
  value === false ||
  (Array.isArray(value) && value.length === 0);

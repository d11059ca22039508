import { isObject } from "../../shape.js";
import type { KeptTask } from "../../tasks/kept.js";
import { countedLines, type Draft, draftTasks, unheldFields, unreadFields } from "../drafts.js";
import { readJson } from "../task-file.js";
import { type Fields, type Format, invalidFile, type Listed, listIn, objectsIn, sections, textIn } from "./format.js";

const STATUSES: Readonly<Record<string, KeptTask["status"]>> = {
  ...{ pending: "OPEN", "in-progress": "IN_PROGRESS", review: "OPEN", blocked: "OPEN", done: "CLOSED" },
  ...{ completed: "CLOSED", deferred: "DEFERRED", cancelled: "REJECTED" },
};
const PRIORITIES: Readonly<Record<string, number>> = { critical: 1, high: 3, medium: 5, low: 7 };
const READ = [
  ...["id", "title", "description", "details", "testStrategy", "status", "priority", "dependencies", "subtasks"],
  ...["parentId", "parentTaskId", "updatedAt"],
];

/**
 * Task Master: `.taskmaster/tasks/tasks.json`, a list of tasks, or one for each tag. A task waits for its subtasks, and they
 * for what it waits for.
 */
export const taskmaster: Format = {
  read(files) {
    return [...files].flatMap(([path, text]) =>
      listsOf(path, readJson(text)).map(({ name, tasks }) => listed(name, tasks)),
    );
  },
  write(tasks) {
    const idOf = new Map(tasks.map(({ name }, at) => [name, at + 1]));
    const written = tasks.map((task) => taskOf(task, idOf));
    const moments = tasks.map(({ updatedAt }) => updatedAt).sort();
    const metadata = { created: moments[0], updated: moments.at(-1), description: "Exported by mu" };
    const text = JSON.stringify({ master: { tasks: written, metadata } }, null, 2);
    const levels = tasks.flatMap(({ blockedBy }) => blockedBy.filter((one) => one.includes("@")));
    const left = [
      ...unheldFields(tasks, ["title", "status", "hold", "priority", "description", "blockedBy", "updatedAt"]),
      ...countedLines(
        levels.map(() => "level of an edge"),
        "not exported",
      ),
    ];
    return { files: new Map([["tasks.json", `${text}\n`]]), left };
  },
};

function listsOf(path: string, found: unknown): { name?: string; tasks: Fields[] }[] {
  if (!isObject(found)) throw invalidFile(path, "it is no JSON object");
  if (Array.isArray(found["tasks"])) return [{ tasks: objectsIn(found, "tasks") }];
  const tags = Object.entries(found).flatMap(([name, tag]) =>
    isObject(tag) && Array.isArray(tag["tasks"]) ? [{ name, tasks: objectsIn(tag, "tasks") }] : [],
  );
  if (tags.length === 0) throw invalidFile(path, "it has no list of tasks");
  return tags;
}

function listed(name: string | undefined, tasks: readonly Fields[]): Listed {
  const all = tasks.flatMap((task) => [task, ...objectsIn(task, "subtasks")]);
  const odd = all.map((task) => textIn(task, "status") ?? "pending").filter((status) => STATUSES[status] === undefined);
  const left = [...unreadFields(all, READ), ...countedLines(odd, "a status that mu does not have, OPEN now")];
  const drafts = tasks.flatMap((task) => {
    const id = String(task["id"]);
    const subtasks = objectsIn(task, "subtasks");
    const waitsFor = listIn(task, "dependencies").map(String);
    const parts = subtasks.map((one) => `${id}.${one["id"]}`);
    const within = (of: unknown) =>
      String(of).includes(".") || !parts.includes(`${id}.${of}`) ? String(of) : `${id}.${of}`;
    return [
      draftOf(task, id, [...waitsFor, ...parts]),
      ...subtasks.map((one, at) => {
        const own = listIn(one, "dependencies").map(within);
        return draftOf({ priority: task["priority"], ...one }, parts[at] ?? "", [...own, ...waitsFor]);
      }),
    ];
  });
  return { ...(name !== undefined && { name }), ...draftTasks(drafts, left) };
}

function draftOf(task: Fields, id: string, waitsFor: readonly string[]): Draft {
  const status = textIn(task, "status") ?? "pending";
  return {
    id,
    title: textIn(task, "title") ?? `Task ${id}`,
    waitsFor,
    fields: {
      status: STATUSES[status] ?? "OPEN",
      hold: status === "blocked" || status === "review" ? status : undefined,
      priority: PRIORITIES[textIn(task, "priority") ?? "medium"],
      externalRef: `task-master ${id}`,
      updatedAt: textIn(task, "updatedAt"),
      description: sections(textIn(task, "description"), {
        Details: textIn(task, "details"),
        "Test strategy": textIn(task, "testStrategy"),
      }),
    },
  };
}

const STATUS_OF = {
  ...{ OPEN: "pending", IN_PROGRESS: "in-progress", CLOSED: "done", DEFERRED: "deferred", REJECTED: "cancelled" },
};

function taskOf(task: KeptTask, idOf: ReadonlyMap<string, number>): Fields {
  const { status, hold, priority, title, description, blockedBy, updatedAt, name } = task;
  const isHeld = status === "OPEN" && (hold === "blocked" || hold === "review");
  return {
    id: idOf.get(name),
    title,
    description: description ?? "",
    status: isHeld ? hold : STATUS_OF[status],
    priority: priority <= 3 ? "high" : priority <= 6 ? "medium" : "low",
    dependencies: blockedBy.flatMap((text) => idOf.get(text.replace(/@\w+$/, "")) ?? []),
    ...{ details: "", testStrategy: "", subtasks: [], updatedAt },
  };
}

import { basename, dirname } from "node:path";
import type { KeptTask } from "../../tasks/kept.js";
import { countedLines, type Draft, draftTasks, unheldFields, unreadFields } from "../drafts.js";
import { readFrontMatter } from "../task-file.js";
import { type Fields, type Format, invalidFile, listIn, tagsOf, textIn } from "./format.js";

const STATUSES: Readonly<Record<string, KeptTask["status"]>> = {
  ...{ "to do": "OPEN", "in progress": "IN_PROGRESS", done: "CLOSED" },
};
const PRIORITIES: Readonly<Record<string, number>> = { high: 3, medium: 5, low: 7 };
const READ = [
  ...["id", "title", "status", "assignee", "created_date", "updated_date", "labels", "dependencies", "parent_task_id"],
  ...["priority", "ordinal"],
];

/** Folders of a backlog whose tasks stay behind. */
const LEFT = ["drafts", "archive"];

/** Backlog.md: a folder `backlog` with `tasks/task-1 - Title.md`, and `completed`. A parent waits for its subtasks. */
export const backlog: Format = {
  async read(files) {
    const kept = [...files].filter(([path]) => !LEFT.some((folder) => path.startsWith(`${folder}/`)));
    const tasks = await Promise.all(kept.map(([path, text]) => taskOf(path, text)));
    const fields = tasks.map((task) => task.fields);
    const odd = fields.map(statusOf).filter((status) => !(status.toLowerCase() in STATUSES));
    const others = [...files.keys()].filter((path) => !kept.some(([own]) => own === path));
    const left = [
      ...unreadFields(fields, READ),
      ...countedLines(
        odd.map((status) => `status ${status}`),
        "not one of mu's, OPEN now",
      ),
      ...countedLines(others.map(dirname), "not imported"),
    ];
    const inOrder = tasks.sort((a, b) => Number(a.fields["ordinal"] ?? 0) - Number(b.fields["ordinal"] ?? 0));
    return [
      draftTasks(
        inOrder.map((task) => draftOf(task, fields)),
        left,
      ),
    ];
  },
  write(tasks) {
    const idOf = new Map(tasks.map(({ name }, at) => [name, `task-${at + 1}`]));
    const files = tasks.map((task) => [pathOf(task, idOf), fileOf(task, idOf)] as const);
    const levels = tasks.flatMap(({ blockedBy }) => blockedBy.filter((one) => one.includes("@")));
    const left = [
      ...unheldFields(tasks, HELD),
      ...countedLines(
        tasks.flatMap(({ status }) => (status in LOSSY ? [`${status} as ${LOSSY[status]}`] : [])),
        "exported",
      ),
      ...countedLines(
        levels.map(() => "level of an edge"),
        "not exported",
      ),
    ];
    return { files: new Map(files), left };
  },
};

interface Task {
  fields: Fields;
  body: string;
}

async function taskOf(path: string, text: string): Promise<Task> {
  const front = await readFrontMatter(text);
  if (front !== undefined && front.fields["id"] !== undefined) return front;
  throw invalidFile(path, "it has no front matter with an id, as tasks of Backlog.md have");
}

const idOf = (value: unknown) => String(value).toLowerCase();
const statusOf = (fields: Fields) => textIn(fields, "status") ?? "To Do";

function draftOf({ fields, body }: Task, all: readonly Fields[]): Draft {
  const id = idOf(fields["id"]);
  const parts = all.filter((one) => one["parent_task_id"] !== undefined && idOf(one["parent_task_id"]) === id);
  const assignees = [fields["assignee"] ?? []].flat().map((name) => String(name).replace(/^@/, ""));
  const status = STATUSES[statusOf(fields).toLowerCase()] ?? "OPEN";
  const [createdAt, updatedAt] = [dateIn(fields, "created_date"), dateIn(fields, "updated_date")];
  return {
    id,
    name: id.replaceAll(".", "_"),
    title: String(fields["title"] ?? id),
    waitsFor: [...listIn(fields, "dependencies").map(idOf), ...parts.map((part) => idOf(part["id"]))],
    fields: {
      status,
      priority: PRIORITIES[textIn(fields, "priority") ?? ""],
      owner: assignees.length === 0 ? undefined : assignees.join(", "),
      tags: tagsOf([fields["labels"] ?? []].flat().map(String)),
      createdAt,
      updatedAt: updatedAt ?? createdAt,
      closedAt: status === "CLOSED" ? (updatedAt ?? createdAt) : undefined,
      description: textOf(body) || null,
    },
  };
}

/** A date of Backlog.md, which are UTC. */
function dateIn(fields: Fields, key: string): string | undefined {
  const [date, time = "00:00"] = (textIn(fields, key) ?? "").split(/[ T]/);
  return date === undefined || date === "" ? undefined : `${date}T${time}${/Z|[+-]\d\d:?\d\d$/.test(time) ? "" : "Z"}`;
}

/** All sections of a task, without the marks that only its own program reads. */
const textOf = (body: string) =>
  body
    .replace(/^<!-- [A-Z]+(?::[A-Z]+)*:(?:BEGIN|END) -->\r?\n?/gm, "")
    .trim()
    .replace(/^## Description\s+/, "");

const HELD: readonly (keyof KeptTask)[] = [
  ...(["title", "status", "priority", "owner", "tags", "createdAt", "updatedAt"] as const),
  ...(["closedAt", "description", "notes", "blockedBy"] as const),
];

const STATUS_OF = {
  ...{ OPEN: "To Do", IN_PROGRESS: "In Progress", CLOSED: "Done", REJECTED: "Done", DEFERRED: "To Do" },
};

const LOSSY: Readonly<Record<string, string>> = { REJECTED: STATUS_OF.REJECTED, DEFERRED: STATUS_OF.DEFERRED };

function pathOf({ name, title }: KeptTask, ids: ReadonlyMap<string, string>): string {
  const words = title.replace(/[^\p{L}\p{N}.()-]+/gu, "-").slice(0, 100);
  return `tasks/${basename(`${ids.get(name)} - ${words.replace(/^-+|-+$/g, "") || name}`)}.md`;
}

function fileOf(task: KeptTask, ids: ReadonlyMap<string, string>): string {
  const { name, title, status, owner, createdAt, updatedAt, tags, blockedBy, priority, description, notes } = task;
  const date = (moment: string) => moment.slice(0, 16).replace("T", " ");
  const front = {
    ...{ id: ids.get(name), title, status: STATUS_OF[status], assignee: owner === null ? [] : [`@${owner}`] },
    ...{ created_date: date(createdAt), updated_date: date(updatedAt), labels: tags },
    dependencies: blockedBy.flatMap((text) => ids.get(text.replace(/@\w+$/, "")) ?? []),
    priority: priority <= 3 ? "high" : priority <= 6 ? "medium" : "low",
  };
  const head = Object.entries(front).map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`);
  const said = notes.map(({ author, createdAt: at, text }) => `${author}, ${at}:\n\n${text}`);
  const section = (title: string, mark: string, text: string) =>
    `\n## ${title}\n\n<!-- SECTION:${mark}:BEGIN -->\n${text}\n<!-- SECTION:${mark}:END -->\n`;
  return [
    `---\n${head.join("")}---\n`,
    description === null ? "" : section("Description", "DESCRIPTION", description),
    said.length === 0 ? "" : section("Implementation Notes", "NOTES", said.join("\n\n")),
  ].join("");
}

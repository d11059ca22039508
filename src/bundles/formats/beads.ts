import { isObject } from "../../shape.js";
import { type KeptTask, keptNote } from "../../tasks/kept.js";
import { CONTAINER_KINDS } from "../../tasks/task.js";
import { countedLines, type Draft, draftTasks, unheldFields, unreadFields } from "../drafts.js";
import { readJson } from "../task-file.js";
import {
  type Fields,
  type Format,
  invalidFile,
  listIn,
  numberIn,
  objectsIn,
  sections,
  tagsOf,
  textIn,
} from "./format.js";

const STATUSES: Readonly<Record<string, KeptTask["status"]>> = {
  ...{ open: "OPEN", in_progress: "IN_PROGRESS", blocked: "OPEN", deferred: "DEFERRED", closed: "CLOSED" },
};

const READ = [
  ...["id", "title", "description", "design", "acceptance_criteria", "notes", "status", "priority", "issue_type"],
  ...["assignee", "labels", "estimated_minutes", "external_ref", "defer_until", "close_reason", "created_at"],
  ...["updated_at", "closed_at", "dependencies", "comments"],
];

const MINUTES_A_DAY = 480;
/** Beads has no status for it. */
const REJECTED = "rejected";

/** Beads: `.beads/issues.jsonl`, an issue a line. An epic holds its children, so it waits for them. */
export const beads: Format = {
  read(files) {
    const issues = [...files].flatMap(([path, text]) => issuesOf(path, text));
    const live = issues.filter((issue) => issue["status"] !== "tombstone");
    const links = live.flatMap((issue) => objectsIn(issue, "dependencies"));
    const left = [
      ...unreadFields(live, READ),
      ...countedLines(
        links.flatMap((link) => (BLOCKING.includes(typeOf(link)) ? [] : [`link ${typeOf(link)}`])),
        "not imported",
      ),
      ...countedLines(
        live.map((issue) => String(issue["status"] ?? "open")).filter((status) => !(status in STATUSES)),
        "a status that mu does not have, OPEN now",
      ),
    ];
    const children = links.filter((link) => typeOf(link) === "parent-child");
    const drafts = live.map((issue) => draftOf(issue, children));
    return [{ ...draftTasks(drafts, left), deleted: issues.length - live.length }];
  },
  write(tasks) {
    const containers = new Set(tasks.filter(({ kind }) => kind === "container").map(({ name }) => name));
    const parentsOf = (name: string) => tasks.filter((task) => containers.has(task.name) && waitsFor(task, name));
    const lines = tasks.map((task) => JSON.stringify(issueOf(task, containers, parentsOf(task.name))));
    const left = [
      ...unheldFields(tasks, HELD),
      ...countedLines(
        tasks.flatMap(({ status, outcome }) => (status === "REJECTED" && outcome !== null ? ["REJECTED"] : [])),
        "exported as closed",
      ),
      ...countedLines(
        tasks.flatMap(({ notes }) =>
          notes.flatMap(({ kind }) => (kind === "note" ? [] : [`note of the kind ${kind}`])),
        ),
        "exported as a comment",
      ),
      ...countedLines(
        tasks.flatMap(({ blockedBy }) => blockedBy.flatMap((text) => (text.includes("@") ? ["level of an edge"] : []))),
        "not exported",
      ),
    ];
    return { files: new Map([["issues.jsonl", lines.map((line) => `${line}\n`).join("")]]), left };
  },
};

function issuesOf(path: string, text: string): Fields[] {
  return text.split("\n").flatMap((line, at) => {
    if (line.trim() === "") return [];
    const issue = readJson(line);
    if (isObject(issue) && typeof issue["id"] === "string" && typeof issue["title"] === "string") return [issue];
    throw invalidFile(path, `line ${at + 1} is no issue of Beads`);
  });
}

const BLOCKING = ["blocks", "parent-child", "conditional-blocks", "waits-for"];
const typeOf = (link: Fields) => textIn(link, "type") ?? "blocks";

function draftOf(issue: Fields, children: readonly Fields[]): Draft {
  const id = String(issue["id"]);
  const own = objectsIn(issue, "dependencies").filter((link) => typeOf(link) !== "parent-child");
  const blockers = own.flatMap((link) =>
    BLOCKING.includes(typeOf(link)) ? (textIn(link, "depends_on_id") ?? []) : [],
  );
  const parts = children.flatMap((link) => (link["depends_on_id"] === id ? (textIn(link, "issue_id") ?? []) : []));
  const type = textIn(issue, "issue_type") ?? "task";
  const minutes = numberIn(issue, "estimated_minutes");
  const isRejected = issue["status"] === "closed" && issue["close_reason"] === REJECTED;
  const at = textIn(issue, "updated_at") ?? textIn(issue, "created_at") ?? "";
  return {
    id,
    name: id.toLowerCase().replaceAll(".", "_"),
    title: String(issue["title"]),
    waitsFor: [...blockers, ...parts],
    fields: {
      status: isRejected ? "REJECTED" : (STATUSES[textIn(issue, "status") ?? "open"] ?? "OPEN"),
      hold: issue["status"] === "blocked" ? "blocked" : undefined,
      kind: type === "epic" ? "container" : CONTAINER_KINDS.includes(type) ? "task" : type,
      priority: 1 + 2 * Math.min(Math.max(Math.round(numberIn(issue, "priority") ?? 2), 0), 4),
      owner: textIn(issue, "assignee"),
      tags: tagsOf(listIn(issue, "labels").map(String)),
      effortDays: minutes === undefined || minutes <= 0 ? undefined : minutes / MINUTES_A_DAY,
      externalRef: textIn(issue, "external_ref"),
      notBefore: textIn(issue, "defer_until"),
      outcome: isRejected ? undefined : textIn(issue, "close_reason"),
      createdAt: textIn(issue, "created_at"),
      updatedAt: textIn(issue, "updated_at"),
      closedAt: textIn(issue, "closed_at"),
      description: sections(textIn(issue, "description"), {
        Design: textIn(issue, "design"),
        "Acceptance criteria": textIn(issue, "acceptance_criteria"),
        Notes: textIn(issue, "notes"),
      }),
      notes: objectsIn(issue, "comments").map((comment) =>
        keptNote({
          author: textIn(comment, "author") ?? "unknown",
          text: textIn(comment, "text") ?? "",
          createdAt: textIn(comment, "created_at") ?? at,
        }),
      ),
    },
  };
}

const HELD: readonly (keyof KeptTask)[] = [
  ...(["title", "status", "hold", "kind", "priority", "owner", "tags", "effortDays", "externalRef"] as const),
  ...(["notBefore", "outcome", "createdAt", "updatedAt", "closedAt", "description", "notes", "blockedBy"] as const),
];

const STATUS_OF = {
  OPEN: "open",
  IN_PROGRESS: "in_progress",
  DEFERRED: "deferred",
  CLOSED: "closed",
  REJECTED: "closed",
};
const blockerOf = (text: string) => text.replace(/@\w+$/, "");
const waitsFor = ({ blockedBy }: KeptTask, name: string) => blockedBy.some((text) => blockerOf(text) === name);

function issueOf(task: KeptTask, containers: ReadonlySet<string>, parents: readonly KeptTask[]): Fields {
  const link = (depends_on_id: string, type: string) => ({
    ...{ issue_id: task.name, depends_on_id, type, created_at: task.createdAt },
  });
  const blockers = containers.has(task.name) ? [] : task.blockedBy.map((text) => link(blockerOf(text), "blocks"));
  const rejected = task.status === "REJECTED" ? REJECTED : null;
  const all = {
    ...{ id: task.name, title: task.title, description: task.description },
    status: task.hold === "blocked" && task.status === "OPEN" ? "blocked" : STATUS_OF[task.status],
    priority: Math.round((task.priority - 1) / 2),
    issue_type: task.kind === "container" ? "epic" : task.kind,
    ...{ assignee: task.owner, labels: task.tags, external_ref: task.externalRef, defer_until: task.notBefore },
    estimated_minutes: task.effortDays === 1 ? null : Math.round(task.effortDays * MINUTES_A_DAY),
    ...{ created_at: task.createdAt, updated_at: task.updatedAt, closed_at: task.closedAt },
    close_reason: task.outcome ?? rejected,
    dependencies: [...blockers, ...parents.map(({ name }) => link(name, "parent-child"))],
    comments: task.notes.map(({ author, text, createdAt }, at) => ({
      ...{ id: at + 1, issue_id: task.name, author, text, created_at: createdAt },
    })),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null));
}

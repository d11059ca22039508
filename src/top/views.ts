import type { ListedAgent } from "../agents/agent.js";
import { type Fields, filterBy } from "../filter.js";
import type { InboxItem } from "../inbox.js";
import { counted } from "../names.js";
import type { BoardTask } from "../tasks/board.js";
import { layersOf } from "../tasks/layers.js";
import { CONTAINER_KINDS } from "../tasks/task.js";
import type { CrewAgent, Data, Landing } from "./data.js";

export const VIEWS = ["crew", "tasks", "graph", "landing", "conflicts", "money", "log"] as const;
export type ViewName = (typeof VIEWS)[number];

/** How the tasks are laid out. */
export const LAYOUTS = ["tree", "board", "ready"] as const;
export type Layout = (typeof LAYOUTS)[number];

export type Tone = "good" | "busy" | "asks" | "bad" | "dim" | "plain" | "strong";

/** A text, with what its colour says. */
export interface Cell {
  text: string;
  tone?: Tone;
}

/** A line of a list. */
export interface Row {
  /** Names it as long as it is there, also when the list is read anew. */
  id: string;
  /** The agent or task that its keys are about; null for a heading. */
  subject: string | null;
  cells: readonly Cell[];
  /** What the filter finds it by. */
  fields: Fields;
  item?: InboxItem | undefined;
}

/** A column of a list; those that do not fit go, the last ones first. */
export interface Column {
  head: string;
  /** In terminal columns: at least this many. The one that `grows` takes what is left. */
  width: number;
  grows?: true;
  right?: true;
}

/** What the part beside or below the list shows of a row. */
export interface Detail {
  name: string;
  /** The text of a line of mu's, given as its words; undefined where there is nothing to show. */
  of(row: Row, data: Data): readonly string[] | undefined;
  /** The agent's pane instead. */
  isPane?: true;
}

export interface View {
  title: string;
  columns: readonly Column[];
  rows(data: Data, options: { layout: Layout }): Row[];
  /** What an empty list says. */
  none: string;
  details: readonly Detail[];
}

const at = (data: Data, name: string) => `${data.workstream}/${name}`;

/** Shape and tone of a status; the shape says what the colour says. */
const MARKS: Readonly<Record<string, Cell>> = {
  busy: { text: "●", tone: "busy" },
  idle: { text: "○", tone: "good" },
  needs_permission: { text: "◐", tone: "asks" },
  needs_input: { text: "◐", tone: "asks" },
  spawning: { text: "◌", tone: "dim" },
  terminated: { text: "✕", tone: "bad" },
  unreachable: { text: "?", tone: "bad" },
};
const UNKNOWN_MARK: Cell = { text: "?", tone: "dim" };

const asks = ({ status }: Pick<ListedAgent, "status">) => MARKS[status ?? ""]?.tone === "asks";

function crewRow(data: Data, agent: CrewAgent): Row {
  const item = data.inbox.find((one) => one.subject === agent.name && ["permission", "input"].includes(one.kind));
  const mark = MARKS[agent.status ?? ""] ?? UNKNOWN_MARK;
  const { workspace, conflicts, tasks } = agent;
  const work =
    workspace === undefined ? "" : `${workspace.ahead ? `↑${workspace.ahead}` : ""}${workspace.dirty ? "*" : ""}`;
  const question = item?.summary;
  const doing = question ?? `${tasks.join(", ")}${agent.idleAssigned ? " (stands still)" : ""}`;
  return {
    id: agent.name,
    subject: agent.name,
    item,
    cells: [
      mark,
      { text: agent.name, tone: "strong" },
      { text: agent.status?.replace("needs_", "needs ") ?? "unknown", ...(mark.tone && { tone: mark.tone }) },
      { text: age(agent.statusSince, data.now), tone: "dim" },
      { text: doing, tone: question === undefined ? "plain" : "asks" },
      { text: `${conflicts.length > 0 ? "⚠ " : ""}${work}`, tone: conflicts.length > 0 ? "bad" : "dim" },
      { text: agent.costUsd === null ? "" : `$${agent.costUsd.toFixed(2)}`, tone: "dim" },
      { text: agent.role ?? "", tone: "dim" },
      { text: agent.cli, tone: "dim" },
    ],
    fields: {
      text: `${agent.name} ${doing} ${agent.statusReason ?? ""}`,
      status: agent.status ?? "unknown",
      cli: agent.cli,
      role: agent.role ?? "",
      task: tasks.join(" "),
    },
  };
}

/** `3m`; what is younger than a minute is `now`, so that an idle screen stays as it is. */
export function age(since: string | null, now: number): string {
  if (since === null) return "";
  const ms = now - Date.parse(since);
  if (ms < 60_000) return "now";
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes}m`;
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)}h` : `${Math.floor(minutes / 60 / 24)}d`;
}

const STATUS_TONES: Readonly<Record<string, Tone>> = {
  OPEN: "plain",
  IN_PROGRESS: "busy",
  CLOSED: "good",
  REJECTED: "dim",
  DEFERRED: "dim",
};

function stateOf(task: BoardTask): Cell {
  if (task.hold !== null) return { text: "held", tone: "asks" };
  if (task.status === "OPEN" && CONTAINER_KINDS.includes(task.kind)) return { text: "holding others", tone: "dim" };
  if (task.status === "CLOSED") return { text: task.level === "claimed" ? "closed" : (task.level ?? ""), tone: "good" };
  if (task.ready) return { text: "ready", tone: "strong" };
  if (task.status === "OPEN" && task.waitsFor.length > 0) return { text: "blocked", tone: "dim" };
  return { text: task.status.toLowerCase().replace("_", " "), tone: STATUS_TONES[task.status] ?? "plain" };
}

function taskRow(task: BoardTask, indent = ""): Row {
  const state = stateOf(task);
  const { name, title, role, owner, waitsFor } = task;
  return {
    id: name,
    subject: name,
    cells: [
      state,
      { text: `${indent}${name}`, tone: task.status === "CLOSED" ? "dim" : "strong" },
      { text: owner ?? "", tone: "busy" },
      { text: role ?? "", tone: "dim" },
      { text: waitsFor.length > 0 ? `${title}  ← ${waitsFor.join(", ")}` : title },
    ],
    fields: { text: `${name} ${title}`, status: `${task.status} ${state.text}`, role: role ?? "", owner: owner ?? "" },
  };
}

const BOARD = ["held", "in progress", "ready", "blocked", "open", "holding others"];
const heading = (text: string): Row => ({
  id: `\0${text}`,
  subject: null,
  cells: [{ text: "" }, { text, tone: "asks" }],
  fields: {},
});

/** Goals first, what they wait for below them; a task that is reached twice is shown once more, without what is below. */
function treeRows(tasks: readonly BoardTask[]): Row[] {
  const byName = new Map(tasks.map((task) => [task.name, task]));
  const awaited = new Set(tasks.flatMap(({ blockers }) => blockers));
  const shown = new Set<string>();
  const rows: Row[] = [];
  const stack = tasks.filter(({ name }) => !awaited.has(name)).map((task) => ({ task, depth: 0, below: "" }));
  stack.reverse();
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { task, depth, below } = next;
    const again = shown.has(task.name);
    const row = taskRow(task, "  ".repeat(depth));
    rows.push(again ? { ...row, id: `${below}\0${task.name}` } : row);
    if (again) continue;
    shown.add(task.name);
    const blockers = task.blockers.flatMap((name) => byName.get(name) ?? []).reverse();
    for (const blocker of blockers) stack.push({ task: blocker, depth: depth + 1, below: `${below}\0${task.name}` });
  }
  return rows;
}

function taskRows({ tasks }: Data, { layout }: { layout: Layout }): Row[] {
  if (layout === "tree") return treeRows(tasks);
  const ready = tasks.filter((task) => task.ready).sort((a, b) => a.priority - b.priority);
  if (layout === "ready") return ready.map((task) => taskRow(task));
  return BOARD.flatMap((state) => {
    const rows = tasks.filter((task) => stateOf(task).text === state).map((task) => taskRow(task));
    return rows.length > 0 ? [heading(`${state} (${rows.length})`), ...rows] : [];
  });
}

/** In steps, with the longest path in front of each. */
function graphRows({ tasks, critical }: Data): Row[] {
  const layers = layersOf(tasks.filter(({ status }) => status === "OPEN" || status === "IN_PROGRESS"));
  const onPath = ({ name }: BoardTask) => critical.includes(name);
  const path = critical.length > 1 ? [heading(`longest path ▶ ${critical.join(" → ")}`)] : [];
  const steps = layers.flatMap((layer, depth) => [
    heading(depth === 0 ? `step 1: waits for nothing (${layer.length})` : `step ${depth + 1} (${layer.length})`),
    ...[...layer.filter(onPath), ...layer.filter((task) => !onPath(task))].map((task) => {
      const row = taskRow(task);
      const [state, name, ...rest] = row.cells;
      const isCritical = critical.includes(task.name);
      const marked: Cell = { text: `${isCritical ? "▶ " : "  "}${name?.text}`, tone: isCritical ? "asks" : "plain" };
      return { ...row, cells: [state ?? { text: "" }, marked, ...rest] };
    }),
  ]);
  return [...path, ...steps];
}

function landingRow({ task, title, owner, level, state, batch }: Landing): Row {
  return {
    id: task,
    subject: task,
    cells: [
      { text: level, tone: level === "verified" ? "good" : "dim" },
      { text: task, tone: "strong" },
      { text: owner ?? "", tone: "dim" },
      { text: state, tone: batch === null ? "plain" : "busy" },
      { text: title },
    ],
    fields: { text: `${task} ${title}`, status: `${level} ${state}`, owner: owner ?? "" },
  };
}

const money = (usd: number | null) => (usd === null ? "" : `$${usd.toFixed(2)}`);

function moneyRows({ budget }: Data): Row[] {
  if (budget === null) return [];
  return [budget.project, ...budget.roles].map((line) => {
    const used = line.settledUsd + line.reservedUsd;
    const share = line.capUsd ? Math.min(1, used / line.capUsd) : 0;
    const tone = { ok: "good", soft: "asks", hit: "bad" }[line.state] as Tone;
    return {
      id: line.role,
      subject: line.role,
      cells: [
        { text: line.role, tone: "strong" },
        { text: money(line.settledUsd), tone },
        { text: money(line.reservedUsd || null), tone: "dim" },
        { text: money(line.capUsd), tone: "dim" },
        { text: line.capUsd === null ? "no cap" : "█".repeat(Math.round(share * 20)).padEnd(20, "░"), tone },
        { text: `${counted(line.runs, "run")}${line.unknown > 0 ? `, ${line.unknown} unknown` : ""}`, tone: "dim" },
      ],
      fields: { text: line.role, role: line.role, status: line.state },
    };
  });
}

function logRows({ log, now }: Data): Row[] {
  return [...log].reverse().map((entry) => ({
    id: String(entry.id),
    subject: String(entry.id),
    cells: [
      { text: age(entry.at, now), tone: "dim" },
      { text: entry.source, tone: "strong" },
      { text: entry.text, tone: entry.kind === "event" ? "plain" : "asks" },
    ],
    fields: { text: entry.text, by: entry.source, kind: entry.kind, op: entry.op },
  }));
}

const TASK_COLUMNS: readonly Column[] = [
  { head: "state", width: 11 },
  { head: "task", width: 24 },
  { head: "owner", width: 10 },
  { head: "role", width: 8 },
  { head: "title", width: 12, grows: true },
];

const taskDetails: readonly Detail[] = [
  { name: "task", of: ({ subject }, data) => (subject === null ? undefined : ["task", "show", at(data, subject)]) },
  { name: "waits", of: ({ subject }, data) => (subject === null ? undefined : ["task", "tree", at(data, subject)]) },
  { name: "notes", of: ({ subject }, data) => (subject === null ? undefined : ["task", "notes", at(data, subject)]) },
];

export const VIEW: Readonly<Record<ViewName, View>> = {
  crew: {
    title: "Crew",
    columns: [
      { head: "", width: 1 },
      { head: "agent", width: 12 },
      { head: "status", width: 16 },
      { head: "for", width: 4, right: true },
      { head: "task", width: 12, grows: true },
      { head: "work", width: 6 },
      { head: "today", width: 7, right: true },
      { head: "role", width: 9 },
      { head: "cli", width: 8 },
    ],
    // Who waits longest stands first, then everybody by name.
    rows: (data) => {
      const waiting = data.agents.filter(asks).sort((a, b) => ((a.statusSince ?? "") < (b.statusSince ?? "") ? -1 : 1));
      return [...waiting, ...data.agents.filter((agent) => !asks(agent))].map((agent) => crewRow(data, agent));
    },
    none: "No agents. n starts one.",
    details: [
      { name: "screen", of: () => undefined, isPane: true },
      {
        name: "diff",
        of: ({ id }, data) => {
          const hasWork = data.agents.find(({ name }) => name === id)?.workspace !== undefined;
          return hasWork ? ["workspace", "diff", at(data, id)] : undefined;
        },
      },
      { name: "why", of: ({ id }, data) => ["agent", "explain", at(data, id), "--history"] },
      { name: "card", of: ({ id }, data) => ["agent", "show", at(data, id)] },
    ],
  },
  tasks: {
    title: "Tasks",
    columns: TASK_COLUMNS,
    rows: taskRows,
    none: "No tasks. n adds one.",
    details: taskDetails,
  },
  graph: {
    title: "Graph",
    columns: TASK_COLUMNS,
    rows: graphRows,
    none: "Nothing is left to do.",
    details: taskDetails,
  },
  landing: {
    title: "Landing",
    columns: [
      { head: "proof", width: 9 },
      { head: "task", width: 20 },
      { head: "owner", width: 10 },
      { head: "state", width: 18 },
      { head: "title", width: 12, grows: true },
    ],
    rows: ({ landings }) => landings.map(landingRow),
    none: "All finished work has landed.",
    details: [
      { name: "review", of: ({ subject }, data) => ["review", at(data, subject ?? "")] },
      { name: "diff", of: ({ subject }, data) => ["task", "diff", at(data, subject ?? "")] },
      ...taskDetails,
    ],
  },
  conflicts: {
    title: "Conflicts",
    columns: [
      { head: "agent", width: 12 },
      { head: "with", width: 12 },
      { head: "for", width: 4, right: true },
      { head: "paths", width: 12, grows: true },
    ],
    rows: ({ collisions, now }) =>
      collisions.map(({ a, b, branch, since, paths }) => ({
        id: `${a}\0${b ?? ""}`,
        subject: a,
        cells: [
          { text: a, tone: "strong" },
          { text: b ?? branch ?? "the branch", tone: "strong" },
          { text: age(since, now), tone: "dim" },
          { text: paths.join(", "), tone: "bad" },
        ],
        fields: { text: paths.join(" "), agent: `${a} ${b ?? ""}` },
      })),
    none: "No conflicts are predicted.",
    details: [
      { name: "all", of: (_, data) => ["workspace", "conflicts", "-w", data.workstream] },
      { name: "workspaces", of: (_, data) => ["workspace", "list", "-w", data.workstream] },
    ],
  },
  money: {
    title: "Money",
    columns: [
      { head: "role", width: 14 },
      { head: "spent", width: 9, right: true },
      { head: "reserved", width: 9, right: true },
      { head: "cap", width: 8, right: true },
      { head: "", width: 20 },
      { head: "runs", width: 12, grows: true },
    ],
    rows: moneyRows,
    none: "Nothing was spent today.",
    details: [
      {
        name: "runs",
        of: ({ subject }, data) => [
          "runs",
          "list",
          ...(subject === null || subject === "project" ? [] : ["--role", subject]),
          "-w",
          data.workstream,
        ],
      },
      { name: "budget", of: (_, data) => ["budget", "-w", data.workstream] },
    ],
  },
  log: {
    title: "Log",
    columns: [
      { head: "ago", width: 5, right: true },
      { head: "by", width: 12 },
      { head: "what", width: 20, grows: true },
    ],
    rows: logRows,
    none: "The log is empty.",
    details: [],
  },
};

/** Rows are made once for each reading: there may be thousands, and a key asks for them several times. */
const made = new WeakMap<Data, Map<string, Row[]>>();

/** The rows of a view that pass its filter; a heading stays only with rows below it. */
export function rowsOf(view: ViewName, data: Data, { layout, filter }: { layout: Layout; filter: string }): Row[] {
  const known = made.get(data) ?? new Map<string, Row[]>();
  made.set(data, known);
  const key = `${view}\0${layout}\0${filter}`;
  const rows = known.get(key) ?? filtered(VIEW[view].rows(data, { layout }), filter);
  known.set(key, rows);
  return rows;
}

function filtered(rows: Row[], filter: string): Row[] {
  if (filter.trim() === "") return rows;
  const passes = filterBy(filter);
  const kept = rows.filter((row) => row.subject === null || passes(row.fields));
  return kept.filter((row, index) => row.subject !== null || (kept[index + 1]?.subject ?? null) !== null);
}

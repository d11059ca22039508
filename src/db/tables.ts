import type { Schema } from "./schema.js";
import { TASK_COLUMNS, type TaskColumn } from "./task-columns.js";

/** A table as undo, replay, audit, history, destroy and `sql --write` see it. */
export interface Table {
  /** What one of its rows is called, if it is ever named. */
  noun?: string;
  /** Joins the noun and a name that is another row's: `note on build`. */
  preposition?: string;
  /** How a row is named: columns in braces, where a reference stands for the name of its row. */
  label?: string;
  /** Without it, its rows are the fold of the events. */
  journalled?: false;
  /** Columns that hold the id of a row, each with the table of that row. */
  references?: Readonly<Record<string, TableName>>;
  /** The references that take a row with them when their row is deleted, all without it; the first leads to its workstream. */
  destroyedWith?: readonly string[];
  /** The column with the name of the row's workstream, where no reference leads to it. */
  scopeColumn?: string;
  /** Columns in which no two rows may agree; with `whileNull` only among rows in which that column is null. */
  unique?: readonly { columns: readonly string[]; whileNull?: string }[];
  /** Two references that form a graph without cycles: who blocks, who is blocked. */
  acyclic?: readonly [from: string, to: string];
  /** Why undo refuses verbs of this noun; absent where rows are all there is to them. */
  notUndoable?: string;
  /** What is to be known of single columns. */
  columns?: Readonly<Record<string, Pick<TaskColumn, "kind" | "quiet" | "restsOn">>>;
  /** Columns of program output, of which the chain keeps the hash only, like of any large text. */
  output?: readonly string[];
  /** What a row is in the history of the row that it refers to: a field and, by its label, a value. */
  inHistoryOf?: Readonly<Record<string, { field: string; value: string }>>;
}

/** Tables that are described here: all but the log itself, the texts that belong to it, and the index of words. */
export type TableName = Exclude<keyof Schema, "events" | "chains" | "texts" | "search_entries" | "search_marks">;

/**
 * Every table, in an order in which rows can be put back: a row only refers to rows of its own table or of tables
 * before it. A new table needs a line here, its columns in `schema.ts`, and a migration.
 */
export const TABLES = {
  workstreams: {
    noun: "workstream",
    label: "{name}",
    scopeColumn: "name",
    unique: [{ columns: ["name"] }],
  },
  agents: {
    noun: "agent",
    label: "{name}",
    references: { workstream_id: "workstreams" },
    unique: [{ columns: ["workstream_id", "name"], whileNull: "closed_at" }],
    notUndoable: "panes are opened and closed in tmux, not in the database",
  },
  tasks: {
    noun: "task",
    label: "{name}",
    references: { workstream_id: "workstreams", owner_id: "agents", root_id: "tasks" },
    destroyedWith: ["workstream_id"],
    unique: [{ columns: ["workstream_id", "name"] }],
    columns: TASK_COLUMNS,
  },
  task_edges: {
    noun: "edge",
    label: "{blocker_id} → {blocked_id}",
    references: { blocker_id: "tasks", blocked_id: "tasks" },
    destroyedWith: ["blocked_id", "blocker_id"],
    unique: [{ columns: ["blocked_id", "blocker_id"] }],
    acyclic: ["blocker_id", "blocked_id"],
    inHistoryOf: {
      blocked_id: { field: "blocker", value: "{blocker_id}" },
      blocker_id: { field: "blocks", value: "{blocked_id}" },
    },
  },
  task_notes: {
    noun: "note",
    preposition: "on",
    label: "{task_id}",
    references: { task_id: "tasks" },
    inHistoryOf: { task_id: { field: "note", value: "{text}" } },
  },
  workspaces: {
    noun: "workspace",
    preposition: "of",
    label: "{agent}",
    references: { workstream_id: "workstreams" },
    unique: [
      { columns: ["workstream_id", "agent"], whileNull: "freed_at" },
      { columns: ["path"], whileNull: "freed_at" },
    ],
    notUndoable: "folders are created and deleted on disk, not in the database",
  },
  salvages: {
    noun: "salvage",
    label: "{workstream}/{agent}/{n}",
    scopeColumn: "workstream",
    unique: [{ columns: ["workstream", "agent", "n"] }],
    notUndoable: "restored work is in its folder, not in the database",
  },
  checks: {
    noun: "check",
    preposition: "of",
    label: "{task_id}",
    references: { task_id: "tasks" },
    output: ["tail"],
    inHistoryOf: { task_id: { field: "check", value: "{command}" } },
  },
  approvals: {
    noun: "approval",
    label: "{text}",
    unique: [{ columns: ["root", "hash"] }],
  },
  runs: {
    noun: "run",
    preposition: "of",
    label: "{task}",
    references: { workstream_id: "workstreams", agent_id: "agents" },
    destroyedWith: ["workstream_id"],
    notUndoable: "a run that was started cannot be unstarted",
  },
  assets: {
    noun: "asset",
    label: "{path}",
    references: { workstream_id: "workstreams" },
    unique: [{ columns: ["workstream_id", "path", "version"] }],
  },
  archives: {
    noun: "archive",
    label: "{label}",
    unique: [{ columns: ["label"] }],
  },
  archived_tasks: {
    noun: "archived task",
    label: "{workstream}/{name}",
    references: { archive_id: "archives" },
    unique: [{ columns: ["archive_id", "workstream", "name"] }],
  },
  budget_notices: {
    noun: "notice",
    preposition: "of",
    label: "{role}",
    references: { workstream_id: "workstreams" },
    unique: [{ columns: ["workstream_id", "day", "role", "kind"] }],
  },
  requests: {
    journalled: false,
  },
  dispatchers: {
    journalled: false,
    references: { workstream_id: "workstreams" },
  },
  agent_status: {
    journalled: false,
    references: { agent_id: "agents" },
  },
  observations: {
    journalled: false,
    references: { agent_id: "agents" },
  },
  deliveries: {
    noun: "delivery",
    journalled: false,
    references: { agent_id: "agents", workstream_id: "workstreams", task_id: "tasks" },
    destroyedWith: ["agent_id"],
    notUndoable: "a prompt that was sent cannot be unsent",
  },
  port_leases: {
    journalled: false,
    references: { workspace_id: "workspaces" },
  },
  workspace_holds: {
    journalled: false,
    references: { workspace_id: "workspaces" },
  },
  landings: {
    journalled: false,
    references: { workstream_id: "workstreams", task_id: "tasks" },
    destroyedWith: ["workstream_id"],
  },
  workspace_changes: {
    journalled: false,
    references: { workspace_id: "workspaces" },
  },
  collisions: {
    journalled: false,
    references: { workstream_id: "workstreams" },
  },
} as const satisfies Record<TableName, Table>;

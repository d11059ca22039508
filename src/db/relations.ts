import type { JournalledTable } from "./schema.js";

/** A column that holds the id of a row in `to`. */
export interface Reference {
  table: JournalledTable;
  column: string;
  to: JournalledTable;
}

/** Which rows hang on which; the database's own foreign keys, as data. A test compares the two. */
export const REFERENCES: readonly Reference[] = [
  { table: "agents", column: "workstream_id", to: "workstreams" },
  { table: "tasks", column: "workstream_id", to: "workstreams" },
  { table: "tasks", column: "owner_id", to: "agents" },
  { table: "tasks", column: "root_id", to: "tasks" },
  { table: "task_edges", column: "blocker_id", to: "tasks" },
  { table: "task_edges", column: "blocked_id", to: "tasks" },
  { table: "task_notes", column: "task_id", to: "tasks" },
  { table: "workspaces", column: "workstream_id", to: "workstreams" },
  { table: "checks", column: "task_id", to: "tasks" },
];

/** Columns of which no two rows may have the same values. `whileNull`: only rows in which it is null. */
export interface UniqueKey {
  table: JournalledTable;
  columns: readonly string[];
  whileNull?: string;
}

/** What names a row for people, and must stay unique when rows come back. */
export const UNIQUE_KEYS: readonly UniqueKey[] = [
  { table: "workstreams", columns: ["name"] },
  { table: "agents", columns: ["workstream_id", "name"], whileNull: "closed_at" },
  { table: "tasks", columns: ["workstream_id", "name"] },
  { table: "task_edges", columns: ["blocked_id", "blocker_id"] },
  { table: "workspaces", columns: ["workstream_id", "agent"], whileNull: "freed_at" },
  { table: "workspaces", columns: ["path"], whileNull: "freed_at" },
  { table: "salvages", columns: ["workstream", "agent", "n"] },
  { table: "approvals", columns: ["root", "hash"] },
];

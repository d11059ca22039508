import { stat } from "node:fs/promises";
import { connect } from "../db/sqlite/connect.js";
import type { Connection } from "../db/sqlite/connection.js";
import { isSqliteError } from "../db/sqlite/faults.js";
import { Fault } from "../errors.js";
import { groupBy } from "../groups.js";
import { isTaskName, quote, slug, unusedName } from "../names.js";
import type { KeptTask } from "../tasks/kept.js";
import { keptNote } from "../tasks/kept.js";
import { type Draft, draftTasks } from "./drafts.js";
import type { Source } from "./manifest.js";
import type { Found } from "./read.js";

/** The schema versions whose tables are read: mu 0.2 to 1.0. */
const VERSIONS = [5, 9] as const;
/** How long to wait for a mu that writes to it, in ms. */
const BUSY_MS = 5000;

/** Tables that have no place here, and what their rows are. */
const LEFT = {
  agents: "agents",
  agent_logs: "log entries",
  ops: "operations of the log",
  vcs_workspaces: "workspaces",
  snapshots: "snapshots",
  archived_events: "log entries of archives",
} as const;

interface OldTask {
  id: number;
  workstream: string;
  name: string;
  title: string;
  status: KeptTask["status"];
  impact: number;
  effort: number;
  owner: string | null;
  created_at: string;
  updated_at: string;
}

/** An archive as mu can hold it; `left` says what it cannot, a line each. */
export interface FoundArchive {
  label: string;
  description: string | null;
  createdAt: string;
  sources: Source[];
  left: string[];
}

/** What such a database holds: `left` says what stays behind, a line each. */
export interface Predecessor {
  version: number;
  found: Found[];
  archives: FoundArchive[];
  left: string[];
}

/**
 * The workstreams and archives in a database of mu 0.x or 1.0 with their tasks, edges and notes, and what stays behind. It is
 * read as one moment left it, its `-wal` included, and never written. Faults `import.not_found`, `import.unreadable`,
 * `import.not_predecessor`.
 */
export async function readPredecessor(path: string): Promise<Predecessor> {
  const isFile = await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
  if (!isFile) throw new Fault("usage", "import.not_found", `There is no file ${quote(path)}.`);
  let db: Connection | undefined;
  try {
    db = connect(path, { readonly: true, timeout: BUSY_MS });
    db.exec("begin");
    return readTables(db, path);
  } catch (error) {
    if (!isSqliteError(error)) throw error;
    const message = `${quote(path)} cannot be read as a database (${error.code}). If its folder is read-only, copy it with its -wal first.`;
    throw new Fault("unavailable", "import.unreadable", message);
  } finally {
    db?.close();
  }
}

function readTables(db: Connection, path: string): Predecessor {
  const all: Query = (text) => db.prepare(text).all() as never[];
  const tables = all<{ name: string }>("select name from sqlite_master where type = 'table'").map(({ name }) => name);
  const [row] = tables.includes("schema_version") ? all<{ version: number }>("select version from schema_version") : [];
  const version = row?.version ?? 0;
  if (version < VERSIONS[0] || version > VERSIONS[1]) throw notPredecessor(path, tables.includes("events"), version);
  const draftsOf = groupBy(readDrafts(all), ({ place }) => place);
  const found = all<{ name: string }>("select name from workstreams order by id").map(({ name: workstream }) => {
    return { workstream, deleted: 0, ...draftTasks(draftsOf.get(workstream) ?? []) };
  });
  const left = Object.entries(LEFT).flatMap(([table, what]) => {
    const [count] = tables.includes(table) ? all<{ n: number }>(`select count(*) as n from ${table}`) : [];
    return count === undefined || count.n === 0 ? [] : [`${what}: ${count.n}`];
  });
  return { version, found, archives: tables.includes("archived_tasks") ? readArchives(all) : [], left };
}

type Query = <T>(text: string) => T[];

/** A task and the workstream that it is of. */
type Placed = Draft & { place: string };

function readDrafts(all: Query): Placed[] {
  const tasks = all<OldTask>(
    `select t.id, w.name as workstream, t.local_id as name, t.title, t.status, t.impact, t.effort_days as effort,
       o.name as owner, t.created_at, t.updated_at
     from tasks t join workstreams w on w.id = t.workstream_id left join agents o on o.id = t.owner_id order by t.id`,
  );
  const edges = all<OldEdge>("select from_task_id as blocker, to_task_id as blocked from task_edges");
  const notes = all<OldNote>(
    "select task_id as task, author, content as text, created_at as createdAt from task_notes order by id",
  );
  return draftsOf(tasks, edges, notes);
}

function readArchives(all: Query): FoundArchive[] {
  const tasks = all<OldTask & { archive: number }>(
    `select id, archive_id as archive, source_workstream as workstream, original_local_id as name, title, status, impact,
       effort_days as effort, owner_name as owner, original_created_at as created_at, original_updated_at as updated_at
     from archived_tasks order by id`,
  );
  const edges = all<OldEdge>("select from_archived_id as blocker, to_archived_id as blocked from archived_edges");
  const notes = all<OldNote>(
    "select archived_task_id as task, author, content as text, created_at as createdAt from archived_notes order by id",
  );
  const archives = all<{ id: number; label: string; description: string | null; createdAt: string }>(
    "select id, label, description, created_at as createdAt from archives order by id",
  );
  const taken = new Set<string>();
  return archives.map(({ id, label: was, ...archive }) => {
    const wanted = isTaskName(was) ? was : slug(was) || "archive";
    const label = unusedName(wanted, (name) => taken.has(name));
    taken.add(label);
    const left = label === was ? [] : [`its label was ${quote(was)}`];
    const own = tasks.filter((task) => task.archive === id);
    const sources = [...groupBy(draftsOf(own, edges, notes), ({ place }) => place)].map(([workstream, drafts]) => {
      const { tasks, left: lines } = draftTasks(drafts);
      left.push(...lines);
      return { workstream, tasks };
    });
    return { ...archive, label, sources, left };
  });
}

interface OldEdge {
  blocker: number;
  blocked: number;
}

interface OldNote {
  task: number;
  author: string | null;
  text: string;
  createdAt: string;
}

function draftsOf(tasks: readonly OldTask[], edges: readonly OldEdge[], notes: readonly OldNote[]): Placed[] {
  const [edgesOf, notesOf] = [groupBy(edges, ({ blocked }) => blocked), groupBy(notes, ({ task }) => task)];
  return tasks.map(({ id, workstream, name, title, status, impact, effort, owner, created_at, updated_at }) => {
    const times = { createdAt: created_at, updatedAt: updated_at };
    const closedAt = status === "CLOSED" || status === "REJECTED" ? updated_at : null;
    const said = (notesOf.get(id) ?? []).map(({ author, text, createdAt }) =>
      keptNote({ author: author ?? "system", text, createdAt }),
    );
    const waitsFor = (edgesOf.get(id) ?? []).map(({ blocker }) => String(blocker));
    const fields = { status, impact, effortDays: effort, owner, ...times, closedAt, notes: said };
    return { place: workstream, id: String(id), name, title, waitsFor, fields };
  });
}

function notPredecessor(path: string, isOurs: boolean, version: number): Fault {
  const why = isOurs
    ? "is a database of this mu: set MU_DB_PATH to use it"
    : version > VERSIONS[1]
      ? `has schema ${version}, which is newer than ${VERSIONS[1]}`
      : version > 0
        ? `has schema ${version}: open it once with mu 0.2 or later`
        : "is no database of mu";
  return new Fault("usage", "import.not_predecessor", `${quote(path)} ${why}.`);
}

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { writeBundle } from "../../src/bundles/write.js";
import { keptTask } from "../../src/tasks/kept.js";

/** The tables of mu 0.3 (schema 7) that an import reads or counts. */
const SCHEMA_7 = `
  create table schema_version (id integer primary key check (id = 1), version integer not null);
  create table workstreams (id integer primary key autoincrement, name text unique not null, created_at text not null);
  create table agents (id integer primary key autoincrement,
    workstream_id integer not null references workstreams (id) on delete cascade, name text not null,
    cli text not null default 'pi', pane_id text not null, status text not null, role text not null default 'full-access',
    tab text, created_at text not null, updated_at text not null, unique (workstream_id, name));
  create table tasks (id integer primary key autoincrement,
    workstream_id integer not null references workstreams (id) on delete cascade, local_id text not null, title text not null,
    status text not null default 'OPEN', impact integer not null check (impact between 1 and 100),
    effort_days real not null check (effort_days > 0), owner_id integer references agents (id) on delete set null,
    created_at text not null, updated_at text not null, unique (workstream_id, local_id));
  create table task_edges (from_task_id integer not null references tasks (id) on delete cascade,
    to_task_id integer not null references tasks (id) on delete cascade, created_at text not null,
    primary key (from_task_id, to_task_id), check (from_task_id <> to_task_id));
  create table task_notes (id integer primary key autoincrement,
    task_id integer not null references tasks (id) on delete cascade, author text, content text not null,
    created_at text not null);
  create table agent_logs (seq integer primary key autoincrement, workstream_id integer references workstreams (id),
    source text not null, kind text not null default 'message', payload text not null, created_at text not null);
  create table vcs_workspaces (id integer primary key autoincrement, agent_id integer not null unique,
    workstream_id integer not null, backend text not null, path text not null unique, parent_ref text,
    created_at text not null);
  create table snapshots (id integer primary key autoincrement, workstream text, label text not null,
    db_path text not null, schema_version integer not null, created_at text not null);`;

/** Its archives: `Old releases`, with `draft` and `print` of a workstream that is gone. */
const ARCHIVES_7 = `
  create table archives (id integer primary key autoincrement, label text unique not null, description text,
    created_at text not null, last_added_at text);
  create table archived_tasks (id integer primary key autoincrement,
    archive_id integer not null references archives (id) on delete cascade, source_workstream text not null,
    original_local_id text not null, title text not null, status text not null, impact integer not null,
    effort_days real not null, owner_name text, archived_at_status text not null, archived_at text not null,
    original_created_at text not null, original_updated_at text not null,
    unique (archive_id, source_workstream, original_local_id));
  create table archived_edges (archive_id integer not null references archives (id) on delete cascade,
    from_archived_id integer not null references archived_tasks (id) on delete cascade,
    to_archived_id integer not null references archived_tasks (id) on delete cascade,
    primary key (archive_id, from_archived_id, to_archived_id));
  create table archived_notes (id integer primary key autoincrement,
    archive_id integer not null references archives (id) on delete cascade,
    archived_task_id integer not null references archived_tasks (id) on delete cascade, author text,
    content text not null, created_at text not null);
  insert into archives (label, description, created_at) values ('Old releases', 'of spring', '2026-05-01T10:00:00.000Z');
  insert into archived_tasks (archive_id, source_workstream, original_local_id, title, status, impact, effort_days,
      owner_name, archived_at_status, archived_at, original_created_at, original_updated_at)
    values (1, 'paper', 'draft', 'Draft it', 'CLOSED', 60, 1, 'carol', 'CLOSED', '2026-05-03T10:00:00.000Z',
        '2026-05-01T10:00:00.000Z', '2026-05-02T10:00:00.000Z'),
      (1, 'paper', 'print', 'Print it', 'OPEN', 50, 1, null, 'OPEN', '2026-05-03T10:00:00.000Z',
        '2026-05-01T10:00:00.000Z', '2026-05-01T10:00:00.000Z');
  insert into archived_edges values (1, 1, 2);
  insert into archived_notes (archive_id, archived_task_id, author, content, created_at)
    values (1, 1, 'carol', 'On thick paper.', '2026-05-02T10:00:00.000Z');`;

/** What mu 1.0 (schema 9) has instead of the archives. */
const OPS_9 = `create table ops (seq integer primary key autoincrement, hlc text not null, machine_id text not null,
  group_id text not null, actor text not null, intent text not null, entity text not null, key text not null,
  op text not null, payload text, created_at text not null);`;

const AT = "2026-05-01T10:00:00.000Z";
const LATER = "2026-05-02T10:00:00.000Z";

/** `auth` with `design`, CLOSED by alice, and `ship`, which waits for it and is bob's; `idle`, which is empty. */
const ROWS = `
  insert into workstreams (name, created_at) values ('auth', '${AT}'), ('idle', '${AT}');
  insert into agents (workstream_id, name, pane_id, status, created_at, updated_at)
    values (1, 'alice', '%1', 'busy', '${AT}', '${AT}'), (1, 'bob', '%2', 'free', '${AT}', '${AT}');
  insert into tasks (workstream_id, local_id, title, status, impact, effort_days, owner_id, created_at, updated_at)
    values (1, 'design', 'Design it', 'CLOSED', 80, 0.5, 1, '${AT}', '${LATER}'),
           (1, 'ship', 'Ship it', 'IN_PROGRESS', 50, 2, 2, '${AT}', '${AT}');
  insert into task_edges values (1, 2, '${AT}');
  insert into task_notes (task_id, author, content, created_at)
    values (1, 'alice', 'Start small.', '${AT}'), (1, null, 'Reaped.', '${LATER}');
  insert into agent_logs (workstream_id, source, payload, created_at) values (1, 'system', 'task add design', '${AT}');`;

/** Fills an open database as mu of that schema would have it. */
export function fillPredecessor(db: Database.Database, version: 7 | 9 = 7): void {
  db.exec(SCHEMA_7 + (version === 7 ? ARCHIVES_7 : OPS_9) + ROWS);
  db.prepare("insert into schema_version values (1, ?)").run(version);
}

let bytes: Buffer | undefined;

/** The file of such a database of mu 0.3. */
export function predecessorDatabase(): Buffer {
  if (bytes !== undefined) return bytes;
  const folder = mkdtempSync(join(tmpdir(), "mu-old-"));
  const db = new Database(join(folder, "mu.db"));
  db.transaction(() => fillPredecessor(db))();
  db.close();
  bytes = readFileSync(join(folder, "mu.db"));
  rmSync(folder, { recursive: true });
  return bytes;
}

/** What there is to import in a folder: a bundle with the workstream `shop`, issues of Beads, and a database of mu 0.3. */
export async function seedImports(folder: string): Promise<void> {
  const tasks = [keptTask("cart", "Fill the cart", {})];
  await writeBundle(join(folder, "bundle"), [{ workstream: "shop", tasks }], AT);
  writeFileSync(join(folder, "issues.jsonl"), '{"id":"bd-1","title":"Count votes"}\n');
  writeFileSync(join(folder, "old.db"), predecessorDatabase());
}

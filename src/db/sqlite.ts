import { chmodSync, existsSync, linkSync, mkdirSync, rmSync, watch } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname } from "node:path";
import Database from "better-sqlite3";
import {
  CompiledQuery,
  type DatabaseConnection,
  Kysely,
  SqliteAdapter,
  SqliteDialect,
  SqliteDriver,
  type TransactionSettings,
} from "kysely";
import { Fault } from "../errors.js";
import { bringUpToDate, schemaAge } from "./migrate.js";
import type { Reader, Schema } from "./schema.js";
import type { CapturedRow, SqlResult, Store } from "./store.js";

/** How long a write waits for another process's write before it gives up, in ms. */
const BUSY_TIMEOUT_MS = 15_000;
/** The fallback when the operating system tells of no change: one cheap pragma at this pace, in ms. */
const WATCH_FALLBACK_MS = 1_000;

export interface SqliteOptions {
  /** `create` makes a missing file; `empty` answers as an empty database and makes nothing. */
  missing: "create" | "empty";
  /** `FULL` survives a power cut, `NORMAL` only a crash of the process. */
  synchronous?: "FULL" | "NORMAL";
  busyTimeoutMs?: number;
}

/** Opens the database at `path`. A current one is opened without a write. Faults: `db.*`, unavailable or conflict. */
export async function openSqlite(path: string, options: SqliteOptions): Promise<Store> {
  return guarded(path, async () => {
    if (path !== ":memory:" && !existsSync(path)) {
      if (options.missing === "empty") return openFile(":memory:", path, options);
      await createFile(path);
    }
    return openFile(path, path, options);
  });
}

/** A new database is made beside its place and linked into it, so that no process ever meets half of one. */
async function createFile(path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}.new`;
  try {
    const connection = connect(draft, BUSY_TIMEOUT_MS);
    chmodSync(draft, 0o600);
    connection.pragma("journal_mode = WAL");
    const db = kysely(connection);
    await bringUpToDate(db, "sqlite");
    await db.destroy();
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(draft + suffix, { force: true });
  }
}

async function openFile(file: string, location: string, options: SqliteOptions): Promise<Store> {
  const connection = connect(file, options.busyTimeoutMs ?? BUSY_TIMEOUT_MS);
  try {
    connection.pragma(`synchronous = ${options.synchronous ?? "FULL"}`);
    const db = kysely(connection);
    const age = await schemaAge(db);
    if (age === "newer") throw newerDatabase(location);
    if (age === "older") {
      if (file !== ":memory:") connection.pragma("journal_mode = WAL");
      await bringUpToDate(db, "sqlite");
    }
    return store(connection, db, file, location);
  } catch (error) {
    connection.close();
    throw error;
  }
}

function store(connection: Database.Database, db: Kysely<Schema>, file: string, location: string): Store {
  return {
    dialect: "sqlite",
    location,
    db,
    write: (work, { waitMs } = {}) =>
      guarded(location, () =>
        waitMs === undefined ? db.transaction().execute(work) : writeSoon(connection, db, work, waitMs),
      ),
    read: (work) => guarded(location, () => db.transaction().setAccessMode("read only").execute(work)),
    query: (text) => guarded(location, async () => readOnlyQuery(connection, file, text)),
    run: (_db, text, tables, refused) => runStatements(connection, text, tables, refused),
    watch: (onChange) => watchFile(connection, file, onChange),
    close: () => db.destroy(),
  };
}

/** The wait is a setting of the connection, so it is changed and put back while nobody else has the connection. */
function writeSoon<T>(
  connection: Database.Database,
  db: Kysely<Schema>,
  work: (db: Reader) => Promise<T>,
  waitMs: number,
): Promise<T> {
  return db.connection().execute(async (only) => {
    const before = connection.pragma("busy_timeout", { simple: true });
    connection.pragma(`busy_timeout = ${waitMs}`);
    try {
      return await only.transaction().execute(work);
    } finally {
      connection.pragma(`busy_timeout = ${before}`);
    }
  });
}

function connect(file: string, busyTimeoutMs: number, readonly = false): Database.Database {
  const nativeBinding = bindingPath();
  return new Database(file, { timeout: busyTimeoutMs, readonly, ...(nativeBinding && { nativeBinding }) });
}

/** The native module's own path: finding it by search costs several ms at every start. */
function bindingPath(): string | undefined {
  const home = dirname(createRequire(import.meta.url).resolve("better-sqlite3/package.json"));
  const path = `${home}/build/Release/better_sqlite3.node`;
  return existsSync(path) ? path : undefined;
}

function kysely(connection: Database.Database): Kysely<Schema> {
  return new Kysely<Schema>({
    dialect: {
      createAdapter: () => new TransactionalAdapter(),
      createDriver: () => new ImmediateDriver({ database: withPreparedStatements(connection) }),
      createIntrospector: (db) => new SqliteDialect({ database: connection }).createIntrospector(db),
      createQueryCompiler: () => new SqliteDialect({ database: connection }).createQueryCompiler(),
    },
  });
}

class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

/** Takes the write lock when a transaction starts: a deferred one fails in the middle, with no waiting. */
class ImmediateDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection, settings?: TransactionSettings): Promise<void> {
    await connection.executeQuery(
      CompiledQuery.raw(settings?.accessMode === "read only" ? "begin" : "begin immediate"),
    );
  }
}

function withPreparedStatements(connection: Database.Database) {
  const prepared = new Map<string, Database.Statement>();
  return {
    close: () => connection.close(),
    prepare(text: string) {
      let found = prepared.get(text);
      if (found === undefined) {
        found = connection.prepare(text);
        prepared.set(text, found);
      }
      return found as never;
    },
  };
}

/** Statements a reader may run: not everything that writes nothing is harmless (`ATTACH`, `VACUUM INTO`). */
const READING = /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(?:select|with|values|explain|pragma)\b/i;

function readOnlyQuery(connection: Database.Database, file: string, text: string): SqlResult {
  const reader = file === ":memory:" ? connection : connect(file, BUSY_TIMEOUT_MS, true);
  try {
    const statement = prepareByHand(reader, text);
    if (!statement.readonly || !statement.reader || !READING.test(text)) {
      throw new Fault("usage", "sql.not_a_read", "This statement writes; `mu sql` only reads.", [
        { intent: "Write on purpose, with an event", command: "mu sql --write 'UPDATE …'" },
      ]);
    }
    return { rows: all(statement), changes: 0 };
  } finally {
    if (reader !== connection) reader.close();
  }
}

async function runStatements(
  connection: Database.Database,
  text: string,
  tables: readonly string[],
  refused: readonly string[],
): Promise<SqlResult & { captured: CapturedRow[] }> {
  connection.exec("create temp table captured (tab text, id integer, before text, after text)");
  const triggers = [
    ...tables.flatMap((table) => captureTriggers(connection, table)),
    ...refused.flatMap(refuseTriggers),
  ];
  for (const trigger of triggers) connection.exec(trigger.text);
  try {
    let rows: Record<string, unknown>[] = [];
    let changes = 0;
    for (const statementText of splitStatements(connection, text)) {
      const statement = prepareByHand(connection, statementText);
      if (statement.reader) rows = all(statement);
      else changes += statement.run().changes;
    }
    if (rows.length > 0 && changes === 0) changes = rows.length;
    const captured = connection.prepare("select tab, id, before, after from captured order by rowid").all() as {
      tab: string;
      id: number;
      before: string | null;
      after: string | null;
    }[];
    return { rows, changes, captured: captured.map(parseCaptured) };
  } catch (error) {
    throw asSqlFault(error);
  } finally {
    for (const trigger of triggers) connection.exec(`drop trigger if exists temp.${trigger.name}`);
    connection.exec("drop table if exists temp.captured");
  }
}

function parseCaptured(row: { tab: string; id: number; before: string | null; after: string | null }): CapturedRow {
  return {
    table: row.tab,
    id: row.id,
    before: row.before === null ? null : JSON.parse(row.before),
    after: row.after === null ? null : JSON.parse(row.after),
  };
}

function captureTriggers(connection: Database.Database, table: string): { name: string; text: string }[] {
  const columns = (connection.pragma(`table_info(${table})`) as { name: string }[]).map((column) => column.name);
  const image = (row: "old" | "new") =>
    `json_object(${columns.map((column) => `'${column}', ${row}."${column}"`).join(", ")})`;
  const trigger = (verb: "insert" | "update" | "delete", id: string, before: string, after: string) => ({
    name: `capture_${table}_${verb}`,
    text: `create temp trigger capture_${table}_${verb} after ${verb} on main.${table} begin
      insert into captured values ('${table}', ${id}, ${before}, ${after}); end`,
  });
  return [
    trigger("insert", "new.id", "null", image("new")),
    trigger("update", "old.id", image("old"), image("new")),
    trigger("delete", "old.id", image("old"), "null"),
  ];
}

function refuseTriggers(table: string): { name: string; text: string }[] {
  return (["insert", "update", "delete"] as const).map((verb) => ({
    name: `refuse_${table}_${verb}`,
    text: `create temp trigger refuse_${table}_${verb} before ${verb} on main.${table} begin
      select raise(abort, 'the table ${table} is written by mu alone'); end`,
  }));
}

const TRANSACTION_OR_DDL =
  /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(?:begin|commit|end|rollback|savepoint|release|create|drop|alter|attach|detach|vacuum|reindex|analyze|pragma)\b/i;

/** Cuts a text into its statements with SQLite's own parser: a piece is whole when it can be prepared. */
function splitStatements(connection: Database.Database, text: string): string[] {
  const statements: string[] = [];
  let piece = "";
  for (const part of text.split(/(?<=;)/)) {
    piece += part;
    if (piece.replace(/[\s;]/g, "") === "") continue;
    if (!isWhole(connection, piece) && part !== "") continue;
    statements.push(piece);
    piece = "";
  }
  if (piece.replace(/[\s;]/g, "") !== "") statements.push(piece);
  for (const found of statements) {
    if (TRANSACTION_OR_DDL.test(found)) {
      throw new Fault("usage", "sql.not_allowed", "`mu sql --write` takes INSERT, UPDATE and DELETE only.");
    }
  }
  return statements;
}

function isWhole(connection: Database.Database, text: string): boolean {
  try {
    connection.prepare(text);
    return true;
  } catch (error) {
    return !/incomplete|unrecognized token/i.test(String((error as Error).message));
  }
}

function prepareByHand(connection: Database.Database, text: string): Database.Statement {
  try {
    return connection.prepare(text);
  } catch (error) {
    throw asSqlFault(error);
  }
}

function all(statement: Database.Statement): Record<string, unknown>[] {
  try {
    return statement.all() as Record<string, unknown>[];
  } catch (error) {
    throw asSqlFault(error);
  }
}

/** What the user wrote is at fault, unless SQLite says that the file is. */
function asSqlFault(error: unknown): unknown {
  if (error instanceof Fault || (isSqliteError(error) && fileFault(error.code) !== undefined)) return error;
  return new Fault("usage", "sql.failed", `SQLite says: ${(error as Error).message}`, [
    { intent: "See the tables and their columns", command: "mu sql 'select name, sql from sqlite_master'" },
  ]);
}

function watchFile(connection: Database.Database, file: string, onChange: () => void): () => void {
  if (file === ":memory:") return () => {};
  const version = () => connection.pragma("data_version", { simple: true });
  let seen = version();
  const look = () => {
    const current = version();
    if (current === seen) return;
    seen = current;
    onChange();
  };
  const name = basename(file);
  const watcher = watch(dirname(file), (_event, changed) => {
    if (changed === null || changed.startsWith(name)) look();
  });
  watcher.on("error", () => {});
  const timer = setInterval(look, WATCH_FALLBACK_MS);
  return () => {
    watcher.close();
    clearInterval(timer);
  };
}

interface SqliteError extends Error {
  code: string;
}

function isSqliteError(error: unknown): error is SqliteError {
  return error instanceof Error && error.constructor.name === "SqliteError";
}

/** Runs `work`; what the file or its folder did wrong becomes a fault that names the path and the way out. */
async function guarded<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asFileFault(error, path);
  }
}

function asFileFault(error: unknown, path: string): unknown {
  if (isSqliteError(error)) {
    const found = fileFault(error.code);
    return found ? new Fault("unavailable", found.code, found.message(path), found.nextSteps) : error;
  }
  const system = error as NodeJS.ErrnoException;
  if (system instanceof Error && typeof system.syscall === "string") {
    return new Fault(
      "unavailable",
      "db.cannot_open",
      `The database folder ${dirname(path)} cannot be used (${system.code}). Make it writable, or name another file in MU_DB_PATH.`,
    );
  }
  if (error instanceof TypeError && /directory does not exist/i.test(error.message)) {
    return new Fault(
      "unavailable",
      "db.cannot_open",
      `There is no folder for the database ${path}. Name another file in MU_DB_PATH.`,
    );
  }
  return error;
}

interface FileFault {
  code: string;
  message: (path: string) => string;
  nextSteps: { intent: string; command: string }[];
}

const CHECK = [{ intent: "See which database mu uses", command: "mu doctor" }];

function fileFault(code: string): FileFault | undefined {
  return FILE_FAULTS.find(([prefix]) => code.startsWith(prefix))?.[1];
}

const FILE_FAULTS: readonly (readonly [string, FileFault])[] = [
  [
    "SQLITE_BUSY",
    {
      code: "db.locked",
      message: (path) =>
        `The database ${path} is locked by another process for too long. Try again; if it stays so, look for a program that holds it open.`,
      nextSteps: CHECK,
    },
  ],
  [
    "SQLITE_LOCKED",
    { code: "db.locked", message: (path) => `The database ${path} is locked. Try again.`, nextSteps: CHECK },
  ],
  [
    "SQLITE_READONLY",
    {
      code: "db.read_only",
      message: (path) =>
        `The database ${path} is read-only. Give yourself write access to it and its folder, or name another file in MU_DB_PATH.`,
      nextSteps: CHECK,
    },
  ],
  [
    "SQLITE_CANTOPEN",
    {
      code: "db.cannot_open",
      message: (path) =>
        `The database ${path} cannot be opened. Check that it is a file you may read and write, or name another one in MU_DB_PATH.`,
      nextSteps: CHECK,
    },
  ],
  [
    "SQLITE_PERM",
    {
      code: "db.cannot_open",
      message: (path) => `The database ${path} may not be opened by you. Check its permissions.`,
      nextSteps: CHECK,
    },
  ],
  [
    "SQLITE_NOTADB",
    {
      code: "db.not_a_database",
      message: (path) => `${path} is not a database. Move it away, or name another file in MU_DB_PATH.`,
      nextSteps: CHECK,
    },
  ],
  [
    "SQLITE_CORRUPT",
    {
      code: "db.corrupt",
      message: (path) =>
        `The database ${path} is damaged. Put a backup in its place, or save what is left with: sqlite3 ${path} .recover`,
      nextSteps: CHECK,
    },
  ],
  [
    "SQLITE_FULL",
    {
      code: "db.disk_full",
      message: (path) =>
        `No space is left for the database ${path}. Nothing was changed; free some space and try again.`,
      nextSteps: CHECK,
    },
  ],
  [
    "SQLITE_IOERR",
    {
      code: "db.io",
      message: (path) => `The disk failed under the database ${path}. Nothing was changed.`,
      nextSteps: CHECK,
    },
  ],
];

function newerDatabase(path: string): Fault {
  return new Fault(
    "conflict",
    "db.newer",
    `The database ${path} was made by a newer mu; this one would not understand it. Update mu, or name another file in MU_DB_PATH.`,
    [{ intent: "See this mu's version", command: "mu --version --json" }],
  );
}

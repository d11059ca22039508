import { chmodSync, linkSync, mkdirSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import {
  CompiledQuery,
  type DatabaseConnection,
  Kysely,
  SqliteAdapter,
  SqliteDialect,
  SqliteDriver,
  type TransactionSettings,
} from "kysely";
import { newerSchema } from "../faults.js";
import { bringUpToDate, schemaAge } from "../migrate.js";
import type { Reader, Schema } from "../schema.js";
import type { Store } from "../store.js";
import { connect } from "./connect.js";
import type { Connection, Statement } from "./connection.js";
import { asFileFault, foreignDatabase, guarded } from "./faults.js";
import { readByHand, writeByHand } from "./sql.js";
import { watchFile, watchForFile } from "./watch.js";

/** How long a write waits for another process's write before it gives up, in ms. */
const BUSY_TIMEOUT_MS = 15_000;
const MEMORY = ":memory:";
/** Prepared statements that are kept; lists of ids of every length would go on for ever. */
const PREPARED_MOST = 500;

export interface SqliteOptions {
  /** `create` makes a missing file now; `empty` answers as an empty database until the first write makes it. */
  missing: "create" | "empty";
  /** `FULL` survives a power cut, `NORMAL` only a crash of the process. */
  synchronous?: "FULL" | "NORMAL";
  /** How long to wait for another process's lock, in ms; 15 s without it. */
  busyTimeoutMs?: number;
  /** `never` opens a database as it is, older and newer ones too, to look at its schema. */
  migrate?: "never";
}

/** Opens the database at `path`. A current one is opened without a write. Faults: `db.*`, unavailable or conflict. */
export async function openSqlite(path: string, options: SqliteOptions): Promise<Store> {
  return guarded(path, async () => {
    if (path === MEMORY || isThere(path)) return openFile(path, path, options);
    if (options.missing === "empty") return openLater(path, options);
    await createFile(path);
    return openFile(path, path, options);
  });
}

/** Whether a file is at `path`. A folder that cannot be read throws, and so does a file in a folder's place. */
function isThere(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** A store without a file: an empty one in memory, until somebody's first write makes the file. */
async function openLater(path: string, options: SqliteOptions): Promise<Store> {
  const empty = await openFile(MEMORY, path, options);
  let opened: Store | undefined;
  const current = () => opened ?? empty;
  const open = async () => {
    opened ??= await openSqlite(path, { ...options, missing: "create" });
    return opened;
  };
  return {
    dialect: "sqlite",
    location: path,
    get db() {
      return current().db;
    },
    write: async (work, options) => (await open()).write(work, options),
    read: (work) => current().read(work),
    migrate: async () => (await open()).migrate(),
    query: (text) => current().query(text),
    run: (db, text, tables) => current().run(db, text, tables),
    watch: (onChange) => watchForFile(path, open, onChange),
    close: async () => {
      await opened?.close();
      await empty.close();
    },
  };
}

/** A new database is made beside its place and linked into it, so that no process ever meets half of one. */
async function createFile(path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}.new`;
  try {
    const connection = connect(draft, { timeout: BUSY_TIMEOUT_MS });
    chmodSync(draft, 0o600);
    connection.pragma("journal_mode = WAL");
    const db = kysely(connection, path);
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
  const connection = connect(file, { timeout: options.busyTimeoutMs ?? BUSY_TIMEOUT_MS });
  try {
    connection.pragma(`synchronous = ${options.synchronous ?? "FULL"}`);
    const db = kysely(connection, location);
    if (options.migrate !== "never") await makeCurrent(connection, db, location);
    return store(connection, db, file, location, options);
  } catch (error) {
    connection.close();
    throw error;
  }
}

async function makeCurrent(connection: Connection, db: Kysely<Schema>, location: string): Promise<void> {
  const age = await schemaAge(db);
  if (age === "newer") throw newerSchema(location);
  if (age === "current") return;
  if (isForeign(connection)) throw foreignDatabase(location);
  if (location !== MEMORY) connection.pragma("journal_mode = WAL");
  await bringUpToDate(db, "sqlite");
}

/** Whether there are tables, but not the one that every database of mu's has. */
function isForeign(connection: Connection): boolean {
  const tables = connection.prepare("select name from sqlite_master where type = 'table'").pluck().all();
  return tables.length > 0 && !tables.includes("kysely_migration");
}

function store(
  connection: Connection,
  db: Kysely<Schema>,
  file: string,
  location: string,
  options: SqliteOptions,
): Store {
  const reader = () =>
    file === MEMORY ? connection : connect(file, { timeout: options.busyTimeoutMs ?? BUSY_TIMEOUT_MS, readonly: true });
  return {
    dialect: "sqlite",
    location,
    db,
    write: (work, { waitMs } = {}) =>
      guarded(location, () =>
        waitMs === undefined ? db.transaction().execute(work) : writeSoon(connection, db, work, waitMs),
      ),
    read: (work) => guarded(location, () => db.transaction().setAccessMode("read only").execute(work)),
    migrate: () => guarded(location, () => bringUpToDate(db, "sqlite")),
    query: (text) =>
      guarded(location, async () => {
        const own = reader();
        try {
          return readByHand(own, text);
        } finally {
          if (own !== connection) own.close();
        }
      }),
    run: async (_db, text, tables) => writeByHand(connection, text, tables),
    watch: (onChange) => (file === MEMORY ? () => {} : watchFile(reader(), file, onChange)),
    close: () => db.destroy(),
  };
}

/** The wait is a setting of the connection, so it is changed and put back while nobody else has the connection. */
function writeSoon<T>(
  connection: Connection,
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

function kysely(connection: Connection, location: string): Kysely<Schema> {
  return new Kysely<Schema>({
    dialect: {
      createAdapter: () => new TransactionalAdapter(),
      createDriver: () => new FileDriver(connection, location),
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

/**
 * Takes the write lock when a transaction starts, for a deferred one fails in the middle without waiting; and
 * tells what is wrong with the file as a fault, whoever asked.
 */
class FileDriver extends SqliteDriver {
  readonly #connection: DatabaseConnection;
  readonly #file: Connection;

  constructor(connection: Connection, location: string) {
    super({ database: connection });
    this.#file = connection;
    this.#connection = fileConnection(connection, location);
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    await super.acquireConnection();
    return this.#connection;
  }

  override async beginTransaction(connection: DatabaseConnection, settings?: TransactionSettings): Promise<void> {
    await connection.executeQuery(
      CompiledQuery.raw(settings?.accessMode === "read only" ? "begin" : "begin immediate"),
    );
  }

  /** A full or failing disk makes SQLite roll back by itself; a second rollback would hide what went wrong. */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#file.inTransaction) await super.rollbackTransaction(connection);
  }
}

type Row = Record<string, unknown>;

/** A statement, prepared once; for one that gives wide rows, the names that its values go by. */
interface Prepared {
  statement: Statement;
  wide: string[] | undefined;
}

/** From so many columns on, rows are read as lists and named here: the driver's own naming takes twice as long. */
const WIDE = 9;

function fileConnection(connection: Connection, location: string): DatabaseConnection {
  const known = new Map<string, Prepared>();
  const prepared = (text: string) => {
    const found = known.get(text) ?? prepare(connection, text);
    if (known.size >= PREPARED_MOST) known.clear();
    known.set(text, found);
    return found;
  };
  return {
    async executeQuery({ sql, parameters }) {
      try {
        return run(prepared(sql), parameters) as never;
      } catch (error) {
        throw asFileFault(error, location);
      }
    },
    async *streamQuery() {
      yield Promise.reject(new Error("read in pages instead: a stream holds the only connection"));
    },
  };
}

function prepare(connection: Connection, text: string): Prepared {
  const statement = connection.prepare(text);
  const names = statement.reader ? statement.columns().map((column) => column.name) : [];
  if (names.length < WIDE) return { statement, wide: undefined };
  return { statement: statement.raw(), wide: names };
}

function run({ statement, wide }: Prepared, parameters: readonly unknown[]) {
  if (statement.reader) {
    const rows = statement.all(parameters);
    return { rows: wide === undefined ? rows : named(rows as unknown[][], wide) };
  }
  const { changes, lastInsertRowid } = statement.run(parameters);
  return { numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid), rows: [] };
}

/** Each row begins as a copy that has all its columns: to add one after another takes twice as long. */
function named(rows: readonly unknown[][], names: readonly string[]): Row[] {
  const blank: Row = Object.fromEntries(names.map((name) => [name, null]));
  return rows.map((values) => {
    const row = { ...blank };
    for (let at = 0; at < names.length; at++) row[names[at] as string] = values[at];
    return row;
  });
}

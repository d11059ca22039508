import {
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Kysely } from "kysely";
import { bringUpToDate, pendingMigrations } from "../migrate.js";
import { isOpen, oneAtATime, openOnce } from "../one-store.js";
import type { Schema } from "../schema.js";
import type { Store } from "../store.js";
import { connect } from "./connect.js";
import type { Connection } from "./connection.js";
import { BLOCKING_MS, createKysely, type FileConnection, type LockOptions, whileLocked } from "./driver.js";
import { foreignDatabase, guarded, strayWal } from "./faults.js";
import { connectCurrent, fileAt, isBeingReplaced, isReplaced } from "./gate.js";
import { readByHand, writeByHand } from "./sql.js";
import { foreignWal } from "./wal.js";
import { watchFile, watchForFile } from "./watch.js";

/** How long a write waits for another process's write before it gives up, in ms. */
const BUSY_TIMEOUT_MS = 15_000;
/** How long a write waits that tidies up after its request was aborted, in ms. */
const TIDY_MS = 50;
const MEMORY = ":memory:";

export interface SqliteOptions {
  /** `create` makes a missing file now; `empty` answers as an empty database until the first write makes or fills it. */
  missing: "create" | "empty";
  /** `FULL` survives a power cut, `NORMAL` only a crash of the process. */
  synchronous?: "FULL" | "NORMAL";
  /** How long to wait for another process's lock, in ms; 15 s without it. */
  busyTimeoutMs?: number;
  /** Ends the opening with `request.interrupted` while it waits for a lock. */
  signal?: AbortSignal;
  /** `never` opens a database as it is, older and newer ones too, to look at its schema. */
  migrate?: "never";
  readonly?: boolean;
}

/** Opens the database at `path`. A current one is opened without a write. Faults: `db.*`, unavailable or conflict. */
export async function openSqlite(path: string, options: SqliteOptions): Promise<Store> {
  return guarded(path, async () => {
    if (path !== MEMORY && options.missing === "empty" && isEmpty(path)) return openLater(path, options);
    if (path !== MEMORY && fileAt(path) === undefined) {
      const why = foreignWal(path);
      // It may be of a database that another process has just made.
      if (why !== undefined && fileAt(path) === undefined) throw strayWal(path, why);
      await createFile(path);
    }
    const open = () => openFile(path, path, options);
    return path === MEMORY || options.migrate === "never" ? open() : openOnce(realpathSync(path), open);
  });
}

/** Whether this process has the database at `path` open. */
export const isOpenHere = (path: string) => existsSync(path) && isOpen(realpathSync(path));

/** Whether there is no file, or one without a byte. */
const isEmpty = (path: string) => (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0;

/** An empty database in memory, that goes by the path of a file. */
export const openEmpty = (path: string): Promise<Store> => openFile(MEMORY, path, { missing: "empty" });

/** A store without a file: an empty one in memory, until the first write creates the file. */
async function openLater(path: string, options: SqliteOptions): Promise<Store> {
  const empty = await openEmpty(path);
  let opened: Store | undefined;
  const current = () => opened ?? empty;
  const queued = oneAtATime();
  const open = () =>
    queued(async () => {
      opened ??= await openSqlite(path, { ...options, missing: "create" });
      return opened;
    });
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
    copyTo: (copy) => current().copyTo(copy),
    hold: () => current().hold(),
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
    const { db } = createKysely(connection, { location: path, timeoutMs: BUSY_TIMEOUT_MS });
    await bringUpToDate(db, "sqlite");
    await db.destroy();
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(draft + suffix, { force: true });
  }
}

/** How often it is looked whether the file is being replaced, in ms. */
const LOOK_MS = 100;

/**
 * Opens a store that only this process has, to fold events into: a copy of the file `from`, or an empty one. Its file
 * has no name any more once it is open, so that nothing stays of it; foreign keys are not checked.
 */
export async function openPrivateSqlite(from?: string): Promise<Store> {
  const folder = mkdtempSync(join(tmpdir(), "mu-private-"));
  const file = join(folder, "mu.db");
  try {
    if (from !== undefined) copyFileSync(from, file, constants.COPYFILE_FICLONE);
    return await guarded(file, () => openFile(file, MEMORY, { missing: "create" }, PRIVATE));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const PRIVATE = ["journal_mode = memory", "synchronous = off", "foreign_keys = off"];

async function openFile(
  file: string,
  location: string,
  options: SqliteOptions,
  pragmas: readonly string[] = [`synchronous = ${options.synchronous ?? "FULL"}`],
): Promise<Store> {
  const timeoutMs = options.busyTimeoutMs ?? BUSY_TIMEOUT_MS;
  const { signal, readonly = false } = options;
  const isMemory = file === MEMORY || location === MEMORY;
  const waiting = { busyTimeoutMs: timeoutMs, signal };
  const more = () => configured(connect(file, { timeout: BLOCKING_MS, readonly }), pragmas);
  const open = async () =>
    isMemory ? more() : configured(await connectCurrent(file, { timeout: BLOCKING_MS, readonly }, waiting), pragmas);
  const reopen = async () => {
    const connection = await open();
    const { db } = createKysely(connection, { location, timeoutMs });
    await current(connection, db);
    return connection;
  };
  const current = async (connection: Connection, db: Kysely<Schema>) => {
    try {
      if (options.migrate !== "never") await makeCurrent(connection, db, location, waiting);
      else if (await whileLocked(() => isForeign(connection), waiting)) throw foreignDatabase(location);
    } catch (error) {
      connection.close();
      throw error;
    }
  };
  const connection = await open();
  const replaceable = { present: () => fileAt(file), open: reopen };
  const driving = { location, timeoutMs, ...(!isMemory && { more, replaceable }) };
  const { db, driver } = createKysely(connection, driving);
  await current(connection, db);
  const reader = async () => {
    if (isMemory) return connection;
    const reading = { timeout: timeoutMs, readonly: true };
    return driver.isOpen ? connect(file, reading) : connectCurrent(file, reading, waiting);
  };
  const withReader = <T>(work: (own: Connection) => T, blamed = location) =>
    guarded(blamed, async () => {
      const own = await reader();
      try {
        return work(own);
      } finally {
        if (!isMemory) own.close();
      }
    });
  const queued = oneAtATime();
  let known = fileAt(file);
  const look = () => {
    const isNew = known !== undefined && isReplaced(file, known);
    if (isNew) known = fileAt(file);
    // Only who holds the file can be sure that it stays; a file that was replaced by hand is no use to anybody.
    if (isNew || (driver.holds === 0 && isBeingReplaced(file))) driver.letGo();
  };
  const looking = isMemory ? undefined : setInterval(look, LOOK_MS).unref();
  return {
    dialect: "sqlite",
    location,
    db,
    write: (work, { waitMs = timeoutMs, signal } = {}) => {
      const tidiesUp = signal?.aborted === true;
      return guarded(location, () =>
        queued(() => {
          driver.lockTimeoutMs = tidiesUp ? TIDY_MS : waitMs;
          driver.signal = tidiesUp ? undefined : signal;
          return db.transaction().execute(work);
        }),
      );
    },
    read: (work) => guarded(location, () => db.transaction().setAccessMode("read only").execute(work)),
    migrate: () => guarded(location, () => queued(() => bringUpToDate(db, "sqlite"))),
    query: (text) => withReader((own) => readByHand(own, text)),
    run: (tx, text, tables) =>
      tx
        .getExecutor()
        .provideConnection(async (connection) => writeByHand((connection as FileConnection).file, text, tables)),
    copyTo: (copy) => withReader((own) => void own.prepare("vacuum into ?").run([copy]), copy),
    hold: () => {
      driver.holds++;
      return () => void driver.holds--;
    },
    watch: (onChange) => (isMemory ? () => {} : watchFile(file, reader, onChange)),
    close: async () => {
      clearInterval(looking);
      await db.destroy();
    },
  };
}

function configured(connection: Connection, pragmas: readonly string[]): Connection {
  try {
    for (const pragma of pragmas) connection.pragma(pragma);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

async function makeCurrent(
  connection: Connection,
  db: Kysely<Schema>,
  location: string,
  waiting: LockOptions,
): Promise<void> {
  const isCurrent = (await pendingMigrations(db, location)).length === 0;
  if (!isCurrent && isForeign(connection)) throw foreignDatabase(location);
  // A backup that was put in the place of the database by hand is not in WAL mode.
  if (location !== MEMORY && connection.pragma("journal_mode", { simple: true }) === "delete") {
    await whileLocked(() => connection.pragma("journal_mode = WAL"), waiting);
  }
  if (!isCurrent) await bringUpToDate(db, "sqlite");
}

/** Whether there are tables, but not the one that every database of mu's has. */
function isForeign(connection: Connection): boolean {
  const tables = connection.prepare("select name from sqlite_master where type = 'table'").pluck().all();
  return tables.length > 0 && !tables.includes("kysely_migration");
}

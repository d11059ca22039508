import {
  CompiledQuery,
  type DatabaseConnection,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteDialect,
  SqliteDriver,
  type TransactionSettings,
} from "kysely";
import { interrupted } from "../../errors.js";
import type { Schema } from "../schema.js";
import type { Connection, Statement } from "./connection.js";
import { asFileFault, guarded, isSqliteError } from "./faults.js";

/** Prepared statements that are kept; lists of ids of every length would go on for ever. */
const PREPARED_MOST = 500;
/** Connections of one process to one file: the one that writes, and those of reads beside it. */
const CONNECTIONS_MOST = 4;
/** Between two attempts to get a lock that another process has, in ms. */
const PAUSE_MS = 5;

/** How long SQLite itself waits for a lock, in ms: everything else in this process stands still meanwhile. */
export const BLOCKING_MS = 5;

/** After this long without a turn of the event loop, in ms, the next query waits for one: SQLite answers at once. */
const SLICE_MS = 15;
/** The process's own clock, in ms: the first use of `performance` takes one at every start. */
const nowMs = () => process.uptime() * 1000;
let turnedAt = nowMs();

async function nextTurn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  turnedAt = nowMs();
}

/**
 * Does `work`, and again while another process has the lock: this one does other work meanwhile, for up to
 * `busyTimeoutMs`. Faults `request.interrupted` once `signal` is aborted.
 */
export async function whileLocked<T>(work: () => T, { busyTimeoutMs, signal }: LockOptions): Promise<T> {
  for (let waitedMs = BLOCKING_MS; ; waitedMs += PAUSE_MS + BLOCKING_MS) {
    if (signal?.aborted) throw interrupted();
    try {
      return work();
    } catch (error) {
      const isLocked = isSqliteError(error) && error.code.startsWith("SQLITE_BUSY");
      if (!isLocked || waitedMs >= busyTimeoutMs) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

export interface LockOptions {
  /** How long to wait for another process's lock, in ms. */
  busyTimeoutMs: number;
  signal?: AbortSignal | undefined;
}

export interface DriverOptions {
  /** The file's path, for messages. */
  location: string;
  /** How long to wait for another process's lock, in ms. */
  timeoutMs: number;
  /** Opens one more connection; without it there is one alone. */
  more?: () => Connection;
  /** The file that a connection is to can be replaced by another one. */
  replaceable?: Replaceable;
}

/** How a file that others may replace is looked at, and opened anew. */
export interface Replaceable {
  /** Names the file that stands in its place now. */
  present(): string | undefined;
  /** Connects to it, once nobody is replacing it. */
  open(): Promise<Connection>;
}

/** Kysely on `first`, and on more connections while transactions keep those that there are. */
export function createKysely(first: Connection, options: DriverOptions): { db: Kysely<Schema>; driver: FileDriver } {
  const driver = new FileDriver(first, options);
  const db = new Kysely<Schema>({
    dialect: {
      createAdapter: () => new TransactionalAdapter(),
      createDriver: () => driver,
      createIntrospector: (introspected) => new SqliteDialect({ database: first }).createIntrospector(introspected),
      createQueryCompiler: () => new SqliteDialect({ database: first }).createQueryCompiler(),
    },
  });
  return { db, driver };
}

class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

/**
 * A pool that has one connection unless requests overlap. A read while a transaction is open gets
 * another connection, and so sees committed rows only.
 */
export class FileDriver extends SqliteDriver {
  /** How long the next write waits for another process's write, in ms. */
  lockTimeoutMs: number;
  /** What interrupts the next write. */
  signal: AbortSignal | undefined;
  /** How many need the file to stay the one it is. */
  holds = 0;
  readonly #options: DriverOptions;
  readonly #all: FileConnection[] = [];
  readonly #idle: FileConnection[] = [];
  readonly #inTransaction = new Set<DatabaseConnection>();
  readonly #waiting: ((connection: FileConnection) => void)[] = [];
  #reopening: Promise<void> | undefined;

  constructor(first: Connection, options: DriverOptions) {
    super({ database: first });
    this.#options = options;
    this.lockTimeoutMs = options.timeoutMs;
    this.#idle.push(this.#add(first));
  }

  override async init(): Promise<void> {}

  override async acquireConnection(): Promise<DatabaseConnection> {
    while (this.#all.length === 0) {
      this.#reopening ??= this.#reopen().finally(() => {
        this.#reopening = undefined;
      });
      await this.#reopening;
    }
    return this.#idle.pop() ?? this.#another() ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Whether a connection keeps the file in its place. */
  get isOpen(): boolean {
    return this.#all.length > 0;
  }

  /** Closes all connections unless one is in use; the next query opens the file that is there then. */
  letGo(): void {
    if (this.#idle.length === this.#all.length) this.#closeIdle();
  }

  #closeIdle(): void {
    for (const connection of this.#idle.splice(0)) {
      connection.file.close();
      this.#all.splice(this.#all.indexOf(connection), 1);
    }
  }

  async #reopen(): Promise<void> {
    const { replaceable, location } = this.#options;
    if (replaceable === undefined) throw new Error("a connection that cannot be opened anew was closed");
    this.#idle.push(this.#add(await guarded(location, () => replaceable.open())));
  }

  override async releaseConnection(connection?: DatabaseConnection): Promise<void> {
    this.#inTransaction.delete(connection as FileConnection);
    (connection as FileConnection).signal = undefined;
    this.#handOn(connection as FileConnection);
  }

  /** Takes the write lock when a transaction starts: a deferred one fails in the middle without waiting. */
  override async beginTransaction(connection: DatabaseConnection, settings?: TransactionSettings): Promise<void> {
    this.#inTransaction.add(connection);
    const more = this.#waiting.length > 0 ? this.#another() : undefined;
    if (more !== undefined) this.#handOn(more);
    if (settings?.accessMode === "read only") await connection.executeQuery(BEGIN);
    else {
      (connection as FileConnection).signal = this.signal;
      await this.#beginWrite(connection as FileConnection, this.lockTimeoutMs);
    }
  }

  /** Moves on to another file where one has taken the place of this one: nothing is written into one that was set aside. */
  async #beginWrite(connection: FileConnection, timeoutMs: number): Promise<void> {
    const { replaceable } = this.#options;
    for (;;) {
      const before = connection.place;
      await connection.execute(BEGIN_IMMEDIATE, timeoutMs);
      const present = replaceable?.present();
      if (replaceable === undefined || present === undefined || present === before) return;
      await connection.execute(ROLLBACK, timeoutMs);
      connection.replace(await replaceable.open(), replaceable.present());
      this.#closeIdle();
    }
  }

  /** A full or failing disk makes SQLite roll back by itself; a second rollback would hide what went wrong. */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    (connection as FileConnection).signal = undefined;
    if ((connection as FileConnection).file.inTransaction) await super.rollbackTransaction(connection);
  }

  override async destroy(): Promise<void> {
    for (const { file } of this.#all) file.close();
  }

  #handOn(connection: FileConnection): void {
    const next = this.#waiting.shift();
    if (next !== undefined) next(connection);
    else this.#idle.push(connection);
  }

  /** One more connection, where transactions have all others; a plain query gives its own back at once. */
  #another(): FileConnection | undefined {
    const { more } = this.#options;
    if (more === undefined || this.#all.length >= CONNECTIONS_MOST) return undefined;
    return this.#inTransaction.size < this.#all.length ? undefined : this.#add(more());
  }

  #add(file: Connection): FileConnection {
    const connection = new FileConnection(file, this.#options, this.#options.replaceable?.present());
    this.#all.push(connection);
    return connection;
  }
}

const BEGIN = CompiledQuery.raw("begin");
const BEGIN_IMMEDIATE = CompiledQuery.raw("begin immediate");
const ROLLBACK = CompiledQuery.raw("rollback");

type Row = Record<string, unknown>;

/** A statement, prepared once; for one that gives wide rows, the names that its values go by. */
interface Prepared {
  statement: Statement;
  wide: string[] | undefined;
}

/** A connection as Kysely uses it. What is wrong with the file is thrown as a fault. */
export class FileConnection implements DatabaseConnection {
  /** While a write is open: what interrupts it. */
  signal: AbortSignal | undefined;
  readonly #prepared = new Map<string, Prepared>();

  constructor(
    public file: Connection,
    readonly options: DriverOptions,
    /** Names the file that it is to. */
    public place: string | undefined,
  ) {}

  /** Is from now on a connection to another file. */
  replace(file: Connection, place: string | undefined): void {
    this.file.close();
    this.#prepared.clear();
    this.file = file;
    this.place = place;
  }

  executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    return this.execute(query, this.options.timeoutMs) as Promise<QueryResult<R>>;
  }

  /** Runs a query; while another process has the lock, this one does other work, for up to `timeoutMs`. */
  async execute({ sql, parameters }: CompiledQuery, timeoutMs: number) {
    if (nowMs() - turnedAt > SLICE_MS) await nextTurn();
    try {
      const { signal } = this;
      return await whileLocked(() => run(this.#prepare(sql), parameters), { busyTimeoutMs: timeoutMs, signal });
    } catch (error) {
      throw asFileFault(error, this.options.location);
    }
  }

  async *streamQuery(): AsyncIterableIterator<never> {
    yield Promise.reject(new Error("read in pages instead: a stream holds its connection"));
  }

  #prepare(text: string): Prepared {
    const found = this.#prepared.get(text) ?? prepare(this.file, text);
    if (this.#prepared.size >= PREPARED_MOST) this.#prepared.clear();
    this.#prepared.set(text, found);
    return found;
  }
}

/** From this many columns on, rows are read as lists and named here: the driver's own naming takes twice as long. */
const WIDE = 9;

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

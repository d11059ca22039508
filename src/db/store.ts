import { Fault } from "../errors.js";
import type { Reader } from "./schema.js";

/** One statement's answer from `mu sql`. */
export interface SqlResult {
  /**
   * By column name; a name that comes twice gets `_2`. Whole numbers beyond 2^53 and infinities are given as
   * text, blobs as `x'…'`.
   */
  rows: Record<string, unknown>[];
  /** Rows changed; 0 for a read. */
  changes: number;
}

/** One change that hand-written SQL made: the whole row before and after, id included; null where there is none. */
export interface CapturedRow {
  table: string;
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
}

export interface WriteOptions {
  /** How long to wait for another process's write; without it as long as the store does. */
  waitMs?: number;
  /**
   * Aborting it takes the write back, or ends its wait, with `request.interrupted`. A write that begins after that tidies
   * up: it runs, but waits for nobody.
   */
  signal?: AbortSignal;
}

/** A database with mu's schema. All that differs between SQLite and PostgreSQL is behind this. */
export interface Store {
  readonly dialect: "sqlite" | "postgres";
  /** The file's path or the server's address, for messages. */
  readonly location: string;
  /** For reads outside a transaction: they see committed rows only. */
  readonly db: Reader;
  /**
   * Runs `work` in a write transaction. The writes of a process to one database wait for each other in a queue, first
   * come, first served. Faults `db.locked` when another process holds the lock for longer than `waitMs`.
   */
  write<T>(work: (db: Reader) => Promise<T>, options?: WriteOptions): Promise<T>;
  /** Runs `work` on one unchanging picture of the database. */
  read<T>(work: (db: Reader) => Promise<T>): Promise<T>;
  /** Runs the migrations that are missing; opening a store has done so unless it was asked not to. */
  migrate(): Promise<void>;
  /** Runs one statement that only reads, on a connection that can do nothing else. */
  query(text: string): Promise<SqlResult>;
  /**
   * Runs hand-written statements inside the write transaction `db` and returns which rows of `tables` they
   * changed, in order. Writes to any other table fail.
   */
  run(db: Reader, text: string, tables: readonly string[]): Promise<SqlResult & { captured: CapturedRow[] }>;
  /** Writes a copy of what is committed to a new file, while others go on. Faults `backup.server` on a server. */
  copyTo(path: string): Promise<void>;
  /** Until the function that it gives is called, nobody can put another file in this one's place. */
  hold(): () => void;
  /** Calls `onChange` within 200 ms of any commit, this process's included, and of a restore; gives the function that ends it. */
  watch(onChange: () => void): () => void;
  close(): Promise<void>;
}

/** Why a server's database has neither backups nor snapshots of mu's. */
export function isOnServer(): Fault {
  return new Fault(
    "usage",
    "backup.server",
    "The database is on a server. Back it up with `pg_dump`, and restore it with `pg_restore`.",
  );
}

/** The same store, but for some of its parts. Its `db` changes when a missing database is made. */
export function withParts(store: Store, parts: Partial<Omit<Store, "db">>): Store {
  return {
    ...store,
    get db() {
      return store.db;
    },
    ...parts,
  };
}

/** The same store, whose writes give up with `db.locked` when another process holds them up for `waitMs`. */
export function withLockTimeout(store: Store, waitMs: number): Store {
  return withParts(store, { write: (work, options) => store.write(work, { ...options, waitMs }) });
}

/** The same store, whose writes end with `request.interrupted` when `signal` is aborted. */
export function withSignal(store: Store, signal: AbortSignal): Store {
  return withParts(store, { write: (work, options) => store.write(work, { ...options, signal }) });
}

/** A connection to a SQLite file: the part of better-sqlite3's interface that mu uses. */
export interface Connection {
  readonly inTransaction: boolean;
  prepare(text: string): Statement;
  exec(text: string): unknown;
  pragma(text: string, options?: { simple?: boolean }): unknown;
  function(
    name: string,
    options: { varargs: boolean; safeIntegers: boolean },
    work: (...values: unknown[]) => unknown,
  ): unknown;
  close(): void;
}

export interface Statement {
  /** Whether it returns rows. */
  readonly reader: boolean;
  /** Whether it leaves the database as it is, by SQLite's own account. */
  readonly readonly: boolean;
  columns(): { name: string }[];
  all(parameters?: readonly unknown[]): unknown[];
  get(): unknown;
  run(parameters?: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  iterate(parameters?: readonly unknown[]): IterableIterator<unknown>;
  /** From now on a row is the list of its values. */
  raw(): Statement;
  /** From now on a row is its first value. */
  pluck(): Statement;
  /** From now on integers are bigints. */
  safeIntegers(): Statement;
}

export interface ConnectOptions {
  readonly?: boolean;
  /** How long to wait for another process's lock, in ms. */
  timeout: number;
}

import type { Connection, ConnectOptions, Statement } from "./connection.js";

/** The part of `node:sqlite` that is used; the types of the oldest supported Node do not have it. */
interface NodeSqlite {
  DatabaseSync: new (file: string, options: { readOnly: boolean; timeout: number }) => NodeDatabase;
}

interface NodeDatabase {
  readonly isOpen: boolean;
  readonly isTransaction: boolean;
  prepare(text: string): NodeStatement;
  exec(text: string): void;
  function(
    name: string,
    options: { varargs: boolean; useBigIntArguments: boolean },
    work: (...values: unknown[]) => unknown,
  ): void;
  close(): void;
}

interface NodeStatement {
  columns(): { name: string }[];
  all(...parameters: unknown[]): unknown[];
  get(...parameters: unknown[]): unknown;
  run(...parameters: unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  iterate(...parameters: unknown[]): IterableIterator<unknown>;
  setReturnArrays(enabled: boolean): void;
  setReadBigInts(enabled: boolean): void;
}

/** The first version with all that is used here. */
const SINCE = [22, 16] as const;

/** Opens the file with Node's own SQLite; undefined where this Node has none that is good enough. */
export function connectNodeSqlite(file: string, { readonly = false, timeout }: ConnectOptions): Connection | undefined {
  const sqlite = loadNodeSqlite();
  if (sqlite === undefined) return undefined;
  const database = named(() => new sqlite.DatabaseSync(file, { readOnly: readonly, timeout }));
  const prepare = (text: string) => statement(database, text);
  return {
    get inTransaction() {
      return database.isTransaction;
    },
    prepare,
    exec: (text) => named(() => database.exec(text)),
    pragma: (text, { simple } = {}) => {
      const rows = prepare(`pragma ${text}`);
      return simple ? rows.pluck().get() : rows.all();
    },
    function: (name, { varargs, safeIntegers }, work) =>
      database.function(name, { varargs, useBigIntArguments: safeIntegers }, work),
    close: () => {
      if (database.isOpen) database.close();
    },
  };
}

/** Loads it without the warning that it is experimental, which would stand in every command's errors. */
function loadNodeSqlite(): NodeSqlite | undefined {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < SINCE[0] || (major === SINCE[0] && minor < SINCE[1])) return undefined;
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return process.getBuiltinModule("node:sqlite") as NodeSqlite | undefined;
  } finally {
    process.emitWarning = emitWarning;
  }
}

function statement(database: NodeDatabase, text: string): Statement {
  const prepared = named(() => database.prepare(text));
  let shaped: (row: unknown) => unknown = (row) => row && { ...row };
  const values = (parameters: readonly unknown[] = []) => parameters.map(bindable);
  const self: Statement = {
    reader: prepared.columns().length > 0,
    get readonly() {
      return isReadOnly(database, text);
    },
    columns: () => prepared.columns(),
    all: (parameters) => named(() => prepared.all(...values(parameters))).map(shaped),
    get: () => shaped(named(() => prepared.get())),
    run: (parameters) => named(() => prepared.run(...values(parameters))),
    iterate: (parameters) => prepared.iterate(...values(parameters)),
    raw() {
      prepared.setReturnArrays(true);
      shaped = (row) => row;
      return self;
    },
    pluck() {
      prepared.setReturnArrays(true);
      shaped = (row) => (row as unknown[] | undefined)?.[0];
      return self;
    },
    safeIntegers() {
      prepared.setReadBigInts(true);
      return self;
    },
  };
  return self;
}

/** Whole numbers are bound as integers, as better-sqlite3 does; Node would bind 1 as 1.0. */
function bindable(value: unknown): unknown {
  return Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value as number) : value;
}

/**
 * What `sqlite3_stmt_readonly` would say, read from the program that SQLite made of the statement. An EXPLAIN
 * cannot be explained once more, and changes nothing.
 */
function isReadOnly(database: NodeDatabase, text: string): boolean {
  let steps: { opcode: string; p2: number }[];
  try {
    steps = database.prepare(`explain ${text}`).all() as typeof steps;
  } catch {
    return true;
  }
  return !steps.some(({ opcode, p2 }) => WRITING_STEPS.has(opcode) || (opcode === "Transaction" && p2 !== 0));
}

const WRITING_STEPS = new Set(["Checkpoint", "Vacuum", "JournalMode"]);

/** Gives SQLite's errors the code that better-sqlite3 gives them: the name of the result. */
function named<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const { errcode } = error as { errcode?: number };
    if (errcode !== undefined) (error as NodeJS.ErrnoException).code = resultName(errcode);
    throw error;
  }
}

/** The low byte is the result, the rest narrows it down. */
function resultName(errcode: number): string {
  if (errcode === CONSTRAINT_TRIGGER) return "SQLITE_CONSTRAINT_TRIGGER";
  return `SQLITE_${RESULTS[errcode & 0xff] ?? "ERROR"}`;
}

const CONSTRAINT_TRIGGER = 1811;
const RESULTS =
  "OK ERROR INTERNAL PERM ABORT BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT NOTFOUND FULL CANTOPEN PROTOCOL EMPTY SCHEMA TOOBIG CONSTRAINT MISMATCH MISUSE NOLFS AUTH FORMAT RANGE NOTADB".split(
    " ",
  );

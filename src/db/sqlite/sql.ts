import { randomBytes } from "node:crypto";
import { Fault } from "../../errors.js";
import type { CapturedRow, SqlResult } from "../store.js";
import type { Connection, Statement } from "./connection.js";
import { fileFault, isSqliteError } from "./faults.js";
import { firstWord, type SqlStatement, splitSql } from "./text.js";

/**
 * Runs one hand-written statement that only reads. Some pragmas act while they are merely prepared, so the text
 * is judged before SQLite sees it, and then SQLite's own word counts as well. Faults: `sql.*`, usage.
 */
export function readByHand(connection: Connection, text: string): SqlResult {
  const [statement, ...others] = statementsOf(text);
  if (statement === undefined) throw empty();
  if (others.length > 0) {
    throw new Fault("usage", "sql.several", "`mu sql` runs one statement at a time.");
  }
  if (isStatement(statement) && !isReading(statement)) throw notARead();
  return explained(() => {
    const prepared = connection.prepare(text);
    if (!prepared.readonly || !prepared.reader) throw notARead();
    return { rows: rowsOf(prepared), changes: 0 };
  });
}

/**
 * Runs hand-written INSERT, UPDATE and DELETE statements in the transaction that is under way, and returns which
 * rows of `tables` they changed, in order. All other tables refuse. Faults: `sql.*`, usage.
 */
export function writeByHand(
  connection: Connection,
  text: string,
  tables: readonly string[],
): SqlResult & { captured: CapturedRow[] } {
  const statements = statementsOf(text);
  if (statements.length === 0) throw empty();
  for (const statement of statements) checkWriting(statement);

  const capture = captureOf(connection);
  if (text.includes(capture.name)) throw notAllowed();
  capture.columns = new Map(tables.map((table) => [table, columnsOf(connection, table)]));
  const removeTriggers = addTriggers(connection, capture);
  try {
    return { ...runAll(connection, statements), captured: capture.rows };
  } finally {
    removeTriggers();
    capture.rows = [];
  }
}

function statementsOf(text: string): SqlStatement[] {
  if (text.includes("\0")) throw new Fault("usage", "sql.failed", "The SQL holds a NUL character; SQLite stops there.");
  const statements = splitSql(text);
  if (statements.some(({ tokens }) => tokens.some((token) => /^[?:@$]/.test(token)))) throw hasParameters();
  return statements;
}

const hasParameters = () =>
  new Fault("usage", "sql.failed", "`mu sql` cannot bind parameters such as ? or :name. Write the values in the SQL.");

const empty = () =>
  new Fault("usage", "sql.empty", "There is no SQL in it.", [
    { intent: "See the tables and their columns", command: "mu sql 'select name, sql from sqlite_master'" },
  ]);

const notARead = () =>
  new Fault(
    "usage",
    "sql.not_a_read",
    "Without --write, `mu sql` only reads: SELECT, WITH, VALUES, EXPLAIN and PRAGMAs that only read.",
    [{ intent: "See how to write, with an event", command: "mu sql --help" }],
  );

const notAllowed = () =>
  new Fault(
    "usage",
    "sql.not_allowed",
    "`mu sql --write` takes INSERT, REPLACE, UPDATE and DELETE, without transactions and DDL.",
  );

const READING = new Set(["select", "with", "values"]);
/** All words that a statement of SQLite's can start with; any other is a slip, which SQLite itself explains best. */
const STARTING = new Set([
  ...READING,
  ..."alter analyze attach begin commit create delete detach drop end explain insert pragma reindex release".split(" "),
  ..."replace rollback savepoint update vacuum".split(" "),
]);

const isStatement = (statement: SqlStatement) => STARTING.has(firstWord(statement));

function isReading(statement: SqlStatement): boolean {
  const [first = "", ...rest] = statement.tokens.map((token) => token.toLowerCase());
  if (first === "pragma") return isTellingPragma(rest);
  if (first !== "explain") return READING.has(first);
  return READING.has((rest[0] === "query" ? rest[2] : rest[0]) ?? "");
}

/** Pragmas that only read, and those of them that may be asked about one table or index. */
const TELLING = new Set(
  [
    "application_id collation_list compile_options data_version database_list encoding foreign_key_check foreign_keys",
    "freelist_count function_list integrity_check journal_mode module_list page_count page_size pragma_list quick_check",
    "schema_version synchronous table_list user_version",
  ].flatMap((line) => line.split(" ")),
);
const TELLING_OF = new Set(
  "foreign_key_check foreign_key_list index_info index_list index_xinfo integrity_check quick_check table_info table_list table_xinfo".split(
    " ",
  ),
);

function isTellingPragma(tokens: readonly string[]): boolean {
  const [name = "", ...rest] = tokens[1] === "." ? tokens.slice(2) : tokens;
  if (rest.length === 0) return TELLING.has(name);
  return TELLING_OF.has(name) && rest.length === 3 && rest[0] === "(" && rest[2] === ")";
}

const WRITING = new Set(["insert", "replace", "update", "delete", ...READING]);

/** Tables that no trigger can watch. */
const OWN_TABLES = /^(?:sqlite_sequence|search_index(?:_\w+)?)$/;

function checkWriting(statement: SqlStatement): void {
  const words = statement.tokens.map((token) => token.toLowerCase());
  const endsTransaction = words.some((word, at) => word === "rollback" && words[at - 1] === "or");
  if ((isStatement(statement) && !WRITING.has(firstWord(statement))) || endsTransaction) throw notAllowed();
  const own = words.map((word) => word.replace(/^["'`[]|["'`\]]$/g, "")).find((word) => OWN_TABLES.test(word));
  if (own !== undefined) throw new Fault("usage", "sql.not_allowed", `The table ${own} is written by SQLite alone.`);
}

interface Capture {
  /** A name that no statement can guess, so that nobody forges a row. */
  name: string;
  /** The columns of each table whose rows are captured. */
  columns: ReadonlyMap<string, readonly string[]>;
  rows: CapturedRow[];
}

const captures = new WeakMap<Connection, Capture>();

/** The function that the triggers hand their rows to; its values keep the types that JSON in SQL would lose. */
function captureOf(connection: Connection): Capture {
  const known = captures.get(connection);
  if (known !== undefined) return known;
  const capture: Capture = { name: `mu_capture_${randomBytes(8).toString("hex")}`, columns: new Map(), rows: [] };
  connection.function(capture.name, { varargs: true, safeIntegers: true }, (...given: unknown[]) => {
    const [table, verb, ...values] = given;
    capture.rows.push(capturedRow(capture, String(table), String(verb), values));
    return null;
  });
  captures.set(connection, capture);
  return capture;
}

function columnsOf(connection: Connection, table: string): string[] {
  return (connection.pragma(`table_info(${table})`) as { name: string }[]).map((column) => column.name);
}

function capturedRow(capture: Capture, table: string, verb: string, values: unknown[]): CapturedRow {
  const columns = capture.columns.get(table) ?? [];
  const image = (row: unknown[], keep: (column: string, value: unknown) => unknown) =>
    Object.fromEntries(columns.map((column, at) => [column, keep(column, row[at])]));
  const kept = (column: string, value: unknown) => exactly(`${table}.${column}`, value);
  return {
    table,
    before: verb === "insert" ? null : image(values, (_, value) => (typeof value === "bigint" ? Number(value) : value)),
    after: verb === "delete" ? null : image(verb === "update" ? values.slice(columns.length) : values, kept),
  };
}

/** What an event can hold without loss; the rest is refused, for the log must be able to say what the row says. */
function exactly(column: string, value: unknown): unknown {
  if (typeof value === "bigint" && Number.isSafeInteger(Number(value))) return Number(value);
  if (value === null || typeof value === "string" || (typeof value === "number" && Number.isFinite(value)))
    return value;
  throw new Fault(
    "usage",
    "sql.value_not_kept",
    `${column} cannot be ${shown(value)}: mu keeps text, finite numbers and whole numbers up to 2^53.`,
  );
}

const shown = (value: unknown) => (value instanceof Uint8Array ? "a blob" : String(value));

/** Adds the triggers of one run, and gives the function that takes them away. They live in the temp schema only. */
function addTriggers(connection: Connection, capture: Capture): () => void {
  const all = connection
    .prepare(
      "select name from pragma_table_list where schema = 'main' and type = 'table' and name not like 'sqlite\\_%' escape '\\'",
    )
    .pluck()
    .all() as string[];
  const triggers = all.flatMap((table) =>
    VERBS.map((verb) => ({
      name: `mu_${verb}_${table}`,
      text: capture.columns.has(table)
        ? `after ${verb} on main."${table}" begin select ${capture.name}(${captured(capture, table, verb)}); end`
        : `before ${verb} on main."${table}" begin select raise(abort, 'The table ${table} is written by mu alone.'); end`,
    })),
  );
  const recursive = connection.pragma("recursive_triggers", { simple: true });
  connection.pragma("recursive_triggers = on");
  for (const { name, text } of triggers) connection.exec(`create temp trigger "${name}" ${text}`);
  return () => {
    for (const { name } of triggers) connection.exec(`drop trigger if exists temp."${name}"`);
    connection.pragma(`recursive_triggers = ${recursive}`);
  };
}

const VERBS = ["insert", "update", "delete"] as const;

function captured(capture: Capture, table: string, verb: (typeof VERBS)[number]): string {
  const rows = { insert: ["new"], update: ["old", "new"], delete: ["old"] }[verb];
  const values = rows.flatMap((row) => (capture.columns.get(table) ?? []).map((column) => `${row}."${column}"`));
  return [`'${table}'`, `'${verb}'`, ...values].join(", ");
}

function runAll(connection: Connection, statements: readonly SqlStatement[]): SqlResult {
  const total = connection.prepare("select total_changes()").pluck();
  const before = Number(total.get());
  let rows: SqlResult["rows"] = [];
  explained(() => {
    for (const { text } of statements) {
      const prepared = connection.prepare(text);
      if (prepared.reader) rows = rowsOf(prepared);
      else prepared.run();
    }
  });
  return { rows, changes: Number(total.get()) - before };
}

/** The rows with names and values that JSON can carry: see `SqlResult`. */
function rowsOf(statement: Statement): SqlResult["rows"] {
  const names = distinctNames(statement.columns().map((column) => column.name));
  const rows = statement.raw().safeIntegers().all() as unknown[][];
  return rows.map((row) => Object.fromEntries(names.map((name, at) => [name, presentable(row[at])])));
}

function distinctNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    let found = name;
    for (let n = 2; taken.has(found); n++) found = `${name}_${n}`;
    taken.add(found);
    return found;
  });
}

function presentable(value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Uint8Array) return `x'${Buffer.from(value).toString("hex")}'`;
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

/** Runs `work`: what the user wrote is at fault, unless SQLite says that the file is. */
function explained<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Fault || (isSqliteError(error) && fileFault(error.code, "") !== undefined)) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "SQLITE_CONSTRAINT_TRIGGER") throw new Fault("usage", "sql.not_allowed", message);
    throw new Fault("usage", "sql.failed", `SQLite says: ${message}`, [
      { intent: "See the tables and their columns", command: "mu sql 'select name, sql from sqlite_master'" },
    ]);
  }
}

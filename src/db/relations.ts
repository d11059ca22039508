import type { Reader } from "./schema.js";
import { rowsByIds } from "./statement.js";
import { TABLES, type Table, type TableName } from "./tables.js";

type Tables = typeof TABLES;

/** Tables whose rows are the fold of the events. */
export type JournalledTable = {
  [T in keyof Tables]: Tables[T] extends { journalled: false } ? never : T;
}[keyof Tables];

export type Row = Record<string, unknown>;

/** A table's description with its defaults. */
type DescribedTable = Table & Required<Pick<Table, "noun" | "label" | "references" | "destroyedWith">>;

const DESCRIBED = new Map<string, DescribedTable>(
  Object.entries<Table>(TABLES).map(([name, { references = {}, ...table }]) => [
    name,
    { noun: name, label: "", destroyedWith: Object.keys(references), ...table, references },
  ]),
);

export const TABLE_NAMES = Object.keys(TABLES) as TableName[];

/** The description of a table; undefined for one that this program does not know. */
export const findTable = (name: string): DescribedTable | undefined => DESCRIBED.get(name);

export const describeTable = (name: TableName) => DESCRIBED.get(name) as DescribedTable;

export const isJournalled = (name: TableName): name is JournalledTable => describeTable(name).journalled !== false;

/** The journalled tables, in an order in which rows can be put back. */
export const JOURNALLED: readonly JournalledTable[] = TABLE_NAMES.filter(isJournalled);

/** The tables whose rows go with rows of `table`, each with the column that says with which. */
export function goingWith(table: TableName): { name: TableName; column: string }[] {
  return TABLE_NAMES.flatMap((name) => {
    const { destroyedWith, references } = describeTable(name);
    return destroyedWith.filter((column) => references[column] === table).map((column) => ({ name, column }));
  });
}

/** A column that holds the id of a row in `to`. */
export interface Reference {
  table: JournalledTable;
  column: string;
  to: JournalledTable;
}

/** The references between journalled tables; a test compares them with the database's foreign keys. */
export const REFERENCES: readonly Reference[] = JOURNALLED.flatMap((table) =>
  Object.entries(describeTable(table).references).map(([column, to]) => ({ table, column, to: to as JournalledTable })),
);

/** Columns of which no two rows may have the same values. `whileNull`: only rows in which it is null. */
export interface UniqueKey {
  table: JournalledTable;
  columns: readonly string[];
  whileNull?: string;
}

/** What must stay unique when rows come back. */
export const UNIQUE_KEYS: readonly UniqueKey[] = JOURNALLED.flatMap((table) =>
  (describeTable(table).unique ?? []).map((key) => ({ table, ...key })),
);

/** How a column follows from others; undefined where it stands for itself. */
export const quietness = (table: string, column: string) => findTable(table)?.columns?.[column]?.quiet;

/** Whether a change of the column says something of its own to a person. */
export const speaks = (table: string, column: string) => quietness(table, column) === undefined;

/** The key of a row among rows of several tables. */
export const rowKey = (table: string, id: unknown) => `${table} ${id}`;

/** The rows of `table` that have one of `values` in `column`, by id. */
export function rowsWhere(
  db: Reader,
  table: TableName,
  column: string,
  values: readonly number[],
): Promise<(Row & { id: number })[]> {
  const all = db
    .selectFrom(table as "tasks")
    .selectAll()
    .orderBy("id");
  return rowsByIds<Row & { id: number }>(values, (portion) => all.where(column as "id", "in", portion).execute());
}

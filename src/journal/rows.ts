import { type Change, sidesOf } from "../db/events.js";
import {
  describeTable,
  findTable,
  type JournalledTable,
  REFERENCES,
  type Row,
  rowKey,
  rowsWhere,
  TABLE_NAMES,
} from "../db/relations.js";
import type { Reader } from "../db/schema.js";
import type { TableName } from "../db/tables.js";
import { readable } from "../db/texts.js";
import type { Fault, NextStep } from "../errors.js";
import { cycleFault, findCycleOfIds } from "../topology.js";

/** A row, with the table that it is of. */
export interface TableRow {
  table: JournalledTable;
  row: Row;
}

/** Finds a row by its table and id. */
type FindRow = (table: TableName, id: number) => Row | undefined;

/** The name of a row by its table's label: `build`, or `build → deploy` for an edge. */
export function labelOf(table: TableName, row: Row, find: FindRow): string {
  return expandLabel(describeTable(table).label, table, row, find);
}

/** A label with the columns of `row` in it; a reference stands for the label of its row. */
export function expandLabel(label: string, table: TableName, row: Row, find: FindRow): string {
  return label.replace(/\{(\w+)\}/g, (_, column: string) => {
    const to = describeTable(table).references[column];
    if (to === undefined) return String(readable(row[column]) ?? "");
    const parent = find(to, Number(row[column]));
    return parent === undefined ? `a deleted ${describeTable(to).noun}` : labelOf(to, parent, find);
  });
}

/** Gives rows their names; rows that their labels refer to are taken from `rows`, else from the database. */
export async function rowNames(
  db: Reader,
  rows: readonly TableRow[],
): Promise<(table: JournalledTable, row: Row) => string> {
  const find = await parentsOf(db, rows);
  return (table, row) => labelOf(table, row, find);
}

/** Finds the rows that `rows` refer to, and those that these refer to. */
export async function parentsOf(db: Reader, rows: readonly TableRow[]): Promise<FindRow> {
  const known = new Map<string, Row>(rows.map(({ table, row }) => [rowKey(table, row.id), row]));
  for (let level: readonly TableRow[] = rows; level.length > 0; ) {
    const wanted = new Map<JournalledTable, Set<number>>();
    for (const { table, row } of level) {
      for (const { column, to } of REFERENCES.filter((reference) => reference.table === table)) {
        if (typeof row[column] === "number" && !known.has(rowKey(to, row[column]))) add(wanted, to, row[column]);
      }
    }
    level = await lookUp(db, wanted);
    for (const { table, row } of level) known.set(rowKey(table, row.id), row);
  }
  return (table, id) => known.get(rowKey(table, id));
}

async function lookUp(db: Reader, wanted: ReadonlyMap<JournalledTable, ReadonlySet<number>>): Promise<TableRow[]> {
  const found: TableRow[] = [];
  for (const [table, ids] of wanted) {
    for (const row of await rowsWhere(db, table, "id", [...ids])) found.push({ table, row });
  }
  return found;
}

function add<K>(sets: Map<K, Set<number>>, key: K, id: number): void {
  sets.set(key, (sets.get(key) ?? new Set()).add(id));
}

/**
 * The names of the workstreams whose rows were changed, sorted; of a renamed one both names. `db` may be asked
 * before or after the changes are made. Of changes that come in portions, `seen` has the rows that were asked for.
 */
export async function workstreamsOf(
  db: Reader,
  changes: readonly Change[],
  seen: Set<string> = new Set(),
): Promise<string[]> {
  const rows = await workstreamRowsOf(db, changes, seen);
  const names = rows.flatMap(({ row, scopeColumn }) => (scopeColumn in row ? [String(row[scopeColumn])] : []));
  return [...new Set(names)].sort();
}

/** Whether the changes are about a workstream or rows in it, by its id: names are given away and used again. */
export async function isAboutWorkstream(db: Reader, changes: readonly Change[], id: number): Promise<boolean> {
  return (await workstreamRowsOf(db, changes)).some(({ row }) => row.id === id);
}

async function workstreamRowsOf(
  db: Reader,
  changes: readonly Change[],
  seen: Set<string> = new Set(),
): Promise<{ row: Row; scopeColumn: string }[]> {
  const known = changes.filter(({ table }) => findTable(table) !== undefined);
  const patched = new Map<JournalledTable, Set<number>>();
  for (const { table, id, ...change } of known) if ("patch" in change) add(patched, table as JournalledTable, id);
  const rows = [...known.flatMap(rowsIn), ...(await lookUp(db, patched))];
  for (const { table, row } of rows) seen.add(rowKey(table, row.id));
  const found: { row: Row; scopeColumn: string }[] = [];
  for (let level = rows; level.length > 0; ) {
    const parents = new Map<JournalledTable, Set<number>>();
    for (const { table, row } of level) {
      const { scopeColumn, destroyedWith, references } = describeTable(table);
      if (scopeColumn !== undefined) found.push({ row, scopeColumn });
      for (const column of destroyedWith) {
        const to = references[column] as JournalledTable;
        if (typeof row[column] !== "number" || seen.has(rowKey(to, row[column]))) continue;
        seen.add(rowKey(to, row[column]));
        add(parents, to, row[column]);
      }
    }
    level = await lookUp(db, parents);
  }
  return found;
}

/** The rows before and after a change; of a patch only the columns that it sets. */
export function rowsIn(change: Change): TableRow[] {
  const { before, after } = sidesOf(change);
  return [before, after].flatMap((row) =>
    row === null ? [] : [{ table: change.table as JournalledTable, row: { id: change.id, ...row } }],
  );
}

/** Faults `task.cycle` when `changes` are about edges and the edges of the whole database now have a cycle. O(V + E). */
export async function checkAcyclic(db: Reader, changes: readonly { table: string }[]): Promise<void> {
  for (const table of TABLE_NAMES) {
    const { acyclic, references } = describeTable(table);
    if (acyclic === undefined || !changes.some((change) => change.table === table)) continue;
    const [from, to] = acyclic;
    const edges: Row[] = await db
      .selectFrom(table as "tasks")
      .select([from as "id", to as "id"])
      .execute();
    const ends = edges.map((edge) => ({ blocker: Number(edge[from]), blocked: Number(edge[to]) }));
    const nextSteps = [{ intent: "See what happened", command: "mu log" }];
    const fault = await cycleAmong(db, references[from] as JournalledTable, ends, nextSteps);
    if (fault !== undefined) throw fault;
  }
}

/** The fault `task.cycle` for edges between rows of `table`, beginning at row `start` if given; undefined without a cycle. */
export async function cycleAmong(
  db: Reader,
  table: JournalledTable,
  edges: readonly { blocker: number; blocked: number }[],
  nextSteps: readonly NextStep[],
  start?: number,
): Promise<Fault | undefined> {
  const cycle = findCycleOfIds(edges, start);
  if (cycle === undefined) return undefined;
  const names = new Map((await rowsWhere(db, table, "id", cycle.slice(1))).map((row) => [row.id, String(row.name)]));
  return cycleFault(
    cycle.map((id) => names.get(id) ?? "?"),
    nextSteps,
  );
}

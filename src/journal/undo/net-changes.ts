import { type Change, type Sides, sidesOf } from "../../db/events.js";
import {
  describeTable,
  JOURNALLED,
  type JournalledTable,
  quietness,
  type Row,
  rowKey,
  rowsWhere,
  UNIQUE_KEYS,
} from "../../db/relations.js";
import type { Reader } from "../../db/schema.js";
import { isByHash, sameValue, wholeTexts } from "../../db/texts.js";
import type { Tx } from "../../db/write.js";
import { groupBy } from "../../groups.js";
import { checkAcyclic } from "../rows.js";

/** What several changes did to one row, taken together: made it, removed it, or changed columns of it. */
export type NetChange = { table: JournalledTable; id: number } & Sides;
type Changed = NetChange & { before: Row; after: Row };

export const isChanged = (change: NetChange): change is Changed => change.before !== null && change.after !== null;

/** Folds changes, in their order, into one net change per row, on from `net`; rows that end as they began are left out. */
export function netChanges(changes: Iterable<Change>, net = new Map<string, NetChange>()): Map<string, NetChange> {
  for (const change of changes) {
    const key = rowKey(change.table, change.id);
    const next = compose(net.get(key), change);
    if (next === undefined) net.delete(key);
    else net.set(key, next);
  }
  return net;
}

function compose(first: NetChange | undefined, change: Change): NetChange | undefined {
  const then = sidesOf(change);
  const at = { table: change.table as JournalledTable, id: change.id };
  if (first === undefined) return { ...at, ...then };
  const before = first.before && { ...then.before, ...first.before };
  const after = then.after && { ...first.after, ...then.after };
  if (before === null || after === null) return before === after ? undefined : { ...at, before, after };
  const columns = Object.keys({ ...after, ...before }).filter((column) => !sameValue(before[column], after[column]));
  const only = (row: Row) => Object.fromEntries(columns.map((column) => [column, row[column] ?? null]));
  return columns.length === 0 ? undefined : { ...at, before: only(before), after: only(after) };
}

/** The whole row of a net change that made or removed it; of a changed one nothing. */
export function imageOf(change: NetChange): Row {
  return isChanged(change) ? {} : (change.before ?? change.after ?? {});
}

/** The rows that `net` is about as they are now, by key; those that are gone are left out. */
export async function currentRows(db: Reader, net: Map<string, NetChange>): Promise<Map<string, Row>> {
  const now = new Map<string, Row>();
  for (const [table, own] of idsByTable([...net.values()])) {
    for (const row of await rowsWhere(db, table, "id", own)) now.set(rowKey(table, row.id), row);
  }
  return now;
}

/** The row ids of `changes` by table. */
export function idsByTable(changes: readonly NetChange[]): Map<JournalledTable, number[]> {
  const tables = groupBy(changes, ({ table }) => table);
  return new Map([...tables].map(([table, own]) => [table, own.map(({ id }) => id)]));
}

/** Faults `undo.text_not_kept` when a text that would come back is nowhere in the database. */
export function textsBack(db: Reader, net: Map<string, NetChange>) {
  const back: unknown[] = [];
  for (const { before } of net.values())
    for (const column in before) if (isByHash(before[column])) back.push(before[column]);
  return wholeTexts(db, back);
}

/**
 * Turns net changes back, in an order that keeps every reference whole at each step. Faults `task.cycle` when an edge
 * that comes back would close one, `undo.text_not_kept`.
 */
export async function putBack(tx: Tx, net: Map<string, NetChange>): Promise<void> {
  const whole = await textsBack(tx.db, net);
  const all = [...net.values()];
  const patches = all.filter(isChanged);
  const renamed = patches.filter((change) => namingColumns(change).length > 0);
  if (renamed.length > 1) for (const change of renamed) await tx.patch(change.table, change.id, placeholder(change));

  const gone = (table: JournalledTable, column: string, id: unknown) => {
    const parent = net.get(rowKey(parentTable(table, column) ?? "", id));
    return parent?.after === null;
  };
  const refers = (table: JournalledTable, column: string) => parentTable(table, column) !== undefined;
  const turn = async (takes: (table: JournalledTable, column: string, then: unknown) => boolean) => {
    for (const change of patches) await patchBack(tx, change, whole, takes);
  };
  await turn((table, column, then) => refers(table, column) && !gone(table, column, then));
  const made = groupBy(inOrder(all.filter((one) => one.before === null)).reverse(), ({ table }) => table);
  for (const [table, own] of made)
    await tx.removeAll(
      table,
      own.map(({ id }) => id),
    );
  await turn((table, column) => !refers(table, column));
  for (const { table, id, before } of inOrder(all.filter((change) => change.after === null))) {
    const values = Object.entries(before ?? {}).map(([column, value]) => [column, whole(value)]);
    await tx.restore(table, { id, ...Object.fromEntries(values) } as never);
  }
  await turn(gone);
  await checkAcyclic(tx.db, all);
}

const parentTable = (table: JournalledTable, column: string) => describeTable(table).references[column];

/** The columns of a change that name its row, and that two rows may have swapped. */
function namingColumns({ table, before }: Changed): string[] {
  const unique = UNIQUE_KEYS.filter((key) => key.table === table).flatMap(({ columns }) => columns);
  return unique.filter((column) => typeof before[column] === "string");
}

/** Rows that swapped their names must not meet on the way back. */
const placeholder = (change: Changed) =>
  Object.fromEntries(namingColumns(change).map((column) => [column, `undoing_${change.id}`])) as never;

/** Turns back the columns that `takes` says yes to. */
async function patchBack(
  tx: Tx,
  { table, id, before }: Changed,
  whole: (value: unknown) => unknown,
  takes: (table: JournalledTable, column: string, then: unknown) => boolean,
): Promise<void> {
  const columns = Object.entries(before).filter(([column, then]) => takes(table, column, then));
  if (columns.length === 0) return;
  const back: Row = {};
  for (const [column, then] of columns) if (!isPassing(table, column)) back[column] = whole(then);
  for (const [column, { quiet }] of Object.entries(describeTable(table).columns ?? {})) {
    if (quiet === "clock") back[column] = tx.now;
  }
  await tx.patch(table, id, back as never);
}

/** Whether undo leaves a column alone: a clock, or a counter that must never repeat. */
export function isPassing(table: JournalledTable, column: string): boolean {
  const quiet = quietness(table, column);
  return quiet === "clock" || quiet === "counter";
}

/** Rows in the order in which they can be put back: those that others refer to first. */
function inOrder(changes: readonly NetChange[]): NetChange[] {
  const byKey = new Map(changes.map((change) => [rowKey(change.table, change.id), change]));
  const placed = new Set<NetChange>();
  const place = (change: NetChange) => {
    const { table } = change;
    const self = Object.entries(describeTable(table).references).find(([, to]) => to === table)?.[0];
    const chain: NetChange[] = [];
    for (let next: NetChange | undefined = change; next !== undefined && !placed.has(next) && !chain.includes(next); ) {
      chain.push(next);
      next = self === undefined ? undefined : byKey.get(rowKey(table, imageOf(next)[self]));
    }
    for (const one of chain.reverse()) placed.add(one);
  };
  for (const table of JOURNALLED) for (const change of changes) if (change.table === table) place(change);
  return [...placed];
}

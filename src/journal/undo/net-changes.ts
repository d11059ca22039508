import type { Change, Patch } from "../../db/events.js";
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
import { sameValue, wholeTexts } from "../../db/texts.js";
import type { Tx } from "../../db/write.js";
import { groupBy } from "../../groups.js";
import { checkAcyclic, sideOf } from "../rows.js";

/** What several changes did to one row, taken together: inserted it, removed it, or changed columns of it. */
export type NetChange = { table: JournalledTable; id: number } & ({ made: Row } | { gone: Row } | { changed: Patch });

/** Folds changes, in their order, into one net change per row; rows that end as they began are left out. */
export function netChanges(changes: Iterable<Change>): Map<string, NetChange> {
  const net = new Map<string, NetChange>();
  for (const change of changes) {
    const key = rowKey(change.table, change.id);
    const next = compose(net.get(key), change);
    if (next === undefined) net.delete(key);
    else net.set(key, next);
  }
  return net;
}

function compose(before: NetChange | undefined, change: Change): NetChange | undefined {
  const at = { table: change.table as JournalledTable, id: change.id };
  if (before === undefined) return { ...at, ...alone(change) };
  if ("insert" in change) return "gone" in before ? changed(at, difference(before.gone, change.insert)) : before;
  if ("remove" in change) {
    if ("made" in before) return undefined;
    return { ...at, gone: "changed" in before ? { ...change.remove, ...sideOf(before.changed, 0) } : change.remove };
  }
  if ("made" in before) return { ...at, made: { ...before.made, ...sideOf(change.patch, 1) } };
  return "changed" in before ? changed(at, merge(before.changed, change.patch)) : before;
}

function alone(change: Change) {
  if ("insert" in change) return { made: change.insert };
  if ("remove" in change) return { gone: change.remove };
  return { changed: change.patch };
}

function changed(at: { table: JournalledTable; id: number }, patch: Patch): NetChange | undefined {
  return Object.keys(patch).length === 0 ? undefined : { ...at, changed: patch };
}

function difference(from: Row, to: Row): Patch {
  const columns = [...new Set([...Object.keys(from), ...Object.keys(to)])];
  return Object.fromEntries(
    columns
      .map((column): [string, [unknown, unknown]] => [column, [from[column] ?? null, to[column] ?? null]])
      .filter(([, [before, after]]) => !sameValue(before, after)),
  );
}

function merge(first: Patch, then: Patch): Patch {
  const whole: Patch = { ...first };
  for (const [column, [before, after]] of Object.entries(then)) {
    const from = first[column] === undefined ? before : first[column][0];
    if (sameValue(from, after)) delete whole[column];
    else whole[column] = [from, after];
  }
  return whole;
}

/** The whole row of a net change that made or removed it; of a changed one nothing. */
export function imageOf(change: NetChange): Row {
  if ("made" in change) return change.made;
  return "gone" in change ? change.gone : {};
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

/** The values that undo puts back into a row, in the columns that it touches. */
export function broughtBack(change: NetChange): Row {
  if ("gone" in change) return change.gone;
  if ("made" in change) return {};
  return sideOf(change.changed, 0);
}

/** Faults `undo.text_not_kept` when a text that would come back is nowhere in the database. */
export const textsBack = (db: Reader, net: Map<string, NetChange>) =>
  wholeTexts(
    db,
    [...net.values()].flatMap((change) => Object.values(broughtBack(change))),
  );

/**
 * Turns net changes back, in an order that keeps every reference whole at each step. Faults `task.cycle` when an edge
 * that comes back would close one, `undo.text_not_kept`.
 */
export async function putBack(tx: Tx, net: Map<string, NetChange>): Promise<void> {
  const whole = await textsBack(tx.db, net);
  const all = [...net.values()];
  const patches = all.filter((change) => "changed" in change);
  const renamed = patches.filter((change) => namingColumns(change).length > 0);
  if (renamed.length > 1) for (const change of renamed) await tx.patch(change.table, change.id, placeholder(change));

  const gone = (table: JournalledTable, column: string, id: unknown) => {
    const parent = net.get(rowKey(parentTable(table, column) ?? "", id));
    return parent !== undefined && "gone" in parent;
  };
  const refers = (table: JournalledTable, column: string) => parentTable(table, column) !== undefined;
  const turn = async (takes: (table: JournalledTable, column: string, then: unknown) => boolean) => {
    for (const change of patches) await patchBack(tx, change, whole, takes);
  };
  await turn((table, column, then) => refers(table, column) && !gone(table, column, then));
  for (const change of inOrder(all.filter((one) => "made" in one)).reverse()) await tx.remove(change.table, change.id);
  await turn((table, column) => !refers(table, column));
  for (const { table, id, gone: row } of inOrder(all.filter((change) => "gone" in change))) {
    const values = Object.entries(row).map(([column, value]) => [column, whole(value)]);
    await tx.restore(table, { id, ...Object.fromEntries(values) } as never);
  }
  await turn(gone);
  await checkAcyclic(tx.db, changesBack(net));
}

const parentTable = (table: JournalledTable, column: string) => describeTable(table).references[column];

type Changed = Extract<NetChange, { changed: unknown }>;

/** The columns of a change that name its row, and that two rows may have swapped. */
function namingColumns({ table, changed }: Changed): string[] {
  const unique = UNIQUE_KEYS.filter((key) => key.table === table).flatMap(({ columns }) => columns);
  return unique.filter((column) => typeof changed[column]?.[0] === "string");
}

/** Rows that swapped their names must not meet on the way back. */
const placeholder = (change: Changed) =>
  Object.fromEntries(namingColumns(change).map((column) => [column, `undoing_${change.id}`])) as never;

/** Turns back the columns that `takes` says yes to. */
async function patchBack(
  tx: Tx,
  { table, id, changed }: Changed,
  whole: (value: unknown) => unknown,
  takes: (table: JournalledTable, column: string, then: unknown) => boolean,
): Promise<void> {
  const columns = Object.entries(changed).filter(([column, [then]]) => takes(table, column, then));
  if (columns.length === 0) return;
  const back: Row = {};
  for (const [column, [then]] of columns) if (!isPassing(table, column)) back[column] = whole(then);
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
function inOrder<C extends NetChange>(changes: readonly C[]): C[] {
  const byKey = new Map(changes.map((change) => [rowKey(change.table, change.id), change]));
  const placed = new Set<C>();
  const place = (change: C) => {
    const { table } = change;
    const self = Object.entries(describeTable(table).references).find(([, to]) => to === table)?.[0];
    const chain: C[] = [];
    for (let next: C | undefined = change; next !== undefined && !placed.has(next) && !chain.includes(next); ) {
      chain.push(next);
      next = self === undefined ? undefined : byKey.get(rowKey(table, imageOf(next)[self]));
    }
    for (const one of chain.reverse()) placed.add(one);
  };
  for (const table of JOURNALLED) for (const change of changes) if (change.table === table) place(change);
  return [...placed];
}

/** What undo of `net` inserts and patches, as changes. */
function changesBack(net: Map<string, NetChange>): Change[] {
  return [...net.values()].flatMap((change): Change[] => {
    const { table, id } = change;
    if ("gone" in change) return [{ table, id, insert: change.gone }];
    return "changed" in change ? [{ table, id, patch: change.changed }] : [];
  });
}

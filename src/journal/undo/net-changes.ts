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
import { portions } from "../../db/statement.js";
import { isByHash, sameValue, wholeTexts } from "../../db/texts.js";
import type { Tx } from "../../db/write.js";
import { groupBy } from "../../groups.js";
import { checkAcyclic } from "../rows.js";

/** What several changes did to one row, taken together: made it, removed it, or changed columns of it. */
export type NetChange = { table: JournalledTable; id: number } & Sides;
type Changed = NetChange & { before: Row; after: Row };

export const isChanged = (change: NetChange): change is Changed => change.before !== null && change.after !== null;

/** What a group did to one row, without the row: its values are read again from the events that changed it. */
export interface Mark {
  table: JournalledTable;
  id: number;
  did: "made" | "removed" | "changed";
  /** The ids of the events that changed it, one for each change. */
  events: readonly number[];
  /** Whether the columns that name it, or refer to another row, may have changed. */
  binds: boolean;
}

/** What a group did to each row, by key. It needs little memory, however large the group is. */
export type Net = Map<string, Mark>;

/** Rows whose values are held at once. */
const ROWS_AT_ONCE = 1_000;
/** Events that are read at once: each may have hundreds of changes. */
export const EVENTS_AT_ONCE = 20;

/** Adds the changes of a group's next event. */
export function mark(net: Net, event: number, changes: readonly Change[]): void {
  const events = [event];
  for (const change of changes) {
    const key = rowKey(change.table, change.id);
    const first = net.get(key);
    const did = didBoth(first?.did, "insert" in change ? "made" : "remove" in change ? "removed" : "changed");
    if (did === undefined) net.delete(key);
    else if (first === undefined)
      net.set(key, { table: change.table as JournalledTable, id: change.id, did, events, binds: isBinding(change) });
    else Object.assign(first, { did, events: [...first.events, event], binds: first.binds || isBinding(change) });
  }
}

function isBinding(change: Change): boolean {
  if (!("patch" in change)) return true;
  const table = change.table as JournalledTable;
  return Object.keys(change.patch).some(
    (column) => parentTable(table, column) !== undefined || uniqueColumns(table).includes(column),
  );
}

/** What one change after the other did to a row; undefined if it was made and removed. */
function didBoth(first: Mark["did"] | undefined, then: Mark["did"]): Mark["did"] | undefined {
  if (first === undefined) return then;
  if (first === "made") return then === "removed" ? undefined : "made";
  return then === "made" ? "changed" : then;
}

/** Leaves out the rows that ended as they began, once every event is in. */
export async function leaveOutUnchanged(db: Reader, net: Net): Promise<void> {
  const twice = [...net.values()].filter(({ did, events }) => did === "changed" && events.length > 1);
  for (const some of portions(twice, ROWS_AT_ONCE)) {
    const changed = await changesOf(db, some);
    for (const { table, id } of some) if (!changed.has(rowKey(table, id))) net.delete(rowKey(table, id));
  }
}

/** What the group did to the rows of `marks`, in their order and some at a time. */
export async function* partsOf(db: Reader, marks: Iterable<Mark>): AsyncGenerator<Map<string, NetChange>> {
  for (const some of portions([...marks], ROWS_AT_ONCE)) yield await changesOf(db, some);
}

const marksOf = (net: Net, did: Mark["did"]) => [...net.values()].filter((one) => one.did === did);

/** What the group did to some rows, with their values. */
export async function changesOf(db: Reader, marks: readonly Mark[]): Promise<Map<string, NetChange>> {
  const wanted = new Set(marks.map(({ table, id }) => rowKey(table, id)));
  const ids = [...new Set(marks.flatMap(({ events }) => events))].sort((one, other) => one - other);
  const net = new Map<string, NetChange>();
  for (const some of portions(ids, EVENTS_AT_ONCE)) {
    const events = await db.selectFrom("events").select("changes").where("id", "in", some).orderBy("id").execute();
    for (const { changes } of events)
      netChanges(
        (JSON.parse(changes) as Change[]).filter(({ table, id }) => wanted.has(rowKey(table, id))),
        net,
      );
  }
  const inOrder = [...wanted].flatMap((key) => net.get(key) ?? []);
  return new Map(inOrder.map((change) => [rowKey(change.table, change.id), change]));
}

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

/** The rows of `net` as they are now, by key; those that are gone are left out. */
export async function currentRows(db: Reader, net: Map<string, NetChange>): Promise<Map<string, Row>> {
  const now = new Map<string, Row>();
  for (const [table, own] of idsByTable([...net.values()])) {
    for (const row of await rowsWhere(db, table, "id", own)) now.set(rowKey(table, row.id), row);
  }
  return now;
}

/** The row ids of `changes` by table. */
export function idsByTable(changes: readonly Pick<Mark, "table" | "id">[]): Map<JournalledTable, number[]> {
  const tables = groupBy(changes, ({ table }) => table);
  return new Map([...tables].map(([table, own]) => [table, own.map(({ id }) => id)]));
}

/** Faults `undo.text_not_kept` when a text that would come back is nowhere in the database. */
export async function checkTexts(db: Reader, net: Net): Promise<void> {
  const back = [...net.values()].filter(({ did }) => did !== "made");
  for await (const part of partsOf(db, back)) await textsBack(db, part);
}

function textsBack(db: Reader, part: Map<string, NetChange>) {
  const back: unknown[] = [];
  for (const { before } of part.values())
    for (const column in before) if (isByHash(before[column])) back.push(before[column]);
  return wholeTexts(db, back);
}

/** Whether a column whose value before the group was `then` has its turn. */
type Takes = (table: JournalledTable, column: string, then: unknown) => boolean;

/**
 * Turns net changes back, in an order that keeps every reference whole at each step. Faults `task.cycle` when an edge
 * that comes back would close one, `undo.text_not_kept`.
 */
export async function putBack(tx: Tx, net: Net): Promise<void> {
  const refers = (table: JournalledTable, column: string) => parentTable(table, column) !== undefined;
  const patches = marksOf(net, "changed");
  const binding = patches.filter(({ binds }) => binds);
  const [renamed, referring]: [Mark[], Mark[]] = [[], []];
  for await (const part of partsOf(tx.db, binding)) {
    for (const [key, change] of part) {
      const own = net.get(key) as Mark;
      if (isChanged(change) && namingColumns(change).length > 0) renamed.push(own);
      if (Object.keys(change.before ?? {}).some((column) => refers(change.table, column))) referring.push(own);
    }
  }
  if (renamed.length > 1)
    for await (const part of partsOf(tx.db, renamed))
      for (const change of part.values())
        if (isChanged(change)) await tx.patch(change.table, change.id, placeholder(change));

  const goes = (table: JournalledTable, column: string, id: unknown) =>
    net.get(rowKey(parentTable(table, column) ?? "", id))?.did === "removed";
  const turn = async (marks: readonly Mark[], takes: Takes) => {
    for await (const part of partsOf(tx.db, marks)) {
      const whole = await textsBack(tx.db, part);
      for (const change of part.values()) if (isChanged(change)) await patchBack(tx, change, whole, takes);
    }
  };
  await turn(referring, (table, column, then) => refers(table, column) && !goes(table, column, then));
  const made = (await inOrder(tx.db, marksOf(net, "made"))).reverse();
  for (const [table, ids] of idsByTable(made)) await tx.removeAll(table, ids);
  await turn(patches, (table, column) => !refers(table, column));
  for await (const part of partsOf(tx.db, await inOrder(tx.db, marksOf(net, "removed")))) {
    const whole = await textsBack(tx.db, part);
    for (const { table, id, before } of part.values()) {
      const values = Object.entries(before ?? {}).map(([column, value]) => [column, whole(value)]);
      await tx.restore(table, { id, ...Object.fromEntries(values) } as never);
    }
  }
  await turn(referring, goes);
  await checkAcyclic(tx.db, [...net.values()]);
}

const parentTable = (table: JournalledTable, column: string) => describeTable(table).references[column];

/** The columns of a change that name its row, and that two rows may have swapped. */
function namingColumns({ table, before }: Changed): string[] {
  return uniqueColumns(table).filter((column) => typeof before[column] === "string");
}

const uniqueColumns = (table: JournalledTable) =>
  UNIQUE_KEYS.filter((key) => key.table === table).flatMap(({ columns }) => columns);

/** Rows that swapped their names must not meet on the way back. */
const placeholder = (change: Changed) =>
  Object.fromEntries(namingColumns(change).map((column) => [column, `undoing_${change.id}`])) as never;

/** Turns back the columns that `takes` says yes to. */
async function patchBack(
  tx: Tx,
  { table, id, before }: Changed,
  whole: (value: unknown) => unknown,
  takes: Takes,
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
async function inOrder(db: Reader, marks: readonly Mark[]): Promise<Mark[]> {
  const placed = new Set<Mark>();
  const tables = groupBy(marks, ({ table }) => table);
  for (const table of JOURNALLED) {
    const own = tables.get(table) ?? [];
    const self = Object.entries(describeTable(table).references).find(([, to]) => to === table)?.[0];
    const parents = self === undefined ? new Map<Mark, Mark>() : await parentsAmong(db, own, self);
    for (const one of own) {
      const chain: Mark[] = [];
      for (let next: Mark | undefined = one; next !== undefined && !placed.has(next) && !chain.includes(next); ) {
        chain.push(next);
        next = parents.get(next);
      }
      for (const link of chain.reverse()) placed.add(link);
    }
  }
  return [...placed];
}

/** Those of `marks` whose row refers to one of another by `column`, each with that. */
async function parentsAmong(db: Reader, marks: readonly Mark[], column: string): Promise<Map<Mark, Mark>> {
  const byId = new Map(marks.map((one) => [one.id, one]));
  const parents = new Map<Mark, Mark>();
  for await (const part of partsOf(db, marks)) {
    for (const change of part.values()) {
      const [one, parent] = [byId.get(change.id), byId.get(Number(imageOf(change)[column]))];
      if (one !== undefined && parent !== undefined) parents.set(one, parent);
    }
  }
  return parents;
}

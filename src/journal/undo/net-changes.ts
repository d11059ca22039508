import type { Change } from "../../db/events.js";
import type { JournalledTable, Reader } from "../../db/schema.js";

export type Row = Record<string, unknown>;

/** What several changes did to one row, taken together: made it, took it away, or changed columns of it. */
export type NetChange = { table: JournalledTable; id: number } & (
  | { made: Row }
  | { gone: Row }
  | { changed: Record<string, [before: unknown, after: unknown]> }
);

/** The key of a row among rows of several tables. */
export const rowKey = (table: string, id: unknown) => `${table} ${id}`;

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
    return { ...at, gone: "changed" in before ? { ...change.remove, ...side(before.changed, 0) } : change.remove };
  }
  if ("made" in before) return { ...at, made: { ...before.made, ...side(change.patch, 1) } };
  return "changed" in before ? changed(at, merge(before.changed, change.patch)) : before;
}

function alone(change: Change) {
  if ("insert" in change) return { made: change.insert };
  if ("remove" in change) return { gone: change.remove };
  return { changed: change.patch };
}

type Patch = Record<string, [before: unknown, after: unknown]>;

function changed(at: { table: JournalledTable; id: number }, patch: Patch): NetChange | undefined {
  return Object.keys(patch).length === 0 ? undefined : { ...at, changed: patch };
}

function difference(from: Row, to: Row): Patch {
  const columns = [...new Set([...Object.keys(from), ...Object.keys(to)])];
  return Object.fromEntries(
    columns
      .map((column): [string, [unknown, unknown]] => [column, [from[column] ?? null, to[column] ?? null]])
      .filter(([, [before, after]]) => before !== after),
  );
}

function merge(first: Patch, then: Patch): Patch {
  const whole: Patch = { ...first };
  for (const [column, [before, after]] of Object.entries(then)) {
    const from = first[column] === undefined ? before : first[column][0];
    if (from === after) delete whole[column];
    else whole[column] = [from, after];
  }
  return whole;
}

function side(patch: Patch, at: 0 | 1): Row {
  return Object.fromEntries(Object.entries(patch).map(([column, values]) => [column, values[at]]));
}

/** Ids asked for at a time: both dialects limit how many values one query may bind. */
const PORTION = 500;

/** The rows of `table` that have one of `values` in `column`. */
export async function rowsWhere(
  db: Reader,
  table: JournalledTable,
  column: string,
  values: readonly number[],
): Promise<(Row & { id: number })[]> {
  const found: (Row & { id: number })[] = [];
  for (let at = 0; at < values.length; at += PORTION) {
    const rows = await db
      .selectFrom(table as "tasks")
      .selectAll()
      .where(column as "id", "in", values.slice(at, at + PORTION))
      .execute();
    for (const row of rows) found.push({ ...row });
  }
  return found;
}

/** The whole row of a net change that made or removed it; of a changed one nothing. */
export function imageOf(change: NetChange): Row {
  if ("made" in change) return change.made;
  return "gone" in change ? change.gone : {};
}

/** The rows that `net` is about as they are now, by key; those that are gone are left out. */
export async function currentRows(db: Reader, net: Map<string, NetChange>): Promise<Map<string, Row>> {
  const ids = idsByTable(net.values());
  const now = new Map<string, Row>();
  for (const [table, own] of ids) {
    for (const row of await rowsWhere(db, table, "id", own)) now.set(rowKey(table, row.id), row);
  }
  return now;
}

/** The row ids of `changes` by table. */
export function idsByTable(changes: Iterable<NetChange>): Map<JournalledTable, number[]> {
  const ids = new Map<JournalledTable, number[]>();
  for (const { table, id } of changes) {
    const own = ids.get(table);
    if (own === undefined) ids.set(table, [id]);
    else own.push(id);
  }
  return ids;
}

/** Gives rows their names for people: `build`, `build → deploy` for an edge, the task's name for a note. */
export async function rowNames(
  db: Reader,
  rows: readonly { table: JournalledTable; row: Row }[],
): Promise<(table: JournalledTable, row: Row) => string> {
  const ids = new Set(
    rows.flatMap(({ row }) => [row.task_id, row.blocker_id, row.blocked_id]).filter((id) => typeof id === "number"),
  );
  const names = new Map((await rowsWhere(db, "tasks", "id", [...ids])).map((row) => [row.id, String(row.name)]));
  for (const { table, row } of rows) if (table === "tasks" && row.id) names.set(Number(row.id), String(row.name));
  const task = (id: unknown) => names.get(Number(id)) ?? "a task that is gone";
  return (table, row) => {
    if (table === "task_edges") return `${task(row.blocker_id)} → ${task(row.blocked_id)}`;
    if (table === "task_notes" || table === "checks") return task(row.task_id);
    if (table === "salvages") return `${row.workstream}/${row.agent}/${row.n}`;
    return String(row.name ?? row.agent ?? row.text);
  };
}

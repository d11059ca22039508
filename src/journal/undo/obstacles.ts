import { sql } from "kysely";
import type { Change, EventRow } from "../../db/events.js";
import {
  describeTable,
  JOURNALLED,
  type JournalledTable,
  REFERENCES,
  type Reference,
  type Row,
  rowKey,
  rowsWhere,
  UNIQUE_KEYS,
  type UniqueKey,
} from "../../db/relations.js";
import type { Reader } from "../../db/schema.js";
import { pages, portions } from "../../db/statement.js";
import { sameValue } from "../../db/texts.js";
import { groupBy } from "../../groups.js";
import { shape, type TypeOf } from "../../shape.js";
import { rowNames } from "../rows.js";
import {
  changesOf,
  currentRows,
  idsByTable,
  imageOf,
  isChanged,
  isPassing,
  type Net,
  type NetChange,
  partsOf,
} from "./net-changes.js";

/** Something later that undo would overwrite. */
export const OBSTACLE = shape({
  table: JOURNALLED,
  /** What people call the row. */
  name: "string",
  /** The column that was changed again; absent when it is about the whole row. */
  "column?": "string",
  problem: "string",
  /** What did it; absent when it happened outside mu, so that the log does not say. */
  "by?": { group: "string", op: "string", actor: "string", at: "string" },
});

export type Obstacle = TypeOf<typeof OBSTACLE>;

/** What is in the tables now, and what the log says about it. */
interface Scene {
  db: Reader;
  net: Net;
  /** What the group did to those rows of `net` that are looked at. */
  part: Map<string, NetChange>;
  /** The rows of `part` as they are now. */
  now: Map<string, Row>;
  /** Later changes by the key of their row. */
  later: Map<string, Later[]>;
}

interface Later {
  event: Pick<EventRow, "id" | "group_id" | "op" | "actor" | "at">;
  change: Change;
}

type Found = Omit<Obstacle, "name"> & { row: Row };

/**
 * Everything in the way of undoing `net`, the net changes of group `group` whose first event is `firstId`. Groups
 * that came later and were undone again do not count.
 */
export async function findObstacles(db: Reader, net: Net, group: string, firstId: number): Promise<Obstacle[]> {
  const later = await laterChanges(db, net, group, firstId);
  const found: Found[][] = [[], [], [], []];
  for await (const part of partsOf(db, net.values())) {
    const scene = { db, net, part, now: await currentRows(db, part), later };
    found[0]?.push(...changedAgain(scene));
    found[1]?.push(...(await hanging(scene)));
    found[2]?.push(...(await withoutParents(scene)));
    found[3]?.push(...(await takenNames(scene)));
  }
  const all = found.flat();
  const nameOf = await rowNames(db, all);
  return all.map(({ row, table, ...rest }) => ({ table, name: nameOf(table, row), ...rest }));
}

/** With more rows than this, texts are not searched for their ids before they are parsed. */
const FEW = 20;

async function laterChanges(db: Reader, net: Net, group: string, firstId: number): Promise<Scene["later"]> {
  const ids = [...new Set([...net.values()].map(({ id }) => id))];
  const mention = ids.length > FEW ? /./ : new RegExp(`id":(?:${ids.join("|")})[,}]`);
  const later: Later[] = [];
  const groups = new Set<string>();
  const events = db
    .selectFrom("events")
    .select(["id", "group_id", "op", "actor", "at", "changes"])
    .where("id", ">", firstId)
    .where("group_id", "<>", group);
  for await (const page of pages(events, "id")) {
    for (const { changes, ...event } of page) {
      groups.add(event.group_id);
      if (!mention.test(changes)) continue;
      for (const change of JSON.parse(changes) as Change[]) if (concerns(net, change)) later.push({ event, change });
    }
  }
  const undone = await undoneGroups(db);
  const cancelled = new Set([...undone].filter(([target]) => groups.has(target)).flat());
  return groupBy(
    later.filter(({ event }) => !cancelled.has(event.group_id)),
    ({ change }) => rowKey(change.table, change.id),
  );
}

/** Whether a change may stand in the way: one of the same row, or one that made a row refer to another. */
function concerns(net: Net, change: Change): boolean {
  if (!("patch" in change) || net.has(rowKey(change.table, change.id))) return true;
  const { patch, table } = change;
  return (
    REFERENCES.some((reference) => reference.table === table && reference.column in patch) ||
    UNIQUE_KEYS.some((key) => key.table === table && key.columns.some((column) => column in patch))
  );
}

/** The groups that are undone at present, each with the group that undid it. */
export async function undoneGroups(db: Reader): Promise<Map<string, string>> {
  const undos = await db
    .selectFrom("events")
    .select(["group_id", "payload"])
    .where(sql<boolean>`op = 'undo'`)
    .orderBy("id", "desc")
    .execute();
  const undone = new Map<string, string>();
  for (const { group_id, payload } of undos) {
    const target = String(JSON.parse(payload).group);
    if (!undone.has(group_id) && !undone.has(target)) undone.set(target, group_id);
  }
  return undone;
}

/** Rows that are not as the group left them. */
function changedAgain({ part, now, later }: Scene): Found[] {
  return [...part].flatMap(([key, change]) => {
    const row = now.get(key);
    const events = later.get(key) ?? [];
    const at = {
      table: change.table,
      get row() {
        return { ...imageOf(change), ...row, id: change.id };
      },
    };
    if (change.after === null) {
      return row === undefined ? [] : [{ ...at, problem: "exists again", ...by(events.at(-1)) }];
    }
    if (row === undefined) return [{ ...at, problem: "was deleted", ...by(events.at(-1)) }];
    const again = leftBehind(change, row).flatMap(([column, left]) => {
      const event = events.find((one) => changesColumn(one.change, column));
      if (event === undefined && sameValue(row[column], left)) return [];
      return [{ ...at, column, problem: "was changed again", ...by(event) }];
    });
    const rested = restingColumns(change).flatMap((column) => {
      const event = events.find((one) => changesColumn(one.change, column));
      return event === undefined ? [] : [{ ...at, column, problem: "was changed", ...by(event) }];
    });
    return [...again, ...rested];
  });
}

/** Columns that the group left alone and that rest on one that it set; see `restsOn`. */
function restingColumns(change: NetChange): string[] {
  if (!isChanged(change)) return [];
  return Object.entries(describeTable(change.table).columns ?? {}).flatMap(([column, { restsOn }]) =>
    restsOn !== undefined && restsOn in change.after && !(column in change.after) ? [column] : [],
  );
}

/** The columns that count, with the values that the group left in them. */
function leftBehind(change: NetChange, row: Row): [column: string, value: unknown][] {
  const columns: [string, unknown][] = isChanged(change)
    ? Object.entries(change.after)
    : Object.keys(row).map((column) => [column, imageOf(change)[column] ?? null]);
  return columns.filter(([column]) => column !== "id" && !isPassing(change.table, column));
}

const changesColumn = (change: Change, column: string) => !("patch" in change) || column in change.patch;

function by(later: Later | undefined): Pick<Obstacle, "by"> {
  if (later === undefined) return {};
  const { group_id: group, op, actor, at } = later.event;
  return { by: { group, op, actor, at } };
}

/** Rows that refer to one that would be removed, and would stay. */
async function hanging({ db, net, part, later }: Scene): Promise<Found[]> {
  const made = idsByTable([...part.values()].filter((change) => change.before === null));
  const found: Found[] = [];
  for (const { table, column, to } of REFERENCES) {
    const rows = await rowsWhere(db, table, column, made.get(to) ?? []);
    const staying = rows.filter(({ id }) => net.get(rowKey(table, id))?.did !== "made");
    const changed = await changedAmong(db, net, table, staying);
    for (const row of staying) {
      const after = changed.get(rowKey(table, row.id))?.after;
      if (after && column in after) continue;
      const event = later.get(rowKey(table, row.id))?.find(({ change }) => changesColumn(change, column));
      found.push({
        table,
        row,
        problem: `refers to a row that would be removed (${column.replace(/_id$/, "")})`,
        ...by(event),
      });
    }
  }
  return found;
}

/** Rows that would refer to one that is gone, and stays gone. */
async function withoutParents({ db, net, part, later }: Scene): Promise<Found[]> {
  const found: Found[] = [];
  for (const reference of REFERENCES) {
    const wanting = [...part.values()].filter((change) => typeof parentOf(change, reference) === "number");
    const parents = [...new Set(wanting.map((change) => Number(parentOf(change, reference))))];
    const there = new Set((await rowsWhere(db, reference.to, "id", parents)).map(({ id }) => id));
    for (const change of wanting) {
      const parent = rowKey(reference.to, parentOf(change, reference));
      const returning = net.get(parent);
      if (returning === undefined ? there.has(Number(parentOf(change, reference))) : returning.did !== "made") continue;
      const row = { ...change.before, id: change.id };
      const problem = `belongs to a deleted ${reference.column.replace(/_id$/, "")}`;
      found.push({ table: change.table, row, problem, ...by(later.get(parent)?.at(-1)) });
    }
  }
  return found;
}

/** What the group did to those of `rows` that it changed, and neither made nor removed. */
function changedAmong(db: Reader, net: Net, table: JournalledTable, rows: readonly { id: number }[]) {
  const marks = rows.flatMap(({ id }) => net.get(rowKey(table, id)) ?? []);
  return changesOf(
    db,
    marks.filter(({ did }) => did === "changed"),
  );
}

const parentOf = (change: NetChange, { table, column }: Reference) =>
  change.table === table ? change.before?.[column] : undefined;

export const NAME_TAKEN = "has the name of a row that would come back";

/** Rows that have by now what must be unique in a row that would come back. */
async function takenNames(scene: Scene): Promise<Found[]> {
  const found: Found[] = [];
  for (const key of UNIQUE_KEYS) {
    const wanted = new Map<string, NetChange>();
    for (const change of scene.part.values()) {
      if (change.table !== key.table || !isSetBy(change, key)) continue;
      const row = { ...scene.now.get(rowKey(change.table, change.id)), ...change.before };
      if (counts(row, key)) wanted.set(valuesOf(row, key), change);
    }
    const rows = await rowsOf(scene.db, key, [...wanted.keys()]);
    const changed = await changedAmong(scene.db, scene.net, key.table, rows);
    for (const row of rows) {
      const change = wanted.get(valuesOf(row, key));
      const own = rowKey(key.table, row.id);
      if (change === undefined || change.id === row.id || !counts(row, key)) continue;
      const { did } = scene.net.get(own) ?? {};
      const again = changed.get(own);
      if (did === "made" || did === "removed" || (again !== undefined && isSetBy(again, key))) continue;
      const event = scene.later.get(own)?.at(-1);
      found.push({ table: key.table, row, problem: NAME_TAKEN, ...by(event) });
    }
  }
  return found;
}

function isSetBy(change: NetChange, { columns, whileNull }: UniqueKey): boolean {
  if (isChanged(change)) return [...columns, whileNull].some((column) => column && column in change.after);
  return change.after === null;
}

const counts = (row: Row, { whileNull }: UniqueKey) => whileNull === undefined || (row[whileNull] ?? null) === null;
const valuesOf = (row: Row, { columns }: UniqueKey) => JSON.stringify(columns.map((column) => row[column]));

async function rowsOf(db: Reader, key: UniqueKey, wanted: readonly string[]): Promise<(Row & { id: number })[]> {
  const found: (Row & { id: number })[] = [];
  for (const portion of portions(wanted)) {
    const values = portion.map((text) => JSON.parse(text) as unknown[]);
    let query = db.selectFrom(key.table as "tasks").selectAll();
    for (const [place, column] of key.columns.entries()) {
      query = query.where(column as "id", "in", [...new Set(values.map((value) => value[place]))] as number[]);
    }
    for (const row of await query.execute()) found.push({ ...row });
  }
  return found;
}

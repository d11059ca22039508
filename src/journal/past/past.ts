import { type Change, withoutNulls } from "../../db/events.js";
import { JOURNALLED, type JournalledTable, type Row, rowsWhere, UNIQUE_KEYS } from "../../db/relations.js";
import type { Reader } from "../../db/schema.js";
import { portions } from "../../db/statement.js";
import type { Store } from "../../db/store.js";
import { isByHash, sha256, type TextByHash } from "../../db/texts.js";
import { deleteRows, insertRows, patchRows } from "../../db/write.js";
import { changesIn } from "../replay.js";
import { openNearest, saveKeyframe } from "./keyframes.js";

/** The journalled tables as they were after an event, in a store of their own that any reader of rows can read. */
export interface Past {
  readonly db: Reader;
  /** The last event that it holds. */
  readonly event: number;
  /** Carries it on to a later event. */
  moveTo(event: number): Promise<void>;
  /** Copies the newest `most` events that a chain had by then from the log, where readers look for them. */
  takeEvents(scope: string, most: number): Promise<void>;
  close(): Promise<void>;
}

export interface PastOptions {
  /** Where keyframes are; see `keyframeFolder`. */
  folder: string;
  /** Events between two keyframes; 20,000 without it. */
  every?: number;
}

const EVERY = 20_000;
/** PostgreSQL hands ids out before it commits: no keyframe is made of the newest events. */
const SETTLED = 1_000;

/**
 * Opens the tables of `source` as they were after an event: the nearest keyframe before it, and the events since then.
 * Keyframes that are missing on the way are made. Close it.
 */
export async function openPast(source: Reader, event: number, options: PastOptions): Promise<Past> {
  const { folder, every = EVERY } = options;
  const { store, event: known } = await openNearest(source, folder, event);
  let at = known;
  const moveTo = async (until: number) => {
    const newest = (await eventBefore(source, Number.MAX_SAFE_INTEGER))?.id ?? 0;
    for (let next = (Math.floor(at / every) + 1) * every; next <= until; next += every) {
      await foldInto(store, source, { after: at, until: next });
      at = next;
      const last = await eventBefore(source, next);
      if (last !== undefined && last.id > known && last.id < newest - Math.min(SETTLED, every / 2))
        await saveKeyframe(store, folder, last);
    }
    await foldInto(store, source, { after: at, until });
    at = until;
  };
  const past: Past = {
    db: store.db,
    get event() {
      return at;
    },
    moveTo,
    takeEvents: (scope, most) => takeEvents(store.db, source, { scope, until: at, most }),
    close: () => store.close(),
  };
  try {
    await moveTo(event);
    return past;
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** The newest event up to that number, or undefined. */
export function eventBefore(source: Reader, id: number) {
  const most = Math.min(id, 2 ** 31 - 1);
  const events = source.selectFrom("events").select(["id", "at", "hash"]).where("id", "<=", most);
  return events.orderBy("id", "desc").limit(1).executeTakeFirst();
}

/** What some events come to for a row: all of it, null where it went, or the columns that they set. */
type Folded = { isWhole: true; row: Row | null } | { isWhole: false; row: Row };
type Fold = Map<string, Map<number, Folded>>;

/** Rows that are folded in memory before they are written. */
const ROWS_AT_ONCE = 10_000;

function foldInto(store: Store, source: Reader, range: { after: number; until: number }): Promise<void> {
  return store.write(async (db) => {
    let fold: Fold = new Map();
    for await (const changes of changesIn(source, range)) {
      for (const change of changes) addTo(fold, change);
      if ([...fold.values()].reduce((sum, { size }) => sum + size, 0) < ROWS_AT_ONCE) continue;
      await carryOut(db, source, fold);
      fold = new Map();
    }
    await carryOut(db, source, fold);
  });
}

function addTo(fold: Fold, change: Change): void {
  const rows = fold.get(change.table) ?? new Map<number, Folded>();
  fold.set(change.table, rows);
  if ("insert" in change) rows.set(change.id, { isWhole: true, row: { ...change.insert } });
  else if ("remove" in change) rows.set(change.id, { isWhole: true, row: null });
  else {
    const known = rows.get(change.id) ?? { isWhole: false, row: {} };
    rows.set(change.id, known);
    for (const column in change.patch) if (known.row !== null) known.row[column] = change.patch[column]?.[1];
  }
}

/**
 * Writes a fold into a private store. Rows that go or get another name leave it first, so that no two ever collide; a
 * row that the store does not have is not patched, as in a log with holes.
 */
async function carryOut(past: Reader, source: Reader, fold: Fold): Promise<void> {
  for (const table of JOURNALLED) {
    const all = [...(fold.get(table) ?? [])].map(([id, folded]) => ({ id, ...folded }));
    const leaving = all.filter((one) => one.isWhole || isNamed(table, one.row));
    const ids = leaving.map(({ id }) => id);
    const before = new Map<number, Row>((await rowsWhere(past, table, "id", ids)).map((row) => [row.id, row]));
    const coming = leaving.flatMap(({ id, isWhole, row }) => {
      if (isWhole) return row === null ? [] : [{ ...row, id }];
      return before.has(id) ? [{ ...before.get(id), ...row, id }] : [];
    });
    await deleteRows(past, table, ids);
    await insertRows(past, table, await withTexts(source, table, coming.map(withoutNulls)));
    const patched = all
      .filter((one) => !one.isWhole && !isNamed(table, one.row))
      .map(({ id, row }) => ({ ...row, id }));
    await patchRows(past, table, await withTexts(source, table, patched));
  }
}

const NAMING = new Set(
  UNIQUE_KEYS.flatMap((key) => [...key.columns, key.whileNull].map((column) => `${key.table} ${column}`)),
);

/** Whether columns are set that no two rows may have the same. */
const isNamed = (table: JournalledTable, row: Row | null) =>
  Object.keys(row ?? {}).some((column) => NAMING.has(`${table} ${column}`));

/** The rows with their large texts, which the log has by hash: rows have them, or the table of texts once they are gone. */
async function withTexts(source: Reader, table: JournalledTable, rows: readonly Row[]): Promise<readonly Row[]> {
  const lacking = rows.filter((row) => Object.values(row).some(isByHash));
  if (lacking.length === 0) return rows;
  const found = new Map<string, string>();
  for (const row of await rowsWhere(
    source,
    table,
    "id",
    lacking.map(({ id }) => Number(id)),
  )) {
    for (const value of Object.values(row)) if (typeof value === "string") found.set(sha256(value), value);
  }
  const wanted = new Set(lacking.flatMap((row) => Object.values(row).filter(isByHash)).map((text) => text.sha256));
  for (const portion of portions([...wanted].filter((hash) => !found.has(hash)))) {
    const texts = await source.selectFrom("texts").select(["hash", "text"]).where("hash", "in", portion).execute();
    for (const { hash, text } of texts) found.set(hash, text);
  }
  const whole = (value: unknown) => (isByHash(value) ? (found.get(value.sha256) ?? notKept(value)) : value);
  return rows.map((row) => Object.fromEntries(Object.entries(row).map(([column, value]) => [column, whole(value)])));
}

const notKept = ({ start }: TextByHash) => `${start}… (the rest was not kept)`;

async function takeEvents(
  past: Reader,
  source: Reader,
  { scope, until, most }: { scope: string; until: number; most: number },
): Promise<void> {
  const chain = source.selectFrom("events").where("scope", "=", scope);
  const head = await source.selectFrom("chains").select("head_n").where("scope", "=", scope).executeTakeFirst();
  const last = await lastWhere(head?.head_n ?? 0, async (n) => {
    const event = await chain.select("id").where("n", "=", n).executeTakeFirst();
    return event !== undefined && event.id <= until;
  });
  const rows = await chain
    .selectAll()
    .where("n", ">", last - most)
    .where("n", "<=", last)
    .execute();
  for (const portion of portions(rows)) {
    await past
      .insertInto("events")
      .values(portion)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}

/** The greatest number up to `most` for which `holds`, as it does for all below it; 0 if for none. */
export async function lastWhere(most: number, holds: (n: number) => Promise<boolean>): Promise<number> {
  let [low, high] = [0, most];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (await holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

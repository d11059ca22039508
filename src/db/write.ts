import type { Selectable } from "kysely";
import { groupBy } from "../groups.js";
import { type ActingRun, type Context, newGroup, timestamp } from "./context.js";
import { appendEvent, type Change, changeOf, type Head, takeHead, withoutNulls } from "./events.js";
import { type JournalledTable, type Row, rowsWhere } from "./relations.js";
import type { Reader, Schema } from "./schema.js";
import { portions, statement } from "./statement.js";
import { storableRow, storableText } from "./text.js";
import { withTextsByHash } from "./texts.js";

export type RowOf<T extends JournalledTable> = Selectable<Schema[T]>;
export type NewRow<T extends JournalledTable> = Omit<RowOf<T>, "id" | "created_at">;

/**
 * The only writers of journalled tables. Every row they touch is in the event that ends the write.
 *
 * Writes compose: the work of a verb is `verbIn(tx, …)`, and `verb(context, …)` only opens the write for it. Several
 * works in one write share its transaction, its moment and its one event. Rows change in the order of the calls. The
 * event has the op and the scope of the write that was opened; `addPayload` merges payloads, the later call wins a key
 * that both set; the last `about` names the subject, so only the verb that opens the write calls it. A work that faults
 * takes the whole write back.
 */
export interface Tx {
  readonly db: Reader;
  /** The moment of the write, the same for all its rows. */
  readonly now: string;
  /** Who writes: the name that the event carries. */
  readonly actor: string;
  readonly incarnation: number | undefined;
  readonly run: ActingRun | undefined;
  insert<T extends JournalledTable>(table: T, row: NewRow<T>): Promise<RowOf<T>>;
  /**
   * Inserts many rows, which all have the columns of the first, with few statements; gives their ids in order. A
   * row made earlier, elsewhere, brings its `created_at`.
   */
  insertAll<T extends JournalledTable>(table: T, rows: readonly (NewRow<T> & MadeAt)[]): Promise<number[]>;
  /** Sets `columns`; what already has that value is no change. `before` saves the read of a row just read. */
  patch<T extends JournalledTable>(
    table: T,
    id: number,
    columns: Partial<RowOf<T>>,
    before?: RowOf<T>,
  ): Promise<RowOf<T>>;
  remove<T extends JournalledTable>(table: T, id: number): Promise<RowOf<T>>;
  /** Removes many rows with few statements; rows of one table may refer to each other. */
  removeAll(table: JournalledTable, ids: readonly number[]): Promise<void>;
  /** Puts a row back as it was, id included; for undo. */
  restore<T extends JournalledTable>(table: T, row: RowOf<T>): Promise<void>;
  /** Records changes that something else made, for example hand-written SQL. */
  adopt(changes: readonly Change[]): void;
  /** Sets the event's subject, where it is known only inside the write. */
  about(subject: string): void;
  /** Adds to the event's payload; the event is then appended even if no row changed. */
  addPayload(payload: Record<string, unknown>): void;
}

interface MadeAt {
  created_at?: string;
}

export interface WriteSpec {
  /** The operation, `noun.verb`. */
  op: string;
  /**
   * The chain: a workstream's name or `""`. Of several, the first carries the changes, the others a mention.
   * A function decides after the work; only for stores with one writer at a time.
   */
  scope: string | readonly string[] | ((db: Reader, changes: readonly Change[]) => Promise<readonly string[]>);
  /** What it is about, as text that outlives the row: `workstream/task`. */
  subject: string;
  payload?: Record<string, unknown>;
  /**
   * Its events are appended while it works, so that a large write holds few changes at a time. Its scope, subject and
   * payload are settled from the start.
   */
  streams?: true;
}

/** A bulk write is cut into events of this many rows, so that no single event grows without bound. */
const ROWS_PER_EVENT = 500;
/** Rows of one bulk insert: more gain nothing, and 29 columns of them stay far from a statement's 32,766 values. */
const ROWS_PER_INSERT = 50;

/**
 * Runs `work` in one transaction that first locks the head of the scope's chain and ends by appending the event, if
 * rows changed or `addPayload` was called. A throw leaves nothing behind.
 */
export function write<T>(context: Context, spec: WriteSpec, work: (tx: Tx) => Promise<T>): Promise<T> {
  const { scope: known } = spec;
  return context.store.write(async (db) => {
    const heads = new Map<string, Head>();
    const takeHeads = async (scopes: readonly string[]) => {
      for (const scope of [...scopes].sort()) heads.set(scope, await takeHead(db, context.store.dialect, scope));
    };
    let scopes = typeof known === "function" ? [] : distinct(known);
    await takeHeads(scopes);
    const { run } = context;
    await run?.requireActive(db);

    const payload = { ...(run && { run: run.id }), ...spec.payload };
    const now = timestamp(context.clock);
    const { actor, group: group_id = newGroup() } = context;
    const append = async (scope: string, changes: readonly Change[]) => {
      const { subject, payload } = journal;
      const event = { scope, group_id, at: now, actor, op: spec.op, subject, payload, changes };
      heads.set(scope, await appendEvent(db, heads.get(scope) as Head, event));
    };
    let hasFlushed = false;
    const flush = async () => {
      const [scope] = scopes;
      if (!spec.streams || scope === undefined) return;
      while (journal.changes.length >= ROWS_PER_EVENT) {
        await append(scope, await withTextsByHash(db, journal.changes.splice(0, ROWS_PER_EVENT), now));
        hasFlushed = true;
      }
    };
    const journal: Journal = { changes: [], subject: spec.subject, payload, hasPayload: false, flush };
    const result = await work(transaction(db, now, context, journal));
    if (journal.changes.length === 0 && !journal.hasPayload && !hasFlushed) return result;
    await context.beforeEvent?.();
    if (typeof known === "function") {
      scopes = distinct(await known(db, journal.changes));
      await takeHeads(scopes);
    }

    const recorded = await withTextsByHash(db, journal.changes, now);
    for (const [index, scope] of scopes.entries()) {
      if (index === 0 && recorded.length > 0)
        for (const some of portions(recorded, ROWS_PER_EVENT)) await append(scope, some);
      else if (index > 0 || !hasFlushed) await append(scope, []);
    }
    return result;
  });
}

interface Journal {
  changes: Change[];
  subject: string;
  payload: Record<string, unknown>;
  hasPayload: boolean;
  /** Appends the events that are full, of a write that streams. */
  flush(): Promise<void>;
}

function distinct(scopes: string | readonly string[]): string[] {
  return [...new Set(typeof scopes === "string" ? [scopes] : scopes)].map(storableText);
}

function transaction(db: Reader, now: string, { actor, incarnation, run }: Context, journal: Journal): Tx {
  const get = async (table: JournalledTable, id: number): Promise<Row> => {
    const [row] = await selectRow(table)(db, [id]);
    if (row === undefined) throw new Error(`${table} has no row ${id}`);
    return row;
  };
  return {
    db,
    now,
    actor,
    incarnation,
    run,
    async insert(table, row) {
      const values: Row = { ...storableRow<Row>(row), created_at: now };
      const columns = Object.keys(values);
      const [made] = await insertRow(table, columns)(db, Object.values(values));
      const id = Number(made?.id);
      journal.changes.push({ table, id, insert: withoutNulls(values) });
      return { id, ...values } as never;
    },
    async insertAll(table, rows) {
      const columns = Object.keys(rows[0] ?? {}).filter((column) => column !== "created_at");
      const insertMany = (count: number) => insertRow(table, [...columns, "created_at"], count);
      const ids: number[] = [];
      for (const portion of portions(rows.map(storableRow<Row>), ROWS_PER_INSERT)) {
        const values: unknown[] = [];
        for (const row of portion) {
          for (const column of columns) values.push(row[column]);
          values.push(row["created_at"] ?? now);
        }
        const made = await insertMany(portion.length)(db, values);
        // Ids are assigned in the order of the rows; RETURNING promises no order.
        const fresh = made.map((row) => Number(row.id)).sort((a, b) => a - b);
        for (const [index, row] of portion.entries()) {
          const id = fresh[index] as number;
          const insert = withoutNulls(row);
          insert.created_at ??= now;
          ids.push(id);
          journal.changes.push({ table, id, insert });
        }
      }
      return ids;
    },
    async patch(table, id, columns, known) {
      const before: Row = known ?? (await get(table, id));
      const values = storableRow<Row>(columns);
      const changed = Object.keys(values).filter((column) => before[column] !== values[column]);
      if (changed.length === 0) return before as never;
      const after: Row = { ...before, ...values };
      await updateRow(table, changed)(db, [...changed.map((column) => after[column]), id]);
      const set = Object.fromEntries(changed.map((column) => [column, after[column]]));
      journal.changes.push(changeOf(table, id, { before, after: set }));
      return after as never;
    },
    async remove(table, id) {
      const { id: _, ...row } = await get(table, id);
      await deleteRow(table)(db, [id]);
      journal.changes.push({ table, id, remove: withoutNulls(row) });
      return { id, ...row } as never;
    },
    async removeAll(table, ids) {
      for (const portion of portions(ids)) {
        const rows = await rowsWhere(db, table, "id", portion);
        await deleteRows(db, table, portion);
        for (const { id, ...row } of rows) journal.changes.push({ table, id, remove: withoutNulls(row) });
        await journal.flush();
      }
    },
    async restore(table, row) {
      const { id, ...values } = row as Row & { id: number };
      await insertRow(table, ["id", ...Object.keys(values)])(db, [id, ...Object.values(values)]);
      journal.changes.push({ table, id, insert: withoutNulls(values) });
      await journal.flush();
    },
    adopt(changes) {
      journal.changes.push(...changes);
    },
    about(subject) {
      journal.subject = subject;
    },
    addPayload(payload) {
      Object.assign(journal.payload, payload);
      journal.hasPayload = true;
    },
  };
}

type RowStatement = (db: Reader, values: readonly unknown[]) => Promise<Row[]>;
/** Statements by verb, table and columns: these run once per row of a bulk write. */
const statements = new Map<string, RowStatement>();

function once(key: string, build: (db: Reader, values: readonly unknown[]) => { compile(): unknown }): RowStatement {
  const known = statements.get(key) ?? (statement(build as never) as RowStatement);
  statements.set(key, known);
  return known;
}

// The tables share no column type, so the builder cannot type these four; RowOf and NewRow type their callers.
const anyTable = (table: JournalledTable) => table as never;

/** The next of the values for each column, from the one at `start` on. */
const valuesOf = (columns: readonly string[], values: readonly unknown[], start = 0) =>
  Object.fromEntries(columns.map((column, index) => [column, values[start + index]])) as never;

const selectRow = (table: JournalledTable) =>
  once(`select ${table}`, (db, values) =>
    db
      .selectFrom(anyTable(table))
      .selectAll()
      .where("id" as never, "=", values[0] as never),
  );

const insertRow = (table: JournalledTable, columns: readonly string[], rows = 1) =>
  once(`insert ${rows} ${table} ${columns}`, (db, values) =>
    db
      .insertInto(anyTable(table))
      .values(Array.from({ length: rows }, (_, row) => valuesOf(columns, values, row * columns.length)) as never)
      .returning("id" as never),
  );

/** Puts rows of one table in as they are, `id` included; what a row does not have gets the column's default. */
export async function insertRows(db: Reader, table: JournalledTable, rows: readonly Row[]): Promise<void> {
  for (const [, same] of groupBy(rows, (row) => Object.keys(row).join())) {
    const columns = Object.keys(same[0] ?? {});
    for (const portion of portions(same, ROWS_PER_INSERT)) {
      // Two sizes alone, so that few statements serve all.
      for (const some of portion.length === ROWS_PER_INSERT ? [portion] : portion.map((row) => [row])) {
        const values = some.flatMap((row) => columns.map((column) => row[column]));
        await insertRow(table, columns, some.length)(db, values);
      }
    }
  }
}

/** Sets, of each row, the columns that it has beside its `id`. */
export async function patchRows(db: Reader, table: JournalledTable, rows: readonly Row[]): Promise<void> {
  for (const { id, ...columns } of rows) {
    await updateRow(table, Object.keys(columns))(db, [...Object.values(columns), id]);
  }
}

/** Removes rows, and tells nobody. */
export async function deleteRows(db: Reader, table: JournalledTable, ids: readonly number[]): Promise<void> {
  for (const portion of portions(ids)) {
    await db
      .deleteFrom(anyTable(table))
      .where("id" as never, "in", portion as never)
      .execute();
  }
}

const updateRow = (table: JournalledTable, columns: readonly string[]) =>
  once(`update ${table} ${columns}`, (db, values) =>
    db
      .updateTable(anyTable(table))
      .set(valuesOf(columns, values))
      .where("id" as never, "=", values[columns.length] as never),
  );

const deleteRow = (table: JournalledTable) =>
  once(`delete ${table}`, (db, values) => db.deleteFrom(anyTable(table)).where("id" as never, "=", values[0] as never));

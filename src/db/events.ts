import { hash as digest } from "node:crypto";
import type { Selectable } from "kysely";
import type { Row } from "./relations.js";
import type { Reader, Schema } from "./schema.js";
import { statement } from "./statement.js";
import { storableJson, storableText } from "./text.js";

/** The chain of everything that belongs to no workstream. */
export const MACHINE_SCOPE = "";

/** `prev_hash` of a chain's first event. */
export const GENESIS_HASH = "0".repeat(64);

/** One changed row, as events store it. A column that is absent from `insert` or `remove` was null. */
export type Change =
  | { table: string; id: number; insert: Row }
  | { table: string; id: number; patch: Patch }
  | { table: string; id: number; remove: Row };

export type Patch = Record<string, [before: unknown, after: unknown]>;

/** A row before and after a change: whole, or of a patch the columns that it sets; null where there is none. */
export interface Sides {
  before: Row | null;
  after: Row | null;
}

/** What a change leads from and to. */
export function sidesOf(change: Change): Sides {
  if ("insert" in change) return { before: null, after: change.insert };
  if ("remove" in change) return { before: change.remove, after: null };
  const side = (at: 0 | 1) =>
    Object.fromEntries(Object.entries(change.patch).map(([column, values]) => [column, values[at]]));
  return { before: side(0), after: side(1) };
}

/** The change that leads from one side to the other; of two rows, in the columns of the second. */
export function changeOf(table: string, id: number, { before, after }: Sides): Change {
  if (after === null) return { table, id, remove: before ?? {} };
  if (before === null) return { table, id, insert: after };
  const patch = Object.keys(after).map((column) => [column, [before[column], after[column]]]);
  return { table, id, patch: Object.fromEntries(patch) };
}

/** A row as `insert` and `remove` have it. */
export function withoutNulls(row: Row): Row {
  const kept: Row = {};
  for (const column of Object.keys(row)) if (row[column] !== null) kept[column] = row[column];
  return kept;
}

/** An event as it is stored, with `payload` and `changes` as JSON texts. */
export type EventRow = Selectable<Schema["events"]>;

export interface Head {
  n: number;
  hash: string;
}

/** What is stored of an event, but for its hash. */
const COLUMNS = ["prev_hash", "scope", "n", "group_id", "at", "actor", "op", "subject", "payload", "changes"] as const;

/** sha256 over the JSON array of an event's fields; the public format, see docs/audit.md. */
export function eventHash(event: Omit<EventRow, "id" | "hash">): string {
  return digest("sha256", JSON.stringify(COLUMNS.map((column) => event[column])));
}

const selectHead = statement((db, { scope }: { scope: string }) =>
  db.selectFrom("chains").select(["head_n as n", "head_hash as hash"]).where("scope", "=", scope),
);

const lockHead = statement((db, { scope }: { scope: string }) =>
  db.selectFrom("chains").select(["head_n as n", "head_hash as hash"]).where("scope", "=", scope).forUpdate(),
);

const insertHead = statement((db, { scope, hash }: { scope: string; hash: string }) =>
  db
    .insertInto("chains")
    .values({ scope, head_n: 0, head_hash: hash })
    .onConflict((conflict) => conflict.column("scope").doNothing()),
);

const updateHead = statement((db, { scope, n, hash }: { scope: string; n: number; hash: string }) =>
  db.updateTable("chains").set({ head_n: n, head_hash: hash }).where("scope", "=", scope),
);

const insertEvent = statement((db, event: Omit<EventRow, "id">) => {
  const values = [...COLUMNS, "hash" as const].map((column) => [column, event[column]]);
  return db.insertInto("events").values(Object.fromEntries(values));
});

/** The chain's head; undefined when nothing has happened in `scope`. */
export async function findHead(db: Reader, scope: string): Promise<Head | undefined> {
  return (await selectHead(db, { scope }))[0];
}

/**
 * Takes the chain of `scope` for this transaction: other writers of it wait. The first step of every
 * write, so that each workstream has one writer at a time in both dialects.
 */
export async function takeHead(db: Reader, dialect: "sqlite" | "postgres", scope: string): Promise<Head> {
  const read = dialect === "sqlite" ? selectHead : lockHead;
  const [head] = await read(db, { scope });
  if (head !== undefined) return head;
  await insertHead(db, { scope, hash: GENESIS_HASH });
  const [fresh] = await read(db, { scope });
  return fresh ?? { n: 0, hash: GENESIS_HASH };
}

type NewEvent = Pick<EventRow, "scope" | "group_id" | "at" | "actor" | "op" | "subject"> & {
  payload: unknown;
  changes: readonly Change[];
};

/** Appends one event after `head` and gives the new head. Its texts are made storable first, then hashed. */
export async function appendEvent(db: Reader, head: Head, event: NewEvent): Promise<Head> {
  const row = {
    prev_hash: head.hash,
    scope: event.scope,
    n: head.n + 1,
    group_id: storableText(event.group_id),
    at: event.at,
    actor: storableText(event.actor),
    op: event.op,
    subject: storableText(event.subject),
    payload: storableJson(event.payload),
    changes: JSON.stringify(event.changes),
    hash: "",
  };
  row.hash = eventHash(row);
  await insertEvent(db, row);
  await updateHead(db, row);
  return row;
}

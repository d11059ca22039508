import { hash as digest } from "node:crypto";
import { Fault } from "../errors.js";
import { type Change, changeOf, sidesOf } from "./events.js";
import { findTable, type Row } from "./relations.js";
import type { Reader } from "./schema.js";
import { portions, statement } from "./statement.js";
import { storableText } from "./text.js";

/** Texts of more UTF-8 bytes than this are in the chain by their hash only. */
const LARGE = 8 * 1024;
/** The same for a program's output: its hash and its start say enough. */
const LARGE_OUTPUT = 128;
/** Characters of a large text that its event keeps, for logs. */
const START = 160;

/** What an event has in place of a large text: the row has the text, and once it has not, the table `texts`. */
export interface TextByHash {
  /** Of its UTF-8 bytes, hexadecimal. */
  sha256: string;
  bytes: number;
  /** Its first characters. */
  start: string;
}

/** Whether an event's value stands for a large text; rows hold text, numbers and null only. */
export const isByHash = (value: unknown): value is TextByHash => typeof value === "object" && value !== null;

/** Whether two values of a column are the same, each from an event or from a row. */
export function sameValue(one: unknown, other: unknown): boolean {
  if (isByHash(one)) return hashOf(other) === one.sha256;
  if (isByHash(other)) return hashOf(one) === other.sha256;
  return (one ?? null) === (other ?? null);
}

function hashOf(value: unknown): string | undefined {
  if (isByHash(value)) return value.sha256;
  return typeof value === "string" ? sha256(value) : undefined;
}

/** SHA-256 of a text's UTF-8 bytes. */
export const sha256 = (text: string) => digest("sha256", text);

/** A value as a person reads it: of a large text the start. */
export const readable = (value: unknown) => (isByHash(value) ? `${value.start}…` : value);

/**
 * The changes as their event keeps them. A large text that a row loses goes into `texts`, once whatever the number of
 * rows that had it, so that undo can put it back.
 */
export async function withTextsByHash(db: Reader, changes: readonly Change[], now: string): Promise<readonly Change[]> {
  if (!changes.some(hasLargeText)) return changes;
  const kept: Change[] = [];
  for (const change of changes) {
    const { table, id } = change;
    const { before, after } = sidesOf(change);
    for (const [column, text] of Object.entries(before ?? {})) await keep(db, table, column, text, now);
    kept.push(changeOf(table, id, { before: before && mapped(before, table), after: after && mapped(after, table) }));
  }
  return kept;
}

function hasLargeText(change: Change): boolean {
  const { before, after } = sidesOf(change);
  return [before, after].some((row) => {
    for (const column in row) if (isLarge(change.table, column, row[column])) return true;
    return false;
  });
}

function isLarge(table: string, column: string, value: unknown): value is string {
  if (typeof value !== "string" || value.length <= LARGE_OUTPUT / 3) return false;
  const limit = findTable(table)?.output?.includes(column) ? LARGE_OUTPUT : LARGE;
  return value.length > limit || (3 * value.length > limit && Buffer.byteLength(value) > limit);
}

function byHash(table: string, column: string, value: unknown): unknown {
  if (!isLarge(table, column, value)) return value;
  return { sha256: sha256(value), bytes: Buffer.byteLength(value), start: storableText(value.slice(0, START)) };
}

function mapped(row: Row, table: string): Row {
  return Object.fromEntries(Object.entries(row).map(([column, value]) => [column, byHash(table, column, value)]));
}

const insertText = statement((db, values: { hash: string; text: string; created_at: string }) =>
  db
    .insertInto("texts")
    .values({ hash: values.hash, text: values.text, created_at: values.created_at })
    .onConflict((conflict) => conflict.column("hash").doNothing()),
);

async function keep(db: Reader, table: string, column: string, value: unknown, now: string): Promise<void> {
  if (isLarge(table, column, value)) await insertText(db, { hash: sha256(value), text: value, created_at: now });
}

/**
 * A function that gives values of events with their whole texts. Faults `undo.text_not_kept` when one of `values` is by
 * hash and neither mu nor the database has its text.
 */
export async function wholeTexts(db: Reader, values: Iterable<unknown>): Promise<(value: unknown) => unknown> {
  const wanted = new Map([...values].filter(isByHash).map((value) => [value.sha256, value]));
  const texts = new Map<string, string>();
  for (const hashes of portions([...wanted.keys()])) {
    const rows = await db.selectFrom("texts").select(["hash", "text"]).where("hash", "in", hashes).execute();
    for (const { hash, text } of rows) if (sha256(text) === hash) texts.set(hash, text);
  }
  for (const [hash, { start }] of wanted) if (!texts.has(hash)) throw notKept(start);
  return (value) => (isByHash(value) ? texts.get(value.sha256) : value);
}

function notKept(start: string): Fault {
  return new Fault(
    "conflict",
    "undo.text_not_kept",
    `The database has no copy of a text that would come back: "${start.slice(0, 40)}…".`,
    [{ intent: "See what else is wrong", command: "mu audit verify --tables" }],
  );
}

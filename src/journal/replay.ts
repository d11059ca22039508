import { type Change, sidesOf, withoutNulls } from "../db/events.js";
import { JOURNALLED, type JournalledTable, type Row } from "../db/relations.js";
import type { Reader } from "../db/schema.js";
import { pages } from "../db/statement.js";
import { isByHash, sameValue, sha256, type TextByHash } from "../db/texts.js";
import { labelOf } from "./rows.js";

/** The rows of every journalled table by id, without the columns that are null. */
export type Tables = Record<JournalledTable, Map<number, Row>>;

/** A row that is not what the events say; of `texts`, a text that is not what its hash says or that is gone. */
export interface Difference {
  table: JournalledTable | "texts";
  id: number;
  /** What people call the row, where it has a name: `build`, or `build → deploy` for an edge. */
  name?: string;
  /** `missing` from the table, `extra` in it (no event made it), or `changed` outside mu. */
  problem: "missing" | "extra" | "changed";
  /** The columns that differ; empty for a row that is missing or extra. */
  columns: string[];
}

/** Folds the log, up to and with event `untilEventId`, into the rows that the tables had then. */
export async function foldEvents(db: Reader, options: { untilEventId?: number } = {}): Promise<Tables> {
  const tables = noRows();
  for await (const changes of changesIn(db, { until: options.untilEventId })) {
    for (const change of changes) applyChange(tables, change);
  }
  return tables;
}

export const noRows = () => Object.fromEntries(JOURNALLED.map((table) => [table, new Map()])) as unknown as Tables;

/** The changes of the events after one and up to another, in their order, a page of events at a time. */
export async function* changesIn(
  db: Reader,
  { after = 0, until }: { after?: number; until?: number | undefined },
): AsyncGenerator<Change[]> {
  let query = db.selectFrom("events").select(["id", "changes"]).where("id", ">", after);
  if (until !== undefined) query = query.where("id", "<=", until);
  for await (const page of pages(query, "id")) yield page.flatMap(({ changes }) => JSON.parse(changes) as Change[]);
}

/** Carries one change out on folded rows. Changes of unknown tables are skipped. */
export function applyChange(tables: Tables, change: Change): void {
  const rows = tables[change.table as JournalledTable] as Map<number, Row> | undefined;
  if (rows === undefined) return;
  const { before, after } = sidesOf(change);
  if (after === null) rows.delete(change.id);
  else rows.set(change.id, withoutNulls({ ...(before && rows.get(change.id)), ...after }));
}

/**
 * Compares the tables with the fold of the log, and names each row that differs, by table and id; large texts are
 * compared by their hash. Give it one unchanging picture of the database (`store.read`).
 */
export async function compareTables(db: Reader): Promise<Difference[]> {
  const tables = noRows();
  const left = new Map<string, TextByHash>();
  for await (const changes of changesIn(db, {})) {
    for (const change of changes) {
      applyChange(tables, change);
      for (const value of Object.values(sidesOf(change).before ?? {}))
        if (isByHash(value)) left.set(value.sha256, value);
    }
  }
  const differences: Difference[] = [];
  for (const table of JOURNALLED) differences.push(...(await compareTable(db, table, tables)));
  return [...differences, ...(await compareTexts(db, left))];
}

/** Compares the texts that rows have lost with the hashes in the log. */
async function compareTexts(db: Reader, left: Map<string, TextByHash>): Promise<Difference[]> {
  const found: Difference[] = [];
  await eachRow(db, "texts", (id, { hash, text }) => {
    const said = left.get(String(hash));
    left.delete(String(hash));
    if (said === undefined) found.push({ table: "texts", id, problem: "extra", columns: [] });
    else if (sha256(String(text)) !== hash) {
      found.push({ table: "texts", id, name: `${said.start.slice(0, 40)}…`, problem: "changed", columns: ["text"] });
    }
  });
  for (const { start } of left.values()) {
    found.push({ table: "texts", id: 0, name: `${start.slice(0, 40)}…`, problem: "missing", columns: [] });
  }
  return found;
}

/** Compares one table with rows that were folded. */
export async function compareTable(db: Reader, table: JournalledTable, tables: Tables): Promise<Difference[]> {
  const folded = tables[table];
  const seen = new Set<number>();
  const found: Difference[] = [];
  const note = (id: number, row: Row, problem: Difference["problem"], columns: string[] = []) => {
    const name = labelOf(table, row, (to, key) => tables[to as JournalledTable].get(key));
    found.push({ table, id, ...(name !== "" && { name }), problem, columns });
  };
  await eachRow(db, table, (id, row) => {
    const said = folded.get(id);
    seen.add(id);
    if (said === undefined) return note(id, row, "extra");
    const columns = differing(said, row);
    if (columns.length > 0) note(id, said, "changed", columns);
  });
  for (const [id, row] of folded) if (!seen.has(id)) note(id, row, "missing");
  return found.sort((a, b) => a.id - b.id);
}

async function eachRow(db: Reader, table: Difference["table"], visit: (id: number, row: Row) => void): Promise<void> {
  for await (const page of pages(db.selectFrom(table as "tasks").selectAll(), "id")) {
    for (const { id, ...row } of page) visit(id, row);
  }
}

function differing(said: Row, row: Row): string[] {
  const columns = Object.keys(row).filter((column) => !sameValue(row[column], said[column]));
  return [...columns, ...Object.keys(said).filter((column) => !(column in row))];
}

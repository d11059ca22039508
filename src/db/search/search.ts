import { type RawBuilder, sql } from "kysely";
import { Fault } from "../../errors.js";
import type { Reader } from "../schema.js";
import { pages } from "../statement.js";
import { type Store, withLockTimeout } from "../store.js";
import { entryId, INDEXED, type IndexedTable, readEntries, readNews, refreshIndex } from "./index-entries.js";
import { hasTerms, parseQuery, type Term, termText } from "./words.js";

/** How long a search waits for another process's write before it reads the rows themselves, in ms. */
const WAIT_MS = 300;

/**
 * The ids of the rows that have every word of `text`, for an IN: words match by their beginning, quoted ones exactly,
 * without case, and what stands together must follow each other. Where the index cannot be brought up to date (the
 * disk is full, the file read-only or locked) the rows themselves are read. Faults `search.no_words`, `db.*`.
 */
export async function findRows(store: Store, table: IndexedTable, text: string): Promise<RawBuilder<number>> {
  const terms = parseQuery(text);
  try {
    await refreshIndex(withLockTimeout(store, WAIT_MS));
  } catch (error) {
    if (!(error instanceof Fault) || error.kind !== "unavailable" || error.code === "request.interrupted") throw error;
    return idList(store.dialect, JSON.stringify(await scan(store.db, table, terms)));
  }
  const inOrder = terms
    .filter(({ words }) => words.length > 1)
    .map((term) => sql`' ' || e.words || ' ' like ${`%${termText(term)}%`}`);
  const found = FOUND[store.dialect](terms);
  const ids =
    inOrder.length === 0
      ? found
      : sql`select e.id from search_entries as e where e.id in (${found}) and ${sql.join(inOrder, sql` and `)}`;
  return table === "tasks" ? sql`(${ids})` : sql`(select -id from (${ids}) as found)`;
}

/** The ids of the entries that have all words, wherever they stand. */
const FOUND: Record<Store["dialect"], (terms: readonly Term[]) => RawBuilder<number>> = {
  sqlite: (terms) => {
    const query = eachWord(terms, (word, whole) => `"${word}"${whole ? "" : "*"}`).join(" ");
    return sql`select rowid as id from search_index where search_index match ${query}`;
  },
  postgres: (terms) => {
    const query = eachWord(terms, (word, whole) => `'${word}'${whole ? "" : ":*"}`).join(" & ");
    return sql`select id from search_entries where array_to_tsvector(string_to_array(words, ' ')) @@ ${query}::tsquery`;
  },
};

function eachWord(terms: readonly Term[], write: (word: string, whole: boolean) => string): string[] {
  return terms.flatMap(({ words, whole }) =>
    words.map((word, index) => write(word, whole || index < words.length - 1)),
  );
}

async function scan(db: Reader, table: IndexedTable, terms: readonly Term[]): Promise<number[]> {
  const found: number[] = [];
  for await (const page of pages(db.selectFrom(table).select("id"), "id")) {
    const entries = await readEntries(
      db,
      table,
      page.map(({ id }) => id),
    );
    for (const [id, entry] of entries) if (hasTerms(entry, terms)) found.push(id);
  }
  return found;
}

/** Row ids for an IN, however many they are: a JSON array. */
export function idList(dialect: Store["dialect"], ids: string): RawBuilder<number> {
  return dialect === "sqlite"
    ? sql<number>`(select value from json_each(${ids}))`
    : sql<number>`(select value::integer from json_array_elements_text(${ids}::json))`;
}

/** What is wrong with the index; `rebuildIndex` mends it. */
export interface IndexReport {
  entries: number;
  /** Rows whose entry is missing or not what their texts say, and entries without a row. */
  wrong: number;
}

/** Compares the index with the rows. What has changed since it was last brought up to date is not wrong. */
export function checkIndex(store: Store): Promise<IndexReport> {
  return store.read(async (db) => {
    const { stale } = await readNews(db);
    const left = new Set((await db.selectFrom("search_entries").select("id").execute()).map(({ id }) => id));
    const entries = left.size;
    let wrong = await unindexed(db, store, entries);
    for (const table of INDEXED) {
      for (const id of stale[table]) left.delete(entryId(table, id));
      for await (const page of pages(db.selectFrom(table).select("id"), "id")) {
        const ids = page.map(({ id }) => id).filter((id) => !stale[table].has(id));
        if (ids.length === 0) continue;
        const expected = await readEntries(db, table, ids);
        const keys = ids.map((id) => entryId(table, id));
        const stored = await db.selectFrom("search_entries").selectAll().where("id", "in", keys).execute();
        wrong += expected.size - stored.filter(({ id, words }) => expected.get(Math.abs(id)) === words).length;
        for (const key of keys) left.delete(key);
      }
    }
    return { entries, wrong: wrong + left.size };
  });
}

/** By how many SQLite's own index differs from the entries. */
async function unindexed(db: Reader, { dialect }: Store, entries: number): Promise<number> {
  if (dialect === "postgres") return 0;
  const { rows } = await sql<{ n: number }>`select count(*) as n from search_index`.execute(db);
  return Math.abs(entries - Number(rows[0]?.n));
}

import { sql } from "kysely";
import { groupBy } from "../../groups.js";
import { type Change, sidesOf } from "../events.js";
import type { Reader } from "../schema.js";
import { pages, portions, rowsByIds, statement } from "../statement.js";
import type { Store } from "../store.js";
import { entryOf } from "./words.js";

/** The tables whose rows can be found by their words. */
export const INDEXED = ["tasks", "archived_tasks"] as const;
export type IndexedTable = (typeof INDEXED)[number];

/** The id of a row's entry. */
export const entryId = (table: IndexedTable, id: number) => (table === "tasks" ? id : -id);

/** Rows whose entries may be out of date. */
type Stale = Record<IndexedTable, Set<number>>;

/** After so many entries the parts of SQLite's index are merged into one: a search reads each part. */
const LARGE = 10_000;

/** The heads of the chains that the index has not followed to their end. */
type Behind = readonly { scope: string; head: number; mark: number | null }[];

/**
 * Brings the index up to date with the log. It is not written with the rows, but follows their events when somebody
 * searches: writes cost nothing more, and nothing that goes through the log can be forgotten. Faults `db.*`.
 */
export async function refreshIndex(store: Store): Promise<void> {
  if ((await selectBehind(store.db, {})).length === 0) return;
  const { behind, stale } = await store.read(readNews);
  for (const table of INDEXED) {
    for (const ids of portions([...stale[table]])) {
      await writing(store, async (db) => {
        const entries = await readEntries(db, table, ids);
        const rows = [...entries].map(([id, words]) => ({ id: entryId(table, id), words }));
        const old = ids.map((id) => entryId(table, id));
        await db.deleteFrom("search_entries").where("id", "in", old).execute();
        if (rows.length > 0) await db.insertInto("search_entries").values(rows).execute();
      });
    }
  }
  const marks = behind.map(({ scope, head }) => ({ scope, n: head }));
  const isLarge = stale.tasks.size + stale.archived_tasks.size >= LARGE;
  await writing(store, async (db) => {
    if (store.dialect === "sqlite" && isLarge)
      await sql`insert into search_index (search_index) values ('optimize')`.execute(db);
    for (const mark of marks) {
      const setMark = db.insertInto("search_marks").values(mark);
      await setMark.onConflict((conflict) => conflict.column("scope").doUpdateSet({ n: mark.n })).execute();
    }
  });
}

/** Empties the index and fills it anew from the tables. Faults `db.*`. */
export async function rebuildIndex(store: Store): Promise<void> {
  await writing(store, async (db) => {
    await db.deleteFrom("search_marks").execute();
    if (store.dialect === "sqlite")
      await sql`insert into search_index (search_index) values ('delete-all')`.execute(db);
    await db.deleteFrom("search_entries").execute();
  });
  await refreshIndex(store);
}

/** A write in which no other process changes the index. */
function writing(store: Store, work: (db: Reader) => Promise<void>): Promise<void> {
  return store.write(async (db) => {
    if (store.dialect === "postgres") await sql`lock table search_entries in share row exclusive mode`.execute(db);
    await work(db);
  });
}

const selectBehind = statement((db) =>
  db
    .selectFrom("chains as c")
    .leftJoin("search_marks as m", "m.scope", "c.scope")
    .select(["c.scope", "c.head_n as head", "m.n as mark"])
    .where((where) => where("c.head_n", "<>", where.fn.coalesce("m.n", where.lit(0)))),
);

/** What has happened since the index was last brought up to date; everything is stale where it never was. */
export async function readNews(db: Reader): Promise<{ behind: Behind; stale: Stale }> {
  const behind = await selectBehind(db, {});
  const stale: Stale = { tasks: new Set(), archived_tasks: new Set() };
  if (behind.length === 0) return { behind, stale };
  if ((await db.selectFrom("search_marks").select("n").limit(1).executeTakeFirst()) === undefined) {
    for (const table of INDEXED) {
      for (const { id } of await db.selectFrom(table).select("id").execute()) stale[table].add(id);
    }
    return { behind, stale };
  }
  const notes = new Set<number>();
  for (const { scope, mark } of behind) {
    const events = db.selectFrom("events").select(["n", "changes"]).where("scope", "=", scope);
    for await (const page of pages(events.where("n", ">", mark ?? 0), "n")) {
      for (const { changes } of page) for (const change of JSON.parse(changes)) noteStale(stale, notes, change);
    }
  }
  const noted = await rowsByIds([...notes], (ids) =>
    db.selectFrom("task_notes").select("task_id").where("id", "in", ids).execute(),
  );
  for (const { task_id } of noted) stale.tasks.add(task_id);
  return { behind, stale };
}

/** The columns that an entry is made of, by table. */
const TEXTS: Readonly<Record<string, readonly string[]>> = {
  tasks: ["name", "title", "description"],
  task_notes: ["task_id", "text", "rationale"],
  archived_tasks: ["document"],
};

function noteStale(stale: Stale, notes: Set<number>, change: Change): void {
  const { table, id } = change;
  const { before, after } = sidesOf(change);
  if (!TEXTS[table]?.some((column) => column in { ...before, ...after })) return;
  if (table !== "task_notes") {
    stale[table as IndexedTable].add(id);
    return;
  }
  notes.add(id);
  for (const side of [before, after]) if (side && "task_id" in side) stale.tasks.add(Number(side["task_id"]));
}

/** The entries that rows should have, by row id. */
export async function readEntries(
  db: Reader,
  table: IndexedTable,
  ids: readonly number[],
): Promise<Map<number, string>> {
  if (table === "archived_tasks") {
    const rows = await db.selectFrom(table).select(["id", "document"]).where("id", "in", ids).execute();
    return new Map(rows.map(({ id, document }) => [id, entryOf(textsOf(JSON.parse(document)))]));
  }
  const rows = db.selectFrom(table).select(["id", "name", "title", "description"]).where("id", "in", ids);
  const notes = db.selectFrom("task_notes").select(["task_id", "text", "rationale"]).where("task_id", "in", ids);
  const notesOf = groupBy(await notes.orderBy("id").execute(), (note) => note.task_id);
  return new Map(
    (await rows.execute()).map(({ id, ...row }) => [id, entryOf(textsOf({ ...row, notes: notesOf.get(id) ?? [] }))]),
  );
}

/** A task by the texts that it is found by. */
export interface Texts {
  name: string;
  title: string;
  description: string | null;
  notes: readonly { text: string; rationale: string | null }[];
}

export const textsOf = ({ name, title, description, notes }: Texts): (string | null)[] => [
  ...[name, title, description],
  ...notes.flatMap(({ text, rationale }) => [text, rationale]),
];

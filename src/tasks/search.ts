import { findRows, idList } from "../db/search/search.js";
import { statement } from "../db/statement.js";
import type { Store } from "../db/store.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { selectTasks, type Task, toTask } from "./task.js";

export interface SearchOptions {
  /** Only tasks of this workstream. */
  workstream?: string | undefined;
  /** At most this many; 0 means all. */
  limit: number;
}

/**
 * The tasks with every word of `text` in name, title, description or notes, the last changed first, and how many there
 * are; see `findRows`. Faults `search.no_words`, `workstream.not_found`.
 */
export async function searchTasks(
  store: Store,
  text: string,
  { workstream, limit }: SearchOptions,
): Promise<{ items: Task[]; total: number }> {
  const found = await findRows(store, "tasks", text);
  return store.read(async (db) => {
    let hits = db.selectFrom("tasks as t").select("t.id").where("t.id", "in", found);
    if (workstream !== undefined) hits = hits.where("t.workstream_id", "=", (await workstreamRow(db, workstream)).id);
    const ids = (await hits.orderBy("t.updated_at", "desc").orderBy("t.name").execute()).map(({ id }) => id);
    const shown = JSON.stringify(limit > 0 ? ids.slice(0, limit) : ids);
    const rows = await SELECT_SHOWN[store.dialect](db, { shown });
    return { items: rows.map(toTask), total: ids.length };
  });
}

const selectShown = (dialect: Store["dialect"]) =>
  statement((db, { shown }: { shown: string }) =>
    selectTasks(db).where("t.id", "in", idList(dialect, shown)).orderBy("t.updated_at", "desc").orderBy("t.name"),
  );

const SELECT_SHOWN = { sqlite: selectShown("sqlite"), postgres: selectShown("postgres") };

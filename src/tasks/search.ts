import { findRows, idList } from "../db/search/search.js";
import type { Store } from "../db/store.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { listTasks, type Task } from "./task.js";

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
    const shown = limit > 0 ? ids.slice(0, limit) : ids;
    const items = await listTasks(db, { ids: idList(store, shown), sort: "recency" });
    return { items, total: ids.length };
  });
}

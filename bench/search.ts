import { join } from "node:path";
import Database from "better-sqlite3";
import { systemClock } from "../src/clock.js";
import { refreshIndex } from "../src/db/search/index-entries.js";
import { openSqlite } from "../src/db/sqlite/sqlite.js";
import { searchTasks } from "../src/tasks/search.js";
import { initWorkstream } from "../src/workstreams/workstream.js";
import { seedGraph } from "./graph.js";
import { costOf, count, type Figure, inFolder, inTurns, ms, timesFloor } from "./measure.js";

const TASKS = 100_000;

/** The first 50 and the total, from a table of FTS5 whose rows are the tasks. */
const BY_HAND = `
  select t.*, w.name as workstream from tasks t join workstreams w on w.id = t.workstream_id
  where t.id in (select rowid from by_hand where by_hand match ?)
  order by t.updated_at desc, t.name limit 50`;
const COUNT_BY_HAND = "select count(*) as total from by_hand where by_hand match ?";

/** Words, the same question for FTS5, and what it is. */
const QUERIES = [
  ["task_4711", '"task" "4711"*', "one task"],
  ["task_99", '"task" "99"*', "1,111 tasks by the beginning of a word"],
  ["seven", '"seven"*', "10,000 tasks"],
] as const;

/** A search in process beside one hand-written query, and the first one, which fills the index. */
export async function search(): Promise<Figure[]> {
  return inFolder(async (folder) => {
    const path = join(folder, "mu.db");
    await seedGraph(path, { tasks: TASKS, edges: 0, workstream: "w" });
    const raw = new Database(path);
    describeTasks(raw);
    const store = await openSqlite(path, { missing: "empty" });
    await initWorkstream({ store, clock: systemClock, actor: "ann" }, "v");
    try {
      const filled = await costOf(() => refreshIndex(store));
      raw.exec(`create virtual table by_hand using fts5(words, content = '', tokenize = 'ascii', detail = none);
        insert into by_hand (rowid, words) select id, words from search_entries`);
      const [rows, total] = [raw.prepare(BY_HAND), raw.prepare(COUNT_BY_HAND)];
      const figures: Figure[] = [];
      for (const [text, match, what] of QUERIES) {
        const found = await searchTasks(store, text, { limit: 50 });
        const byHand = rows.all(match) as { name: string }[];
        if (byHand.map(({ name }) => name).join() !== found.items.map(({ name }) => name).join()) {
          throw new Error(`the two do not agree on ${text}`);
        }
        const costs = await inTurns(found.total > 1000 ? 25 : 101, {
          floor: () => costOf(() => [rows.all(match), total.get(match)]),
          search: () => costOf(() => searchTasks(store, text, { limit: 50 })),
        });
        figures.push(timesFloor(`search in process, ${count(TASKS)} tasks: ${what}`, costs.floor, costs.search, 1.5));
      }
      const first = { what: "the first search, which fills the index", floor: "–", bar: "–", met: undefined };
      return [...figures, { ...first, figure: ms(filled.cpuMs) }];
    } finally {
      raw.close();
      await store.close();
    }
  });
}

function describeTasks(raw: Database.Database): void {
  const digits = "zero one two three four five six seven eight nine".split(" ");
  const describe = raw.prepare("update tasks set title = ?, description = ? where id = ?");
  const ids = raw.prepare("select id from tasks order by id").pluck().all() as number[];
  raw
    .transaction(() => {
      for (const [n, id] of ids.entries()) {
        const description = `What is to be done about ${digits[n % 10]}, in a sentence or two for whoever takes it.`;
        describe.run(`Task number ${n} of the plan`, description, id);
      }
    })
    .immediate();
}

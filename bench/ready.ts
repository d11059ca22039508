import { join } from "node:path";
import Database from "better-sqlite3";
import { openSqlite } from "../src/db/sqlite/sqlite.js";
import { listReady } from "../src/tasks/ready.js";
import { seedGraph } from "./graph.js";
import { costOf, count, type Figure, inFolder, inTurns, timesFloor } from "./measure.js";

/** The same question as one query, in the order that mu promises. */
const BY_HAND = `
  select t.*, (select count(*) from task_edges e join tasks d on d.id = e.blocked_id
               where e.blocker_id = t.id and d.status in ('OPEN', 'IN_PROGRESS')) as unblocks
  from tasks t
  where t.workstream_id = 1 and t.status = 'OPEN' and t.hold is null
    and (t.not_before is null or t.not_before <= ?) and t.kind not in ('container', 'job', 'intake')
    and not exists (select 1 from task_edges e join tasks b on b.id = e.blocker_id
                    where e.blocked_id = t.id and (b.status <> 'CLOSED' or e.until <> 'closed'))
  order by t.priority, t.impact / t.effort_days desc, unblocks desc, t.created_at, t.name
  limit 10`;

/** The first ten ready tasks in process beside one hand-written query. */
export async function ready(): Promise<Figure[]> {
  return [await measured(10_000, 20_000), await measured(100_000, 300_000)];
}

async function measured(tasks: number, edges: number): Promise<Figure> {
  return inFolder(async (folder) => {
    const path = join(folder, "mu.db");
    await seedGraph(path, { tasks, edges, workstream: "w", closedPercent: 30 });
    const store = await openSqlite(path, { missing: "empty" });
    const raw = new Database(path, { readonly: true });
    const query = raw.prepare(BY_HAND);
    const now = new Date().toISOString();
    try {
      const byHand = query.all(now) as { name: string }[];
      const byMu = await listReady(store.db, "w", { limit: 10, now });
      if (byHand.map((row) => row.name).join() !== byMu.map((task) => task.name).join()) {
        throw new Error("the two do not agree on what is ready");
      }
      const costs = await inTurns(Math.max(15, 1_000_000 / tasks), {
        floor: () => costOf(() => query.all(now)),
        ready: () => costOf(() => listReady(store.db, "w", { limit: 10, now })),
      });
      const what = `first 10 ready in process, ${count(tasks)} tasks, ${count(edges)} edges`;
      return timesFloor(what, costs.floor, costs.ready, 2);
    } finally {
      raw.close();
      await store.close();
    }
  });
}

import { join } from "node:path";
import Database from "better-sqlite3";
import { systemClock } from "../src/clock.js";
import { openSqlite } from "../src/db/sqlite/sqlite.js";
import { applyPlan } from "../src/tasks/plan.js";
import { type Plan, parsePlan } from "../src/tasks/planned-tasks.js";
import { initWorkstream } from "../src/workstreams/workstream.js";
import { randomNumbers } from "./graph.js";
import { costOf, count, type Figure, inFolder, inTurns, timesFloor } from "./measure.js";

const TASKS = 50_000;

/** A plan of 50,000 tasks in JSON, from its text to the commit, beside its inserts by hand. */
export async function apply(): Promise<Figure[]> {
  const text = JSON.stringify(plan());
  return inFolder(async (folder) => {
    let round = 0;
    const costs = await inTurns(5, {
      floor: async () => {
        const path = join(folder, `raw${round}.db`);
        await (await openSqlite(path, { missing: "create" })).close();
        const db = new Database(path);
        const cost = await costOf(() => insertByHand(db, text));
        db.close();
        return cost;
      },
      apply: async () => {
        const store = await openSqlite(join(folder, `mu${round++}.db`), { missing: "create" });
        const context = { store, clock: systemClock, actor: "ann" };
        await initWorkstream(context, "w");
        const cost = await costOf(async () => applyPlan(context, "w", (await parsePlan(text)).plan as Plan));
        await store.close();
        return cost;
      },
    });
    const what = `\`task apply\` of ${count(TASKS)} tasks as JSON, two blockers each`;
    return [timesFloor(what, costs.floor, costs.apply, 4)];
  });
}

function plan() {
  const random = randomNumbers(1);
  const tasks = Array.from({ length: TASKS }, (_, n) => ({
    name: `task_${n}`,
    title: `Task number ${n} of the plan`,
    description: `What is to be done about number ${n}, in a sentence or two.`,
    impact: 1 + Math.floor(random() * 100),
    effortDays: (1 + Math.floor(random() * 20)) / 4,
    blockedBy: [...new Set([1, 2].map(() => Math.floor(random() * n)))].filter((b) => b < n).map((b) => `task_${b}`),
  }));
  return { tasks };
}

/** The tasks and their edges, read from the same text, in one transaction; no checks and no events. */
function insertByHand(db: Database.Database, text: string): void {
  const { tasks } = JSON.parse(text) as ReturnType<typeof plan>;
  const now = new Date().toISOString();
  const task = db.prepare(
    `insert into tasks (workstream_id, name, title, description, impact, effort_days, created_at, updated_at)
     values (1, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const edge = db.prepare(
    "insert into task_edges (blocker_id, blocked_id, until, created_at) values (?, ?, 'closed', ?)",
  );
  db.transaction(() => {
    db.prepare("insert into workstreams (name, created_at) values ('w', ?)").run(now);
    const ids = new Map<string, number | bigint>();
    for (const { name, title, description, impact, effortDays } of tasks) {
      ids.set(name, task.run(name, title, description, impact, effortDays, now, now).lastInsertRowid);
    }
    for (const { name, blockedBy } of tasks) for (const b of blockedBy) edge.run(ids.get(b), ids.get(name), now);
  }).immediate();
}

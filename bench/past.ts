import { join } from "node:path";
import Database from "better-sqlite3";
import { systemClock } from "../src/clock.js";
import { eventHash } from "../src/db/events.js";
import { openSqlite } from "../src/db/sqlite/sqlite.js";
import { previewUndo, undoGroup } from "../src/journal/undo/undo.js";
import { applyPlan } from "../src/tasks/plan.js";
import { initWorkstream } from "../src/workstreams/workstream.js";
import { randomNumbers } from "./graph.js";
import { type Cost, costOf, costOfNode, count, type Figure, inFolder, inTurns, MU, timesFloor } from "./measure.js";

const TASKS = 10_000;
const EVENTS = 1_000_000;
/** An event as far from a keyframe as it gets. */
const FARTHEST = 979_999;
const LARGE = 20_000;

/** `mu state --at` in a log of a million events beside `mu state`, and the undo of a large write beside that write. */
export async function past(): Promise<Figure[]> {
  return inFolder(async (folder) => {
    const path = join(folder, "mu.db");
    await applyTo(path, TASKS);
    lengthen(path);
    const env = { MU_DB_PATH: path, MU_STATE_DIR: join(folder, "state"), XDG_CACHE_HOME: join(folder, "cache") };
    const state = (...more: string[]) => costOfNode([MU, "state", "--json", "-w", "w", ...more], env);
    const first = state("--at", String(FARTHEST));
    const costs = await inTurns(5, { now: () => state(), past: () => state("--at", String(FARTHEST)) });
    const what = `\`mu state --at\`, ${count(TASKS)} tasks, ${count(EVENTS)} events, 19,999 after a keyframe`;
    return [
      timesFloor(what, costs.now, costs.past, 4),
      {
        what: "the first look, which makes 48 keyframes",
        floor: "–",
        figure: `${count(first.cpuMs)} ms`,
        bar: "–",
        met: undefined,
      },
      ...(await undo(folder)),
    ];
  });
}

async function undo(folder: string): Promise<Figure[]> {
  let round = 0;
  const fresh = () => join(folder, `undo${round}.db`);
  const onFresh = async (work: (context: ReturnType<typeof contextOf>) => Promise<unknown>): Promise<Cost> => {
    const store = await openSqlite(fresh(), { missing: "create" });
    const cost = await costOf(() => work(contextOf(store)));
    await store.close();
    return cost;
  };
  const costs = await inTurns(3, {
    apply: () => {
      round++;
      return costOf(() => applyTo(fresh(), LARGE));
    },
    preview: () => onFresh(({ store }) => previewUndo(store.db, GROUP)),
    undo: () => onFresh((context) => undoGroup(context, GROUP)),
  });
  const of = `of a \`task apply\` of ${count(LARGE)} tasks`;
  return [
    timesFloor(`preview of the undo ${of}`, costs.apply, costs.preview, 3),
    timesFloor(`undo ${of}`, costs.apply, costs.undo, 3),
  ];
}

const GROUP = "aaaaaaaaaa";
const contextOf = (store: Awaited<ReturnType<typeof openSqlite>>) => ({ store, clock: systemClock, actor: "ann" });

async function applyTo(path: string, tasks: number): Promise<void> {
  const store = await openSqlite(path, { missing: "create" });
  await initWorkstream(contextOf(store), "w");
  const random = randomNumbers(1);
  const blockers = (n: number) => [...new Set([1, 2].map(() => Math.floor(random() * n)))].filter((b) => b < n);
  const planned = Array.from({ length: tasks }, (_, n) => ({
    name: `task_${n}`,
    title: `Task number ${n} of the plan`,
    blockedBy: blockers(n).map((b) => `task_${b}`),
  }));
  await applyPlan({ ...contextOf(store), group: GROUP }, "w", { tasks: planned });
  await store.close();
}

/** Adds events that change the impact of random tasks, until the log has a million. */
function lengthen(path: string): void {
  const db = new Database(path);
  db.pragma("synchronous = OFF");
  const random = randomNumbers(2);
  const insert = db.prepare(
    `insert into events (scope, n, group_id, at, actor, op, subject, payload, changes, prev_hash, hash)
     values (@scope, @n, @group_id, @at, @actor, @op, @subject, @payload, @changes, @prev_hash, @hash)`,
  );
  const rows = db.prepare("select id, name, impact from tasks order by id").all() as {
    id: number;
    name: string;
    impact: number;
  }[];
  const update = db.prepare("update tasks set impact = ? where id = ?");
  db.transaction(() => {
    const head = db.prepare("select head_n, head_hash from chains where scope = 'w'").get() as {
      head_n: number;
      head_hash: string;
    };
    let { head_n: n, head_hash: hash } = head;
    const at = new Date().toISOString();
    while (n < EVENTS) {
      const row = rows[Math.floor(random() * rows.length)] as (typeof rows)[number];
      const impact = 1 + Math.floor(random() * 100);
      const changes = JSON.stringify([{ table: "tasks", id: row.id, patch: { impact: [row.impact, impact] } }]);
      row.impact = impact;
      const event = {
        scope: "w",
        n: ++n,
        group_id: n.toString(16).padStart(10, "0"),
        at,
        actor: "ann",
        op: "task.update",
      };
      const whole = { ...event, subject: `w/${row.name}`, payload: "{}", changes, prev_hash: hash };
      hash = eventHash(whole);
      insert.run({ ...whole, hash });
    }
    for (const { id, impact } of rows) update.run(impact, id);
    db.prepare("update chains set head_n = ?, head_hash = ? where scope = 'w'").run(n, hash);
  }).immediate();
  db.pragma("wal_checkpoint(TRUNCATE)");
  db.close();
}

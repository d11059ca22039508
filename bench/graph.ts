import Database from "better-sqlite3";
import { openSqlite } from "../src/db/sqlite/sqlite.js";

export interface GraphOptions {
  tasks: number;
  edges: number;
  workstream: string;
  /** Of 100 tasks, this many are CLOSED: the oldest, as in a plan that is being worked off. Default 0. */
  closedPercent?: number;
  /** Seed of the random graph; the same seed gives the same graph. Default 1. */
  seed?: number;
}

/** A task is blocked by tasks at most this many places before it. */
const BACK_WINDOW = 200;
const DAY_MS = 86_400_000;
const FIRST_DAY = Date.UTC(2026, 0, 1);

/**
 * Makes the database at `path` (a missing one) with a random acyclic graph of `task_0` … in one workstream, by
 * hand and fast. It writes no events: `mu audit verify --tables` finds these rows unaccounted for, so do not
 * use it where the chain is tested. There may be fewer edges than asked for when the graph has no room for more.
 */
export async function seedGraph(path: string, options: GraphOptions): Promise<{ tasks: number; edges: number }> {
  await (await openSqlite(path, { missing: "create" })).close();
  const db = new Database(path);
  db.pragma("synchronous = OFF");
  const seed = db.transaction(() => {
    const at = new Date(FIRST_DAY).toISOString();
    const made = db
      .prepare("insert into workstreams (name, settings, created_at) values (?, '{}', ?)")
      .run(options.workstream, at);
    const firstId = insertTasks(db, Number(made.lastInsertRowid), options);
    return { tasks: options.tasks, edges: insertEdges(db, firstId, options, at) };
  });
  const counts = seed.immediate();
  db.pragma("wal_checkpoint(TRUNCATE)");
  db.close();
  return counts;
}

function insertTasks(db: Database.Database, workstream: number, options: GraphOptions): number {
  const insert = db.prepare(
    `insert into tasks (workstream_id, name, title, status, impact, effort_days, priority, created_at, updated_at, closed_at)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const random = randomNumbers(options.seed ?? 1);
  const closed = Math.floor((options.tasks * (options.closedPercent ?? 0)) / 100);
  let firstId = 0;
  for (let n = 0; n < options.tasks; n++) {
    const at = new Date(FIRST_DAY + (n % 300) * DAY_MS + n).toISOString();
    const { lastInsertRowid } = insert.run(
      workstream,
      `task_${n}`,
      `Task number ${n} of the graph`,
      n < closed ? "CLOSED" : "OPEN",
      1 + Math.floor(random() * 100),
      (1 + Math.floor(random() * 20)) / 4,
      1 + Math.floor(random() * 9),
      at,
      at,
      n < closed ? at : null,
    );
    if (n === 0) firstId = Number(lastInsertRowid);
  }
  return firstId;
}

function insertEdges(db: Database.Database, firstId: number, options: GraphOptions, at: string): number {
  const insert = db.prepare(
    "insert or ignore into task_edges (blocker_id, blocked_id, until, created_at) values (?, ?, 'closed', ?)",
  );
  const random = randomNumbers((options.seed ?? 1) + 1);
  let made = 0;
  for (let tries = 0; made < options.edges && tries < options.edges * 20 && options.tasks > 1; tries++) {
    const blocked = 1 + Math.floor(random() * (options.tasks - 1));
    const back = 1 + Math.floor(random() * Math.min(BACK_WINDOW, blocked));
    made += insert.run(firstId + blocked - back, firstId + blocked, at).changes;
  }
  return made;
}

/** Mulberry32: small, even enough, and the same on every machine. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

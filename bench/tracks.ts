import { join } from "node:path";
import Database from "better-sqlite3";
import { openSqlite } from "../src/db/sqlite/sqlite.js";
import { listTracks } from "../src/tracks.js";
import { seedGraph } from "./graph.js";
import { type Cost, costOf, count, type Figure, inFolder, inTurns, timesFloor } from "./measure.js";

const SIZES = [1_000, 10_000, 100_000];

/** Tracks in process beside reading the same ids and edges and joining them; and how they grow. */
export async function tracks(): Promise<Figure[]> {
  const costs: { floor: Cost; tracks: Cost }[] = [];
  for (const tasks of SIZES) costs.push(await measured(tasks));
  const largest = costs.at(-1) as (typeof costs)[number];
  const each = costs.map((cost, index) => (cost.tracks.cpuMs * 1000) / (SIZES[index] ?? 1));
  const growth = (each.at(-1) ?? 0) / (each[1] ?? 1);
  return [
    timesFloor("tracks in process, 100,000 tasks, 300,000 edges", largest.floor, largest.tracks, 2.5),
    {
      what: "growth of the same, per task",
      floor: costs.map(({ floor }, index) => perTask(floor, SIZES[index] ?? 1)).join(", "),
      figure: costs.map(({ tracks }, index) => perTask(tracks, SIZES[index] ?? 1)).join(", "),
      bar: "linear: ≤ 2 × from 10,000 on",
      met: growth <= 2,
    },
  ];
}

const perTask = ({ cpuMs }: Cost, tasks: number) => `${((cpuMs * 1000) / tasks).toFixed(1)} µs at ${count(tasks)}`;

async function measured(tasks: number): Promise<{ floor: Cost; tracks: Cost }> {
  return inFolder(async (folder) => {
    const path = join(folder, "mu.db");
    await seedGraph(path, { tasks, edges: tasks * 3, workstream: "w" });
    const store = await openSqlite(path, { missing: "empty" });
    const raw = new Database(path, { readonly: true });
    const now = new Date().toISOString();
    try {
      return await inTurns(Math.max(7, 200_000 / tasks), {
        floor: () => costOf(() => joinedByHand(raw)),
        tracks: () => costOf(() => store.read((db) => listTracks(db, "w", now))),
      });
    } finally {
      raw.close();
      await store.close();
    }
  });
}

/** What any program must do: read ids and edges, then union-find over typed arrays. Gives the number of sets. */
function joinedByHand(raw: Database.Database): number {
  const tasks = raw.prepare("select id from tasks where status in ('OPEN', 'IN_PROGRESS')").raw().all() as number[][];
  const edges = raw.prepare("select blocker_id, blocked_id from task_edges").raw().all() as [number, number][];
  const positions = new Map(tasks.map(([id], position) => [id, position]));
  const parent = Int32Array.from(tasks, (_, position) => position);
  const find = (position: number): number => {
    let root = position;
    while (parent[root] !== root) {
      parent[root] = parent[parent[root] ?? 0] ?? 0;
      root = parent[root] ?? 0;
    }
    return root;
  };
  let sets = tasks.length;
  for (const [blocker, blocked] of edges) {
    const one = find(positions.get(blocker) ?? 0);
    const other = find(positions.get(blocked) ?? 0);
    if (one === other) continue;
    parent[one] = other;
    sets--;
  }
  return sets;
}

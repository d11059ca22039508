import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import Database from "better-sqlite3";
import { systemClock } from "../src/clock.js";
import { openSqlite } from "../src/db/sqlite/sqlite.js";
import { claimTask } from "../src/tasks/claim.js";
import { seedGraph } from "./graph.js";
import { type Cost, costOf, count, type Figure, inFolder, inTurns } from "./measure.js";

type Synchronous = "NORMAL" | "FULL";
const ROUNDS = 5;
const PORTION: Readonly<Record<Synchronous, number>> = { NORMAL: 4_000, FULL: 1_000 };

/** Claims in process, each a transaction with its event, beside the same by hand. */
export async function claims(): Promise<Figure[]> {
  return [...(await measured("NORMAL")), ...(await measured("FULL"))];
}

async function measured(synchronous: Synchronous): Promise<Figure[]> {
  const portion = PORTION[synchronous];
  return inFolder(async (folder) => {
    const [mine, raw] = [join(folder, "mu.db"), join(folder, "raw.db")];
    for (const path of [mine, raw]) await seedGraph(path, { tasks: portion * ROUNDS, edges: 0, workstream: "w" });
    const store = await openSqlite(mine, { missing: "empty", synchronous });
    const context = { store, clock: systemClock, actor: "ann" };
    const db = new Database(raw);
    db.pragma(`synchronous = ${synchronous}`);
    const byHand = claimByHand(db);
    let [next, nextByHand] = [0, 0];
    try {
      const costs = await inTurns(ROUNDS, {
        floor: () =>
          costOf(() => {
            for (let n = 0; n < portion; n++) byHand(`task_${nextByHand++}`);
          }),
        claims: () =>
          costOf(async () => {
            for (let n = 0; n < portion; n++) {
              await claimTask(context, { workstream: "w", name: `task_${next++}` }, { person: "ann" });
            }
          }),
      });
      return figuresOf(synchronous, costs);
    } finally {
      db.close();
      await store.close();
    }
  });
}

/** By the processor's time where that is all there is to it; FULL waits for the disk, so there by the clock. */
function figuresOf(synchronous: Synchronous, costs: { floor: Cost; claims: Cost }): Figure[] {
  const rate = (cost: Cost, by: "cpuMs" | "wallMs") => (PORTION[synchronous] * 1000) / cost[by];
  const by = synchronous === "FULL" ? "wallMs" : "cpuMs";
  const share = rate(costs.claims, by) / rate(costs.floor, by);
  const text = (cost: Cost) =>
    `${count(rate(cost, by))}/s${by === "cpuMs" ? ` (wall ${count(rate(cost, "wallMs"))}/s)` : " (wall)"}`;
  const what = `claims in process, chain and images on, ${synchronous}`;
  return [
    {
      what,
      floor: text(costs.floor),
      figure: `${text(costs.claims)}: ${share.toFixed(2)} × floor`,
      bar: "≥ 0.3 × floor",
      met: share >= 0.3,
    },
  ];
}

/** The row before, the update, the chain's head, the event, the head again: prepared once, one transaction each. */
function claimByHand(db: Database.Database): (name: string) => void {
  const at = new Date().toISOString();
  db.prepare(
    "insert into agents (workstream_id, name, cli, spawned_at, created_at) values (1, 'ann', 'human', ?, ?)",
  ).run(at, at);
  db.prepare("insert into chains (scope, head_n, head_hash) values ('w', 0, ?)").run("0".repeat(64));
  const before = db.prepare("select * from tasks where workstream_id = 1 and name = ?");
  const update = db.prepare(
    "update tasks set status = ?, owner_id = ?, claim_generation = ?, updated_at = ? where id = ?",
  );
  const head = db.prepare("select head_n, head_hash from chains where scope = ?");
  const event = db.prepare(
    `insert into events (scope, n, group_id, at, actor, op, subject, payload, changes, prev_hash, hash)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const moveHead = db.prepare("update chains set head_n = ?, head_hash = ? where scope = ?");
  return db.transaction((name: string) => {
    const now = new Date().toISOString();
    const row = before.get(name) as { id: number; claim_generation: number; updated_at: string };
    update.run("IN_PROGRESS", 1, row.claim_generation + 1, now, row.id);
    const { head_n, head_hash } = head.get("w") as { head_n: number; head_hash: string };
    const patch = {
      status: ["OPEN", "IN_PROGRESS"],
      owner_id: [null, 1],
      claim_generation: [row.claim_generation, row.claim_generation + 1],
      updated_at: [row.updated_at, now],
    };
    const body = [
      "w",
      head_n + 1,
      randomBytes(5).toString("hex"),
      now,
      "ann",
      "task.claim",
      `w/${name}`,
      JSON.stringify({ owner: "ann" }),
      JSON.stringify([{ table: "tasks", id: row.id, patch }]),
    ];
    const hash = createHash("sha256")
      .update(JSON.stringify([head_hash, ...body]))
      .digest("hex");
    event.run(...body, head_hash, hash);
    moveHead.run(head_n + 1, hash, "w");
  }).immediate;
}

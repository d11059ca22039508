import { createHash } from "node:crypto";
import { join } from "node:path";
import Database from "better-sqlite3";
import { eventHash, GENESIS_HASH } from "../src/db/events.js";
import { openSqlite } from "../src/db/sqlite/sqlite.js";
import { verifyChains } from "../src/journal/audit.js";
import { costOf, count, type Figure, inFolder, inTurns, MU, peakMemory, timesFloor } from "./measure.js";

const FEW = 100_000;
const MANY = 1_000_000;

/** `mu audit verify` of a million events beside reading them with one hash each; and its memory. */
export async function audit(): Promise<Figure[]> {
  return inFolder(async (folder) => {
    const [few, many] = [join(folder, "few.db"), join(folder, "many.db")];
    await chainOf(few, FEW);
    await chainOf(many, MANY);
    const raw = new Database(many, { readonly: true });
    const store = await openSqlite(many, { missing: "empty" });
    const costs = await inTurns(3, {
      floor: () => costOf(() => readAndHash(raw)),
      verify: () =>
        costOf(async () => {
          const [report] = await store.read((db) => verifyChains(db));
          if (report?.ok !== true || report.n !== MANY) throw new Error("the chain does not verify");
        }),
    });
    raw.close();
    await store.close();
    const [fewMb, manyMb] = [few, many].map((path) => peakOf(path, folder)) as [number, number];
    return [
      timesFloor(`\`mu audit verify\` of ${count(MANY)} events`, costs.floor, costs.verify, 1.5),
      {
        what: "memory of the same",
        floor: `${Math.round(fewMb)} MB for ${count(FEW)}`,
        figure: `${Math.round(manyMb)} MB`,
        bar: "flat: ≤ floor + 20 MB",
        met: manyMb - fewMb <= 20,
      },
    ];
  });
}

const peakOf = (path: string, folder: string) =>
  peakMemory([MU, "audit", "verify", "--json"], { MU_DB_PATH: path, XDG_CACHE_HOME: join(folder, "cache") });

async function chainOf(path: string, events: number): Promise<void> {
  await (await openSqlite(path, { missing: "create" })).close();
  const db = new Database(path);
  db.pragma("synchronous = OFF");
  const insert = db.prepare(
    `insert into events (scope, n, group_id, at, actor, op, subject, payload, changes, prev_hash, hash)
     values (@scope, @n, @group_id, @at, @actor, @op, @subject, @payload, @changes, @prev_hash, @hash)`,
  );
  const at = new Date().toISOString();
  const patch = {
    status: ["OPEN", "IN_PROGRESS"],
    owner_id: [null, 1],
    claim_generation: [0, 1],
    updated_at: [at, at],
  };
  db.transaction(() => {
    let head = GENESIS_HASH;
    for (let n = 1; n <= events; n++) {
      const changes = JSON.stringify([{ table: "tasks", id: n, patch }]);
      const event = { scope: "w", n, group_id: n.toString(16).padStart(10, "0"), at, actor: "ann", op: "task.claim" };
      const row = { ...event, subject: `w/task_${n}`, payload: '{"owner":"ann"}', changes, prev_hash: head };
      head = eventHash(row);
      insert.run({ ...row, hash: head });
    }
    db.prepare("insert into chains (scope, head_n, head_hash) values ('w', ?, ?)").run(events, head);
  }).immediate();
  db.pragma("wal_checkpoint(TRUNCATE)");
  db.close();
}

function readAndHash(raw: Database.Database): number {
  const rows = raw
    .prepare(
      "select prev_hash, scope, n, group_id, at, actor, op, subject, payload, changes, hash from events order by id",
    )
    .raw()
    .iterate() as Iterable<string[]>;
  let seen = 0;
  for (const row of rows) seen += createHash("sha256").update(row.join()).digest("hex").length > 0 ? 1 : 0;
  return seen;
}

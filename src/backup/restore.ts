import { mkdir } from "node:fs/promises";
import type { Clock } from "../clock.js";
import { type Context, newGroup } from "../db/context.js";
import { MACHINE_SCOPE } from "../db/events.js";
import type { Reader } from "../db/schema.js";
import { replaceDatabase } from "../db/sqlite/replace.js";
import { openSqlite } from "../db/sqlite/sqlite.js";
import type { Store } from "../db/store.js";
import { write } from "../db/write.js";
import { Fault } from "../errors.js";
import { auditHead, CHAIN_HEAD, type ChainHead } from "../journal/audit.js";
import { RESTORE_OP } from "../journal/log.js";
import { counted, enumerate } from "../names.js";
import { isProcessAlive, type ProcessHost } from "../processes.js";
import { shape, type TypeOf } from "../shape.js";
import { SET_ASIDE, snapshotFolder, snapshotPath } from "./snapshots.js";
import { withBackup } from "./verify.js";

/** What a restore leaves behind of the present database. */
export const DISCARDED = shape([{ ...CHAIN_HEAD, events: "number" }]);

export type Discarded = TypeOf<typeof DISCARDED>;

/** The chains of the present database that are not as they are in the other one, and how many events longer each is. */
export async function discardedBy(present: Reader, chains: readonly ChainHead[]): Promise<Discarded> {
  const kept = new Map(chains.map((chain) => [chain.scope, chain]));
  const heads = await auditHead(present);
  return heads
    .filter(({ scope, head }) => kept.get(scope)?.head !== head)
    .map((head) => ({ ...head, events: Math.max(0, head.n - (kept.get(head.scope)?.n ?? 0)) }));
}

/** Refuses while a dispatcher or a run is at work: it would go on in a database that knows nothing of it. */
export async function requireQuiet(host: ProcessHost, db: Reader): Promise<void> {
  const living = async <R extends { process: string }>(rows: readonly R[]) => {
    const alive = await Promise.all(rows.map((row) => isProcessAlive(host, row.process)));
    return rows.filter((_, at) => alive[at]);
  };
  const dispatchers = await living(
    await db
      .selectFrom("dispatchers as d")
      .innerJoin("workstreams as w", "w.id", "d.workstream_id")
      .select(["w.name", "d.process"])
      .execute(),
  );
  const runs = await living(
    await db.selectFrom("runs").select(["id", "process"]).where("finished_at", "is", null).execute(),
  );
  if (dispatchers.length + runs.length === 0) return;
  const active = [
    ...(dispatchers.length > 0 ? [`the dispatcher of ${enumerate(dispatchers.map(({ name }) => name))}`] : []),
    ...(runs.length > 0 ? [counted(runs.length, "run")] : []),
  ];
  throw new Fault(
    "conflict",
    "restore.busy",
    `Still active: ${active.join(" and ")}. End what is active, then restore.`,
    [
      ...dispatchers.map(({ name }) => ({ intent: "Stop the dispatcher", command: `mu dispatch stop -w ${name}` })),
      ...runs.slice(0, 3).map(({ id }) => ({ intent: "Cancel the run", command: `mu runs cancel ${id}` })),
    ],
  );
}

/** What is restored, and in whose name. */
export interface Restore {
  /** The database file to restore; `name` is what the log calls it. */
  source: string;
  name: string;
  clock: Clock;
  actor: string;
  /** The database file that it replaces, as `fileAt` names it; another one in its place is a fault. */
  present: string | undefined;
  /** How long to wait until nobody has the database open, in ms. */
  waitMs: number;
}

/**
 * Puts a copy of `source` in the place of the database, with an event that names the heads that it discards, and sets
 * the present one aside as a snapshot, whose path it gives; null where there was none. This process must have closed the
 * database. Faults `restore.*`, `db.*`.
 */
export async function restoreDatabase(
  database: string,
  restore: Restore,
): Promise<{ aside: string; discarded: Discarded }> {
  const { source, clock, present: file, waitMs } = restore;
  const aside = snapshotPath(database, SET_ASIDE, clock.now());
  await mkdir(snapshotFolder(database), { recursive: true, mode: 0o700 });
  let discarded: Discarded = [];
  await replaceDatabase(database, {
    ...{ aside, present: file, waitMs },
    make: async (draft, present) => {
      await withBackup(source, (backup) => backup.copyTo(draft));
      const store = await openSqlite(draft, { missing: "create" });
      try {
        discarded = present === undefined ? [] : await discardedBy(present, await auditHead(store.db));
        await recordRestore(store, restore, discarded);
      } finally {
        await store.close();
      }
    },
  });
  return { aside, discarded };
}

/** In the machine's chain, and in each that is cut short and still there. */
async function recordRestore(store: Store, { name, clock, actor }: Restore, discarded: Discarded): Promise<void> {
  const context: Context = { store, clock, actor, group: newGroup() };
  const known = new Set((await auditHead(store.db)).map(({ scope }) => scope));
  const cut = discarded.map(({ scope }) => scope).filter((scope) => scope !== MACHINE_SCOPE && known.has(scope));
  await write(context, { op: RESTORE_OP, scope: [MACHINE_SCOPE, ...cut], subject: name }, async (tx) =>
    tx.addPayload({ discarded }),
  );
}

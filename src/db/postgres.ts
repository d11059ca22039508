import { Kysely, PostgresDialect, type PostgresPool } from "kysely";
import { Fault } from "../errors.js";
import { bringUpToDate, pendingMigrations } from "./migrate.js";
import { oneAtATime } from "./one-store.js";
import type { Reader, Schema } from "./schema.js";
import { isOnServer, type Store } from "./store.js";

/** How often a follower asks a PostgreSQL server for news, in ms. */
const WATCH_MS = 150;

/** Opens a store on a PostgreSQL pool and brings its schema up to date. Faults: `db.newer`, `sql.*`. */
export async function openPostgres(pool: PostgresPool, location: string): Promise<Store> {
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
  if ((await pendingMigrations(db, location)).length > 0) await bringUpToDate(db, "postgres");
  const queued = oneAtATime();
  return {
    dialect: "postgres",
    location,
    db,
    write: (work, { waitMs } = {}) =>
      queued(() => (waitMs === undefined ? db.transaction().execute(work) : writeSoon(db, work, waitMs))),
    read: (work) => db.transaction().setIsolationLevel("repeatable read").setAccessMode("read only").execute(work),
    migrate: () => bringUpToDate(db, "postgres"),
    query: async (text) => {
      checkOneRead(text);
      const result = await db
        .transaction()
        .setAccessMode("read only")
        .execute((reader) => reader.executeQuery<Record<string, unknown>>(raw(text)))
        .catch((error: Error) => {
          throw new Fault("usage", "sql.failed", `PostgreSQL says: ${error.message}`);
        });
      return { rows: result.rows.map(asOnSqlite), changes: 0 };
    },
    run: () => {
      throw new Fault("usage", "sql.not_allowed", "`mu sql --write` works on SQLite only; on PostgreSQL use psql.");
    },
    copyTo: async () => {
      throw isOnServer();
    },
    hold: () => () => {},
    watch: (onChange) => {
      const timer = setInterval(onChange, WATCH_MS);
      return () => clearInterval(timer);
    },
    close: () => db.destroy(),
  };
}

const INT8 = 20;
const NUMERIC = 1700;

/** How values come out of PostgreSQL: counts and averages as numbers, like SQLite's, unless that would lose digits. */
export const POSTGRES_PARSERS: Readonly<Record<number, (text: string) => number | string>> = {
  [INT8]: (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : text),
  [NUMERIC]: (text) => (Number.isFinite(Number(text)) ? Number(text) : text),
};

/** A row of a hand-written query with the values that SQLite has for the same question. */
function asOnSqlite(row: Record<string, unknown>): Record<string, unknown> {
  const same = (value: unknown) => {
    if (typeof value === "boolean") return Number(value);
    if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
    return value instanceof Uint8Array ? `x'${Buffer.from(value).toString("hex")}'` : value;
  };
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, same(value)]));
}

/** A semicolon could end the read-only transaction, whatever quotes it stands in for PostgreSQL. */
function checkOneRead(text: string): void {
  const statement = text.replace(/[\s;]+$/, "");
  if (/^\s*(?:select|with|values|explain|show|table)\b/i.test(statement) && !/[;\0]/.test(statement)) return;
  throw new Fault("usage", "sql.not_a_read", "`mu sql` reads, with one statement that has no semicolon in it.");
}

/** `lock_not_available`, as PostgreSQL numbers it. */
const LOCK_NOT_AVAILABLE = "55P03";

function writeSoon<T>(db: Kysely<Schema>, work: (db: Reader) => Promise<T>, waitMs: number): Promise<T> {
  const patient = db.transaction().execute(async (tx) => {
    await tx.executeQuery(raw(`set local lock_timeout = ${Math.max(1, Math.round(waitMs))}`));
    return work(tx);
  });
  return patient.catch((error: Error & { code?: string }) => {
    if (error.code !== LOCK_NOT_AVAILABLE) throw error;
    throw new Fault("unavailable", "db.locked", "Another process is writing to this workstream. Try again.");
  });
}

const raw = (text: string) => ({ sql: text, parameters: [], query: { kind: "RawNode" }, queryId: {} }) as never;

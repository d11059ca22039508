import { Fault } from "../errors.js";
import { type Upgrade, upgradeDatabase } from "./migrate.js";
import { openOnce } from "./one-store.js";
import type { Store } from "./store.js";

/** Where a database is: a PostgreSQL server's URL, or else a file's path. */
export interface Address {
  url?: string | undefined;
  path: string;
  /** How long to wait for another process's lock on the file, in ms; 15 s without it. */
  busyTimeoutMs?: number | undefined;
  /** Ends the wait for that lock with `request.interrupted`. */
  signal?: AbortSignal | undefined;
}

/** How to open a file that is none of SQLite's, or is damaged: without this, it is a fault. */
export type Damaged = "empty if damaged";

/** Opens the database; a missing file answers as an empty database until the first write makes it. Faults `db.*`. */
export async function openStore(address: Address, damaged?: Damaged): Promise<Store> {
  const { url, path } = address;
  if (url) return openOnce(url, () => openServer(url));
  const { openEmpty, openSqlite } = await import("./sqlite/sqlite.js");
  const opening = openSqlite(path, { missing: "empty", ...waiting(address) });
  if (damaged === undefined) return opening;
  return opening.catch((error) => {
    if (error instanceof Fault && DAMAGED.includes(error.code)) return openEmpty(path);
    throw error;
  });
}

const DAMAGED: readonly string[] = ["db.corrupt", "db.not_a_database"];

/** Opens a store that only this process has, whatever the database is: see `openPrivateSqlite`. */
export async function openPrivateStore(from?: string): Promise<Store> {
  return (await import("./sqlite/sqlite.js")).openPrivateSqlite(from);
}

/** Brings the database up to date, or with `dryRun` only says what that would be. Faults `db.*`. */
export async function upgradeStore(address: Address, options: { dryRun: boolean }): Promise<Upgrade> {
  const { openSqlite } = await import("./sqlite/sqlite.js");
  const store = address.url
    ? await openServer(address.url)
    : await openSqlite(address.path, { missing: "empty", migrate: "never", ...waiting(address) });
  try {
    return await upgradeDatabase(store, options);
  } finally {
    await store.close();
  }
}

const waiting = ({ busyTimeoutMs, signal }: Address) => ({
  ...(busyTimeoutMs !== undefined && { busyTimeoutMs }),
  ...(signal && { signal }),
});

async function openServer(url: string): Promise<Store> {
  const [{ openPostgres, POSTGRES_PARSERS }, { default: pg }] = await Promise.all([
    import("./postgres.js"),
    import("pg"),
  ]);
  const types = {
    getTypeParser: (oid: number, format?: never) => POSTGRES_PARSERS[oid] ?? pg.types.getTypeParser(oid, format),
  };
  const pool = new pg.Pool({ connectionString: url, connectionTimeoutMillis: 10_000, types: types as typeof pg.types });
  const location = url.replace(/\/\/[^@/]*@/, "//");
  try {
    return await openPostgres(pool as never, location);
  } catch (error) {
    await pool.end();
    if (error instanceof Fault) throw error;
    throw new Fault(
      "unavailable",
      "db.cannot_open",
      `The database server ${location} does not answer (${(error as Error).message}). Check MU_DATABASE_URL and that it runs.`,
    );
  }
}

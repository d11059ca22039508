import { Fault } from "../errors.js";
import type { Store } from "./store.js";

/** Where a database is: a PostgreSQL server's URL, or else a file's path. */
export interface Address {
  url?: string | undefined;
  path: string;
}

/** Opens the database; a missing file is made only where `create` says so. Faults `db.*`. */
export async function openStore(address: Address, options: { create: boolean }): Promise<Store> {
  if (!address.url) {
    const { openSqlite } = await import("./sqlite.js");
    return openSqlite(address.path, { missing: options.create ? "create" : "empty" });
  }
  return openServer(address.url);
}

async function openServer(url: string): Promise<Store> {
  const [{ openPostgres }, { default: pg }] = await Promise.all([import("./postgres.js"), import("pg")]);
  const pool = new pg.Pool({ connectionString: url, connectionTimeoutMillis: 10_000 });
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

import { type Kysely, Migrator, sql } from "kysely";
import { Fault } from "../errors.js";
import { type Flavour, postgresFlavour, sqliteFlavour } from "./flavour.js";
import { MIGRATION_NAMES } from "./migrations/names.js";
import type { Schema } from "./schema.js";
import type { Store } from "./store.js";

/** Names of the migrations still to run, in order. Faults `db.newer` for a schema that this program does not know. */
export async function pendingMigrations(db: Kysely<Schema>, location: string): Promise<string[]> {
  const applied = await appliedMigrations(db);
  if (applied.every((name) => MIGRATION_NAMES.includes(name)))
    return MIGRATION_NAMES.filter((name) => !applied.includes(name));
  throw new Fault(
    "conflict",
    "db.newer",
    `The database ${location} was made by a newer mu. Update mu, or use another database.`,
    [{ intent: "See this mu's version", command: "mu --version --json" }],
  );
}

async function appliedMigrations(db: Kysely<Schema>): Promise<string[]> {
  try {
    const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db);
    return rows.map((row) => row.name);
  } catch (error) {
    if (/no such table|does not exist/.test(String((error as Error).message))) return [];
    throw error;
  }
}

/** Runs what is missing in one transaction, so that several processes may start on the same database at once. */
export async function bringUpToDate(db: Kysely<Schema>, dialect: Flavour["dialect"]): Promise<void> {
  const { migrations } = await import("./migrations/index.js");
  const flavour = dialect === "sqlite" ? sqliteFlavour : postgresFlavour;
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations(flavour) } });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
}

/** The database, by its file's path or server's address, and the migrations still to run when asked, in order. */
export interface Upgrade {
  location: string;
  pending: string[];
}

/** Runs the pending migrations, or with `dryRun` none, of a store that was opened with `migrate: "never"`. Faults `db.*`. */
export async function upgradeDatabase(store: Store, { dryRun }: { dryRun: boolean }): Promise<Upgrade> {
  const pending = await pendingMigrations(store.db, store.location);
  if (!dryRun && pending.length > 0) await store.migrate();
  return { location: store.location, pending };
}

import { type Kysely, Migrator, sql } from "kysely";
import { type Flavour, postgresFlavour, sqliteFlavour } from "./flavour.js";
import { MIGRATION_NAMES } from "./migrations/names.js";
import type { Schema } from "./schema.js";

/** The age of the stored schema, compared with this program's. */
export type SchemaAge = "current" | "older" | "newer";

/** Looks, without a write, whether the database needs migrations or is ahead of this program. */
export async function schemaAge(db: Kysely<Schema>): Promise<SchemaAge> {
  const applied = await appliedMigrations(db);
  if (applied.some((name) => !MIGRATION_NAMES.includes(name))) return "newer";
  return applied.length < MIGRATION_NAMES.length ? "older" : "current";
}

/** Names of the migrations still to run, in order. */
export async function pendingMigrations(db: Kysely<Schema>): Promise<string[]> {
  const applied = await appliedMigrations(db);
  return MIGRATION_NAMES.filter((name) => !applied.includes(name));
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

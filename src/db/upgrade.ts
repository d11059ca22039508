import { newerSchema } from "./faults.js";
import { pendingMigrations, schemaAge } from "./migrate.js";
import { MIGRATION_NAMES } from "./migrations/names.js";
import type { Store } from "./store.js";

/** A database's schema compared with this program's. */
export interface SchemaState {
  /** The file's path or the server's address. */
  location: string;
  age: "current" | "older" | "newer";
  /** The newest migration that the database has; null before the first. */
  schema: string | null;
  /** Migrations still to run, in order. */
  pending: string[];
}

/**
 * Says what an upgrade would do, and does nothing. The store is one opened with `migrate: "never"`.
 * Faults `db.newer`, since no upgrade helps there.
 */
export async function planUpgrade(store: Store): Promise<SchemaState> {
  const age = await schemaAge(store.db);
  if (age === "newer") throw newerSchema(store.location);
  const pending = await pendingMigrations(store.db);
  const applied = MIGRATION_NAMES.filter((name) => !pending.includes(name));
  return { location: store.location, age, schema: applied.at(-1) ?? null, pending };
}

/** Runs the pending migrations, and says which they were. Faults `db.newer`, `db.*`. */
export async function upgradeDatabase(store: Store): Promise<SchemaState> {
  const before = await planUpgrade(store);
  if (before.pending.length > 0) await store.migrate();
  return { ...before, age: "current", schema: MIGRATION_NAMES.at(-1) ?? null };
}

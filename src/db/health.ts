import { existsSync, statSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { Store } from "./store.js";

/** What is wrong with a database, or soon will be. */
export interface StoreHealth {
  /** What SQLite's quick check found; empty if nothing, and for a server. */
  damage: string[];
  /** A file is `missing` until the first write, and `empty` if it has no bytes. Null for a server. */
  file: "missing" | "empty" | "present" | null;
  /** What is left on the file's disk for this user, in bytes; null for a server. */
  freeBytes: number | null;
}

/** Examines a database without changing it. Faults `db.*`. */
export async function inspectStore(store: Store): Promise<StoreHealth> {
  if (store.dialect === "postgres") return { damage: [], file: null, freeBytes: null };
  const { bavail, bsize } = await statfs(existingFolder(dirname(store.location)));
  const size = statSync(store.location, { throwIfNoEntry: false })?.size;
  const file = size === undefined ? "missing" : size === 0 ? "empty" : "present";
  const { rows } = await store.query("pragma quick_check(5)");
  const found = rows.map((row) => String(row["quick_check"]));
  return { damage: found.filter((line) => line !== "ok"), file, freeBytes: bavail * bsize };
}

function existingFolder(folder: string): string {
  return existsSync(folder) || folder === dirname(folder) ? folder : existingFolder(dirname(folder));
}

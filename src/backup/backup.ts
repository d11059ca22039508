import { randomBytes } from "node:crypto";
import { open, rm, stat } from "node:fs/promises";
import type { Store } from "../db/store.js";
import { Fault, knownFault } from "../errors.js";
import { shellWord } from "../names.js";
import { moveWhole, placeWhole } from "../whole-file.js";

/** Whether a file that is there already may be written over. */
export type Existing = "refuse" | "replace";

/**
 * Writes a copy of the database to `path` and gives its size in bytes; other processes read and write meanwhile. The file is
 * there whole or not at all. Faults `backup.exists`, `backup.is_database`, `backup.not_written`, `backup.server`, `db.*`.
 */
export async function writeBackup(store: Store, path: string, existing: Existing = "refuse"): Promise<number> {
  const [there, database] = await Promise.all([found(path), found(store.location)]);
  if (there !== undefined && there.ino === database?.ino && there.dev === database.dev) throw isDatabase(path);
  if (there !== undefined && existing === "refuse") throw exists(path);
  const draft = `${path}.mu-${randomBytes(6).toString("hex")}`;
  try {
    // The copy is written into a file that nobody else may read.
    await (await open(draft, "wx", 0o600)).close();
    await store.copyTo(draft);
    const { size } = await stat(draft);
    await (existing === "replace" ? moveWhole(draft, path) : placeWhole(draft, path));
    return size;
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw asBackupFault(error, path);
  }
}

const found = (path: string) => stat(path).catch(() => undefined);

function asBackupFault(error: unknown, path: string): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === "EEXIST") return exists(path);
  const full = error instanceof Fault && ["db.disk_full", "db.io"].includes(error.code);
  if (!full && syscall === undefined) return knownFault(error) ?? error;
  const why = full ? "no space is left, or the disk failed" : code;
  return new Fault(
    "unavailable",
    "backup.not_written",
    `The copy ${path} could not be written (${why}). Nothing else was changed. Free some space, or choose another folder.`,
    [{ intent: "Delete snapshots that are not needed", command: "mu snapshot prune" }],
  );
}

function isDatabase(path: string): Fault {
  return new Fault("usage", "backup.is_database", `${path} is the database itself. Name another file.`);
}

function exists(path: string): Fault {
  return new Fault("conflict", "backup.exists", `${path} is there already. Name another file, or replace it.`, [
    { intent: "Replace it", command: `mu backup ${shellWord(path)} --replace` },
    { intent: "See what it is", command: `mu backup verify ${shellWord(path)}` },
  ]);
}

import { existsSync, statSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { asFault, Fault } from "../errors.js";
import { counted } from "../names.js";
import { type Address, openStore, upgradeStore } from "./open.js";
import { type Store, withParts } from "./store.js";

/** What a database is before anybody uses it. */
export interface Examined {
  /** A file is `missing` until the first write, and `empty` if it has no bytes. Null for a server. */
  file: "missing" | "empty" | "present" | null;
  /** Why it cannot be used, or should not be before somebody has decided. */
  fault: Fault | undefined;
}

/**
 * Looks at a database without changing it, and opens it; one that cannot be used, or lacks migrations, is opened as an
 * empty one in memory. Its `fault` says why.
 */
export async function openExamined(address: Address): Promise<{ store: Store; examined: Examined }> {
  const file = address.url ? null : fileState(address.path);
  const opened = await openUsable(address).catch((error: unknown) => asFault(error));
  if (!(opened instanceof Fault)) return { store: opened, examined: { file, fault: undefined } };
  const { openSqlite } = await import("./sqlite/sqlite.js");
  const empty = await openSqlite(":memory:", { missing: "create" });
  const location = address.url?.replace(/\/\/[^@/]*@/, "//") ?? address.path;
  return { store: withParts(empty, { location }), examined: { file, fault: opened } };
}

async function openUsable(address: Address): Promise<Store> {
  if (!address.url) await requireOwnWal(address.path);
  const { location, pending } = await upgradeStore(address, { dryRun: true });
  const isNew = !address.url && fileState(address.path) !== "present";
  if (pending.length > 0 && !isNew) throw behind(location, pending.length);
  return openStore(address);
}

function fileState(path: string): Examined["file"] {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  return size === undefined ? "missing" : size === 0 ? "empty" : "present";
}

/** Opening merges a log for good. What this process has open has been merged long ago. */
async function requireOwnWal(path: string): Promise<void> {
  const [{ isOpenHere }, { foreignWal }, { strayWal }] = await Promise.all([
    import("./sqlite/sqlite.js"),
    import("./sqlite/wal.js"),
    import("./sqlite/faults.js"),
  ]);
  if (isOpenHere(path)) return;
  const why = foreignWal(path);
  if (why !== undefined) throw strayWal(path, why);
}

function behind(location: string, pending: number): Fault {
  const message = `The database ${location} was made by an older mu: ${counted(pending, "migration")} pending. Every command but this one runs them.`;
  return new Fault("conflict", "db.behind", message, [{ intent: "Run them", command: "mu db upgrade" }]);
}

/** The room and the kind of the file system that a path is on, or will be. */
export interface Disk {
  /** For this user, in bytes. */
  freeBytes: number;
  /** The kind of a file system whose locks cannot be relied on, such as `NFS`; undefined for others. */
  network: string | undefined;
}

/** Looks at the file system under `path`; a folder that is not there yet will be on that of the one above it. */
export async function examineDisk(path: string): Promise<Disk> {
  const { bavail, bsize, type } = await statfs(existingFolder(path));
  return { freeBytes: bavail * bsize, network: process.platform === "linux" ? NETWORKS[type >>> 0] : undefined };
}

/** By the magic numbers of Linux (`man 2 statfs`). */
const NETWORKS: Readonly<Record<number, string>> = {
  [0x6969]: "NFS",
  [0x517b]: "SMB",
  [0xff534d42]: "CIFS",
  [0xfe534d42]: "SMB",
  [0x01021997]: "9P",
  [0x5346414f]: "AFS",
  [0x00c36400]: "Ceph",
  [0x0bd00bd0]: "Lustre",
};

function existingFolder(folder: string): string {
  return existsSync(folder) || folder === dirname(folder) ? folder : existingFolder(dirname(folder));
}

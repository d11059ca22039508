import { closeSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { Fault } from "../../errors.js";
import { linkOrCopy, moveWhole, sync } from "../../whole-file.js";
import type { Reader } from "../schema.js";
import { connect } from "./connect.js";
import type { Connection } from "./connection.js";
import { BLOCKING_MS, createKysely, whileLocked } from "./driver.js";
import { guarded, isSqliteError } from "./faults.js";
import { closeGate, fileAt, restoredMeanwhile } from "./gate.js";

/** A database that takes the place of another one. */
export interface Replacement {
  /** Where the present one is put; nothing is there yet. */
  aside: string;
  /** The file that `fileAt` gave when it was decided to replace it. */
  present: string | undefined;
  /** How long to wait until nobody has the present one open, in ms. */
  waitMs: number;
  /**
   * Makes the new database at `draft`, a file without a byte. The present one can be read, and stays as it is meanwhile; it
   * is undefined where it is missing or no database.
   */
  make(draft: string, present: Reader | undefined): Promise<void>;
}

/**
 * Puts another database in the place of that at `path`, as decision 0040 says: at any moment the file there is whole, the
 * old one or the new one. Faults `restore.another`, `restore.in_use`, those of `make`, `db.*`.
 */
export async function replaceDatabase(
  path: string,
  { aside, present: expected, waitMs, make }: Replacement,
): Promise<void> {
  await guarded(path, async () => {
    const openGate = closeGate(path);
    const draft = `${path}.restored`;
    try {
      // What a restore that was cut off has left.
      removeAll(draft);
      if (fileAt(path) !== expected) throw restoredMeanwhile(path);
      closeSync(openSync(draft, "wx", 0o600));
      const present = await takeAlone(path, waitMs);
      try {
        await make(draft, present && readerOf(present, path));
        mergeLog(draft);
        await swap(path, { draft, aside });
      } finally {
        present?.close();
      }
    } finally {
      removeAll(draft);
      openGate();
    }
  });
}

const removeAll = (path: string) => {
  for (const suffix of ["", "-wal", "-shm", "-journal"]) rmSync(path + suffix, { force: true });
};

const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** Merges what is left in the log of a new database, which moves without it. Throws `SQLITE_FULL` if that cannot be done. */
function mergeLog(draft: string): void {
  if (sizeOf(`${draft}-wal`) === 0) return;
  const connection = connect(draft, { timeout: BLOCKING_MS });
  try {
    connection.pragma("wal_checkpoint(truncate)");
  } finally {
    connection.close();
  }
  if (sizeOf(`${draft}-wal`) > 0)
    throw Object.assign(new Error("The log could not be merged."), { code: "SQLITE_FULL" });
}

/** Locks the database against everybody, all of it in its one file. Undefined if there is none that SQLite can read. */
async function takeAlone(path: string, waitMs: number): Promise<Connection | undefined> {
  if (sizeOf(path) === 0) return undefined;
  const connection = connect(path, { timeout: BLOCKING_MS });
  try {
    connection.pragma("locking_mode = exclusive");
    await whileLocked(() => connection.exec("begin exclusive"), { busyTimeoutMs: waitMs });
    connection.exec("commit");
    connection.pragma("wal_checkpoint(truncate)");
    return connection;
  } catch (error) {
    connection.close();
    if (!isSqliteError(error)) throw error;
    if (error.code.startsWith("SQLITE_BUSY")) throw inUse(path);
    if (error.code.startsWith("SQLITE_NOTADB") || error.code.startsWith("SQLITE_CORRUPT")) return undefined;
    throw error;
  }
}

const readerOf = (connection: Connection, location: string): Reader =>
  createKysely(connection, { location, timeoutMs: BLOCKING_MS }).db;

/** The order counts: each step leaves a whole database behind, should it be the last. */
async function swap(path: string, { draft, aside }: { draft: string; aside: string }): Promise<void> {
  if (sizeOf(path) > 0) await linkOrCopy(path, aside);
  // The log of a database that was locked alone is empty; one that holds something belongs to a damaged or deleted one.
  if (sizeOf(`${path}-wal`) > 0) renameSync(`${path}-wal`, `${aside}-wal`);
  for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
  await sync(dirname(aside));
  await moveWhole(draft, path);
}

function inUse(path: string): Fault {
  return new Fault(
    "conflict",
    "restore.in_use",
    `The database ${path} is in use: a command of mu's is still at work, or another program has it open. Wait for it, or end it.`,
    [
      { intent: "See the runs", command: "mu runs list --state active" },
      { intent: "Stop the dispatcher", command: "mu dispatch stop" },
    ],
  );
}

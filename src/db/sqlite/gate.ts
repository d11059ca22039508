import { existsSync, rmSync, statSync } from "node:fs";
import { Fault } from "../../errors.js";
import { connect } from "./connect.js";
import type { Connection, ConnectOptions } from "./connection.js";
import { type LockOptions, whileLocked } from "./driver.js";
import { fileFault, isSqliteError } from "./faults.js";

/** How long a restore waits for those who only look whether the gate is closed, in ms. */
const LOOKS_MS = 200;

/** The file itself, whatever names lead to it; undefined where there is none. A folder that cannot be read throws. */
export function fileAt(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found && `${found.dev}:${found.ino}`;
}

/** Whether another file stands at `path` now. One that was deleted stays as it is: there is nothing to go on with. */
export function isReplaced(path: string, file: string): boolean {
  const present = fileAt(path);
  return present !== undefined && present !== file;
}

const gateOf = (path: string) => `${path}.restoring`;

/** Whether a living process is replacing the database at `path`. Its lock on the gate ends with it. */
export function isBeingReplaced(path: string): boolean {
  if (!existsSync(gateOf(path))) return false;
  try {
    const gate = connect(gateOf(path), { timeout: 0, readonly: true });
    try {
      gate.prepare("select 1 from sqlite_master").get();
      return false;
    } finally {
      gate.close();
    }
  } catch (error) {
    return isBusy(error);
  }
}

const isBusy = (error: unknown) => isSqliteError(error) && error.code.startsWith("SQLITE_BUSY");

/**
 * From now on nobody opens the database at `path`, and those who only wait or follow let go of it; gives what ends that.
 * Faults `restore.another`.
 */
export function closeGate(path: string): () => void {
  for (;;) {
    const gate = connect(gateOf(path), { timeout: LOOKS_MS });
    const file = fileAt(gateOf(path));
    // The one before removes the gate with its lock still on it.
    const isThere = () => file !== undefined && file === fileAt(gateOf(path));
    try {
      gate.exec("begin exclusive");
      if (isThere()) {
        return () => {
          rmSync(gateOf(path), { force: true });
          gate.close();
        };
      }
    } catch (error) {
      if (isThere()) {
        gate.close();
        throw isBusy(error) ? restoredMeanwhile(path) : error;
      }
    }
    gate.close();
  }
}

/** Of two restores at once, the one that came second. */
export function restoredMeanwhile(path: string): Fault {
  const why = `Another restore of ${path} is running, or has just ended. Look at what it did first.`;
  return new Fault("conflict", "restore.another", why, [{ intent: "See what it did", command: "mu snapshot list" }]);
}

/**
 * Connects to the file that stands at `path` now. Its first read takes the lock that keeps the file there: as long as the
 * connection is open, nobody can replace it. Faults `db.cannot_open`; SQLite's own errors.
 */
export async function connectCurrent(path: string, options: ConnectOptions, waiting: LockOptions): Promise<Connection> {
  for (;;) {
    await whileLocked(() => passGate(path), waiting);
    const file = fileAt(path);
    if (file === undefined) throw fileFault("SQLITE_CANTOPEN", path);
    const connection = connect(path, options);
    try {
      await whileLocked(() => connection.pragma("journal_mode"), waiting);
      if (!isReplaced(path, file)) return connection;
    } catch (error) {
      // The old file and the log of the new one fit together in no way.
      if (!isReplaced(path, file)) {
        connection.close();
        throw error;
      }
    }
    connection.close();
  }
}

/** A closed gate counts as a lock of another process. */
function passGate(path: string): void {
  if (isBeingReplaced(path)) throw Object.assign(new Error("It is being replaced."), { code: "SQLITE_BUSY" });
}

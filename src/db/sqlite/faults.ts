import { dirname } from "node:path";
import { Fault } from "../../errors.js";
import { shellWord } from "../../names.js";

/** What the driver throws: SQLite's result code by its name. */
export interface SqliteError extends Error {
  code: string;
}

/** Whether SQLite itself threw it. Goes by the code: the class has another name in a minified program. */
export function isSqliteError(error: unknown): error is SqliteError {
  return error instanceof Error && "code" in error && String(error.code).startsWith("SQLITE_");
}

/** Runs `work`; what the file or its folder did wrong becomes a fault that names the path and the way out. */
export async function guarded<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asFileFault(error, path);
  }
}

/** `error` as a fault that names the file at `path` when it is the file's; else `error` itself. */
export function asFileFault(error: unknown, path: string): unknown {
  if (isSqliteError(error)) return fileFault(error.code, path) ?? error;
  const system = error as NodeJS.ErrnoException;
  if (system instanceof Error && typeof system.syscall === "string") {
    return new Fault(
      "unavailable",
      "db.cannot_open",
      `The database folder ${dirname(path)} cannot be used (${system.code}). Make it writable, or name another file in MU_DB_PATH.`,
    );
  }
  if (error instanceof TypeError && /directory does not exist/i.test(error.message)) {
    return new Fault(
      "unavailable",
      "db.cannot_open",
      `There is no folder for the database ${path}. Name another file in MU_DB_PATH.`,
    );
  }
  return error;
}

const CHECK = [{ intent: "Look at the database without changing it", command: "mu db upgrade --dry-run" }];

/** What a result code says about the file; undefined when the fault is not the file's. */
export function fileFault(result: string, path: string): Fault | undefined {
  const [, code, message] = FILE_FAULTS.find(([prefix]) => result.startsWith(prefix)) ?? [];
  if (code === undefined || message === undefined) return undefined;
  return new Fault(
    "unavailable",
    code,
    message.replaceAll("{path}", () => path),
    CHECK,
  );
}

const FILE_FAULTS: readonly (readonly [prefix: string, code: string, message: string])[] = [
  [
    "SQLITE_BUSY",
    "db.locked",
    "The database {path} is locked by another process for too long. Try again; if it stays so, look for a program that holds it open.",
  ],
  ["SQLITE_LOCKED", "db.locked", "The database {path} is locked. Try again."],
  [
    "SQLITE_READONLY",
    "db.read_only",
    "The database {path} is read-only. Give yourself write access to it and its folder, or name another file in MU_DB_PATH.",
  ],
  [
    "SQLITE_CANTOPEN",
    "db.cannot_open",
    "The database {path} cannot be opened. Check that it is a file you may read and write, or name another one in MU_DB_PATH.",
  ],
  ["SQLITE_PERM", "db.cannot_open", "The database {path} may not be opened by you. Check its permissions."],
  ["SQLITE_NOTADB", "db.not_a_database", "{path} is not a database. Move it away, or name another file in MU_DB_PATH."],
  [
    "SQLITE_CORRUPT",
    "db.corrupt",
    "The database {path} is damaged. Put a backup in its place, or save what is left with: sqlite3 {path} .recover",
  ],
  [
    "SQLITE_FULL",
    "db.disk_full",
    "No space is left for the database {path}. Nothing was changed; free some space and try again.",
  ],
  ["SQLITE_IOERR", "db.io", "The disk failed under the database {path}. Nothing was changed."],
];

/** The fault for a write-ahead log that should not be merged into the database at `path`. */
export function strayWal(path: string, why: string): Fault {
  const message = `${path}-wal may not belong to its database: ${why}. Opening the database would merge or delete it. Put the right database beside it, or put it aside.`;
  const wal = shellWord(`${path}-wal`);
  const aside = { intent: "If it does not belong there, put it aside", command: `mv ${wal} ${wal}.aside` };
  return new Fault("conflict", "db.stray_wal", message, [aside]);
}

/** The fault for a database that another program keeps its own tables in. */
export function foreignDatabase(path: string): Fault {
  return new Fault(
    "unavailable",
    "db.foreign",
    `${path} is a database, but not one of this mu's: it has other tables. Move it away, or name another file in MU_DB_PATH. If it is one of mu 0.x, mu import reads it then.`,
    CHECK,
  );
}

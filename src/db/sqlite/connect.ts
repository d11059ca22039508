import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { Fault } from "../../errors.js";
import type { Connection, ConnectOptions } from "./connection.js";
import { connectNodeSqlite } from "./node-sqlite.js";

let addonLoads = true;

/**
 * Opens the file with better-sqlite3, or with Node's own SQLite if the addon was not built for this Node.
 * Faults: `db.no_driver`, unavailable, when there is neither.
 */
export function connect(file: string, options: ConnectOptions): Connection {
  const connection = open(file, options);
  connection.pragma("foreign_keys = on");
  return connection;
}

function open(file: string, options: ConnectOptions): Connection {
  if (!addonLoads) return connectNodeSqlite(file, options) ?? noDriver();
  const nativeBinding = bindingPath();
  try {
    return new Database(file, { ...options, ...(nativeBinding && { nativeBinding }) }) as Connection;
  } catch (error) {
    if (!isLoadError(error)) throw error;
    addonLoads = false;
    return open(file, options);
  }
}

/** An addon for another Node or machine, or none at all; the last is what the addon's own search throws. */
function isLoadError(error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return (
    code === "ERR_DLOPEN_FAILED" || code === "MODULE_NOT_FOUND" || message.startsWith("Could not locate the bindings")
  );
}

function noDriver(): never {
  throw new Fault(
    "unavailable",
    "db.no_driver",
    `The SQLite addon was not built for Node ${process.versions.node}. Rebuild it, or run mu with Node 22.16 or newer.`,
    [{ intent: "Rebuild the addon in the folder that mu is installed in", command: "npm rebuild better-sqlite3" }],
  );
}

const BINDING = join("node_modules", "better-sqlite3", "build", "Release", "better_sqlite3.node");

/** The native module's own path, looked for as Node would: the driver's search costs several ms at every start. */
function bindingPath(folder = import.meta.dirname): string | undefined {
  const path = join(folder, BINDING);
  if (existsSync(path)) return path;
  const above = dirname(folder);
  return above === folder ? undefined : bindingPath(above);
}

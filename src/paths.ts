import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { join, resolve } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Where mu keeps what is neither code nor the project's: `$MU_STATE_DIR`, else the XDG state folder. A database of
 * another place has a folder of its own in there, because files of agents and workspaces are named by its rows.
 */
export function stateFolder(env: Environment): string {
  if (env["MU_STATE_DIR"]) return env["MU_STATE_DIR"];
  const home = join(env["XDG_STATE_HOME"] || join(env["HOME"] || homedir(), ".local", "state"), "mu");
  const database = env["MU_DATABASE_URL"] || (env["MU_DB_PATH"] && resolve(env["MU_DB_PATH"]));
  if (!database || database === join(home, "mu.db")) return home;
  return join(home, "databases", createHash("sha256").update(database).digest("hex").slice(0, 12));
}

/** The database file: `$MU_DB_PATH`, else `mu.db` in the state folder. */
export function databasePath(env: Environment): string {
  return env["MU_DB_PATH"] || join(stateFolder(env), "mu.db");
}

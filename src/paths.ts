import { homedir } from "node:os";
import { join } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/** Where mu keeps what is neither code nor the project's: `$MU_STATE_DIR`, else the XDG state folder. */
export function stateFolder(env: Environment): string {
  return env["MU_STATE_DIR"] || join(env["XDG_STATE_HOME"] || join(env["HOME"] || homedir(), ".local", "state"), "mu");
}

/** The database file: `$MU_DB_PATH`, else `mu.db` in the state folder. */
export function databasePath(env: Environment): string {
  return env["MU_DB_PATH"] || join(stateFolder(env), "mu.db");
}

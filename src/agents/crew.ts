import type { Context } from "../db/context.js";
import type { Exec } from "../exec.js";
import type { Tmux } from "../tmux/tmux.js";

/** The world that agents live in: the database, and what is outside of it. */
export interface Crew {
  context: Context;
  tmux: Tmux;
  exec: Exec;
  /** The folder for spools, transcripts and per-agent settings. */
  stateDir: string;
  /** This process's environment: `MU_<KEY>_COMMAND`, `PATH`, `TMUX`. */
  env: Readonly<Record<string, string | undefined>>;
  /** What finds this database again in a pane: `MU_DB_PATH` or `MU_DATABASE_URL`, and `MU_STATE_DIR`. */
  databaseEnv: Readonly<Record<string, string>>;
  /** The argv that runs this very mu, for hooks and prompts. */
  mu: readonly string[];
}

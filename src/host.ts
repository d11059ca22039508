import type { Context } from "./db/context.js";
import type { Exec } from "./exec.js";

/** The machine around the database: its programs, this process's environment, and mu's own folder. */
export interface Host {
  context: Context;
  exec: Exec;
  /** `PATH`, `HOME`, `TMUX`, `MU_<KEY>_COMMAND` … */
  env: Readonly<Record<string, string | undefined>>;
  /** The folder for spools, transcripts, workspaces and per-agent settings. */
  stateDir: string;
}

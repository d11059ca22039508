import { resolve } from "node:path";
import type { Context } from "../db/context.js";
import { execProgram, interruptible } from "../exec.js";
import type { Host } from "../host.js";
import { databasePath, stateFolder } from "../paths.js";
import { createTmux, type Tmux } from "../tmux/tmux.js";

/** A host with its tmux server: what it takes to look at agents and to type to them. */
export interface TmuxHost extends Host {
  tmux: Tmux;
}

/** All that it takes to start agents. */
export interface Crew extends TmuxHost {
  /** What leads a process in a pane to this database: `MU_DB_PATH` or `MU_DATABASE_URL`, and `MU_STATE_DIR`. */
  databaseEnv: Readonly<Record<string, string>>;
}

/**
 * The panes and programs around this process, which `env` names: `PATH`, `HOME`, `MU_STATE_DIR`, `MU_DB_PATH` … What is
 * typed into a pane is typed to its end, whatever `signal` says.
 */
export function processCrew(context: Context, env: Host["env"], signal?: AbortSignal): Crew {
  const url = env["MU_DATABASE_URL"];
  const stateDir = resolve(stateFolder(env));
  return {
    context,
    tmux: createTmux({ exec: execProgram, env }),
    exec: signal ? interruptible(execProgram, signal) : execProgram,
    stateDir,
    env,
    databaseEnv: {
      MU_STATE_DIR: stateDir,
      ...(url ? { MU_DATABASE_URL: url } : { MU_DB_PATH: resolve(databasePath(env)) }),
    },
  };
}

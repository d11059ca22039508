import { resolve } from "node:path";
import type { Crew } from "../agents/crew.js";
import type { Context } from "../db/context.js";
import { execProgram, interruptible } from "../exec.js";
import { databasePath, stateFolder } from "../paths.js";
import { askOwnServer, type PaneIdentityFacts } from "../tmux/panes.js";
import { createTmux } from "../tmux/tmux.js";

type Environment = Readonly<Record<string, string | undefined>>;

/** The panes and programs around this process. What is typed into a pane is typed to its end, whatever `signal` says. */
export function processCrew(context: Context, env: Environment, signal?: AbortSignal): Crew {
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

/** Asks the server that this process sits in who a pane is. */
export function askProcessPane(pane: string, env: Environment): Promise<PaneIdentityFacts | undefined> {
  return askOwnServer({ exec: execProgram, env })(pane);
}

import type { Host } from "../host.js";
import type { Tmux } from "../tmux/tmux.js";

/** A host with its tmux server: what it takes to look at agents and to type to them. */
export interface TmuxHost extends Host {
  tmux: Tmux;
}

/** All that it takes to start agents. */
export interface Crew extends TmuxHost {
  /** What leads a process in a pane to this database: `MU_DB_PATH` or `MU_DATABASE_URL`, and `MU_STATE_DIR`. */
  databaseEnv: Readonly<Record<string, string>>;
}

import { join } from "node:path";
import type { Crew } from "../../src/agents/crew.js";
import { execProgram } from "../../src/exec.js";
import { addTask } from "../../src/tasks/add.js";
import { claimTask } from "../../src/tasks/claim.js";
import type { Pane } from "../../src/tmux/panes.js";
import type { Run } from "../../src/tmux/run.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";
import { contextOn, openTestStore } from "./database.js";
import { type PrivateTmux, privateTmux } from "./tmux.js";

/** A crew with a tmux and a database of its own, and a workstream `demo`. */
export interface PrivateCrew {
  crew: Crew;
  server: PrivateTmux;
  /** The same crew with a tmux client of its own, as another process would have it; the connection is shared. */
  other(options?: { env?: Record<string, string>; run?: Run; actor?: string }): Crew;
  /** A task that `agent` is working on. */
  give(task: string, agent: string): Promise<void>;
  panes(): Promise<Pane[]>;
  /** Names of the operations in the log of `demo`, oldest first. */
  events(): Promise<string[]>;
  dispose(): Promise<void>;
}

export async function privateCrew(): Promise<PrivateCrew> {
  const server = privateTmux();
  const file = join(server.dir, "mu.db");
  const store = await openTestStore(file);
  const other: PrivateCrew["other"] = (options = {}) => {
    const env = { ...server.env, ...options.env };
    return {
      context: contextOn(store, options.actor),
      tmux: server.client({ env: options.env ?? {}, ...(options.run && { run: options.run }) }),
      exec: execProgram,
      stateDir: join(server.dir, "state"),
      env,
      databaseEnv: { MU_DB_PATH: file, MU_STATE_DIR: join(server.dir, "state") },
    };
  };
  const crew = other();
  await initWorkstream(crew.context, "demo", { root: server.dir });
  return {
    crew,
    server,
    other,
    async give(task, agent) {
      await addTask(crew.context, "demo", { name: task, title: task });
      await claimTask(crew.context, { workstream: "demo", name: task }, { agent });
    },
    panes: () => server.tmux.listPanes(),
    async events() {
      const rows = await crew.context.store.db.selectFrom("events").select("op").orderBy("id").execute();
      return rows.map(({ op }) => op);
    },
    async dispose() {
      await server.dispose();
      await store.close();
    },
  };
}

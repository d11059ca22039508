import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Crew } from "../../src/agents/crew.js";
import type { Context } from "../../src/db/context.js";
import type { Exec } from "../../src/exec.js";
import { createTmux } from "../../src/tmux/tmux.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";
import { contextOn, openTestStore } from "./database.js";
import { newRepository, type Repository } from "./repository.js";

/** A crew whose project is a real repository, without a tmux server until somebody opens a pane. */
export interface Workshop {
  repository: Repository;
  crew: Crew;
  /** The same crew, whose programs are run by `exec`. */
  with(exec: Exec): Crew;
  end(): Promise<void>;
}

/** A workshop with workstream `demo`; on `context` where one is given, else on a database of its own. */
export async function newWorkshop(files?: Readonly<Record<string, string>>, context?: Context): Promise<Workshop> {
  const repository = await newRepository(files);
  const stateDir = join(repository.dir, "state");
  mkdirSync(stateDir);
  const file = join(stateDir, "mu.db");
  const store = context?.store ?? (await openTestStore(file));
  const env = { ...repository.env, HOME: repository.dir, MU_TMUX_SOCKET: join(repository.dir, "tmux") };
  const crewWith = (exec: Exec): Crew => ({
    context: context ?? contextOn(store),
    tmux: createTmux({ exec, env }),
    exec,
    stateDir,
    env,
    databaseEnv: { MU_DB_PATH: file, MU_STATE_DIR: stateDir },
  });
  const crew = crewWith(repository.world.exec);
  await initWorkstream(crew.context, "demo", { root: repository.root });
  return {
    repository,
    crew,
    with: crewWith,
    async end() {
      await crew.tmux.run([["kill-server"]]);
      if (context === undefined) await store.close();
      repository.end();
    },
  };
}

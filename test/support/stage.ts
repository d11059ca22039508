import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Crew } from "../../src/agents/crew.js";
import { transcriptCommand, transcriptPath } from "../../src/agents/files.js";
import { type RowOf, write } from "../../src/db/write.js";
import { execProgram } from "../../src/exec.js";
import { addTask } from "../../src/tasks/add.js";
import { claimTask } from "../../src/tasks/claim.js";
import type { OpenPane } from "../../src/tmux/open.js";
import type { Run } from "../../src/tmux/run.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";
import { agentRow } from "./agent-row.js";
import { PLAYER_PROGRAM } from "./cli.js";
import { contextOn, openTestStore } from "./database.js";
import { type PrivateTmux, privateTmux } from "./tmux.js";

/** A crew on a tmux and a database of its own, with agents that are put on it by hand. */
export interface Stage {
  crew: Crew;
  server: PrivateTmux;
  /** Another process of the same crew: its own connection, and its own tmux executor when one is given. */
  another(run?: Run): Promise<Crew>;
  /** Opens a pane with an agent in it, in workstream `demo`. */
  enter(name: string, options?: EnterOptions): Promise<RowOf<"agents">>;
  /** A task that `agent` is working on. */
  work(task: string, agent: RowOf<"agents">): Promise<void>;
  /** What the pane shows. */
  shows(agent: RowOf<"agents">): Promise<string>;
  end(): Promise<void>;
}

export interface EnterOptions {
  cli?: string;
  argv?: OpenPane["argv"];
  env?: Record<string, string>;
  size?: { width: number; height: number };
  workstream?: string;
}

/** The scripted agent as a pane's command. */
export const PLAYER: OpenPane["argv"] = [process.execPath, PLAYER_PROGRAM];

export async function openStage(): Promise<Stage> {
  const server = privateTmux();
  const file = join(server.dir, "mu.db");
  const stores: { close(): Promise<void> }[] = [];
  const another = async (run?: Run): Promise<Crew> => {
    const store = await openTestStore(file);
    stores.push(store);
    return {
      context: contextOn(store),
      tmux: server.client(run ? { run } : {}),
      exec: execProgram,
      stateDir: server.dir,
      env: server.env,
      databaseEnv: { MU_DB_PATH: file, MU_STATE_DIR: server.dir },
    };
  };
  const crew = await another();
  await initWorkstream(crew.context, "demo");
  return {
    crew,
    server,
    another,
    enter: (name, options) => enter(crew, server, name, options),
    async work(task, agent) {
      await addTask(crew.context, "demo", { name: task, title: task });
      await claimTask(crew.context, { workstream: "demo", name: task }, { agent: agent.name });
    },
    shows: (agent) => server.raw("capture-pane", "-p", "-S", "-", "-t", agent.pane ?? ""),
    async end() {
      await server.dispose();
      for (const store of stores) await store.close();
    },
  };
}

async function enter(crew: Crew, server: PrivateTmux, name: string, options: EnterOptions = {}) {
  const { cli = "shell", argv = ["sh"], env = {}, size = { width: 120, height: 40 }, workstream = "demo" } = options;
  const { id } = await initWorkstream(crew.context, workstream).then(() =>
    crew.context.store.db
      .selectFrom("workstreams")
      .select("id")
      .where("name", "=", workstream)
      .executeTakeFirstOrThrow(),
  );
  const spec = { op: "agent.spawn", scope: workstream, subject: `${workstream}/${name}` };
  const row = await write(crew.context, spec, (tx) =>
    tx.insert(
      "agents",
      agentRow({
        workstream_id: id,
        name,
        cli,
        command: argv.join(" "),
        spawned_at: tx.now,
      }),
    ),
  );
  await mkdir(join(crew.stateDir, "transcripts"), { recursive: true });
  const opened = await crew.tmux.openPane({
    session: `mu-${workstream}`,
    window: name,
    cwd: server.dir,
    argv,
    env: { MU_AGENT_ID: String(row.id), ...env },
    size,
    pipe: transcriptCommand(transcriptPath(crew.stateDir, row)),
    identity: { agent: name, agentId: String(row.id) },
  });
  await crew.tmux.confirmPane(opened.pane);
  const { pane, server: id_, pid, window } = opened;
  return write(crew.context, spec, (tx) => tx.patch("agents", row.id, { pane, server: id_, pid, window }));
}

import { createInterface } from "node:readline";
import { systemClock } from "../../src/clock.js";
import { spawnAgent } from "../../src/crew/spawn.js";
import { openSqlite } from "../../src/db/sqlite/sqlite.js";
import { execProgram } from "../../src/exec.js";
import { createTmux } from "../../src/tmux/tmux.js";

/** A process of its own that says when it is ready, and at the first line of its input spawns the agent it is told. */
const [, , file = "", name = "", folder = ""] = process.argv;
const store = await openSqlite(file, { missing: "create", synchronous: "NORMAL" });
const env = process.env;
process.stdout.write("ready\n");
for await (const _ of createInterface({ input: process.stdin })) break;
const { agent } = await spawnAgent(
  {
    context: { store, clock: systemClock, actor: name },
    tmux: createTmux({ exec: execProgram, env }),
    exec: execProgram,
    stateDir: `${folder}/state`,
    env,
    databaseEnv: { MU_DB_PATH: file },
  },
  { workstream: "demo", name },
  { command: "cat", cwd: folder },
);
process.stdout.write(`${agent.pane}\n`);
await store.close();
process.exit(0);

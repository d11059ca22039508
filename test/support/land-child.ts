import { systemClock } from "../../src/clock.js";
import { newGroup } from "../../src/context.js";
import { openSqlite } from "../../src/db/sqlite/sqlite.js";
import { execProgram } from "../../src/exec.js";
import { landTasks } from "../../src/landing/land.js";
import { createTmux } from "../../src/tmux/tmux.js";
import { type Doom, doomed } from "./doomed.js";

/** Lands all that is finished in workstream `shop`, and dies on the way. Says `done <effects>` when it does not. */
const [stateDir = "", check = "", doom = ""] = process.argv.slice(2);
const env = process.env;
const store = await openSqlite(`${stateDir}/mu.db`, { missing: "create", synchronous: "NORMAL" });
const { crew, effects } = doomed(
  {
    context: { store, clock: systemClock, actor: "lander", group: newGroup() },
    tmux: createTmux({ exec: execProgram, env }),
    exec: execProgram,
    stateDir,
    env,
    databaseEnv: {},
    mu: ["mu"],
  },
  JSON.parse(doom) as Doom,
);
await landTasks(crew, { workstream: "shop" }, { check: check === "" ? null : check });
await store.close();
process.stdout.write(`done ${effects()}\n`);

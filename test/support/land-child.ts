import { join } from "node:path";
import { systemClock } from "../../src/clock.js";
import { newGroup } from "../../src/db/context.js";
import { openSqlite } from "../../src/db/sqlite/sqlite.js";
import { Fault } from "../../src/errors.js";
import { execProgram } from "../../src/exec.js";
import { landTasks } from "../../src/landing/land.js";
import { createTmux } from "../../src/tmux/tmux.js";

/** Lands the finished work of a workstream, and prints which tasks landed or the code of the fault. */
const [, , stateDir = "", workstream = "", check = ""] = process.argv;
const env = process.env as Record<string, string>;
const database = join(stateDir, "mu.db");
const store = await openSqlite(database, { missing: "create", synchronous: "NORMAL" });
const crew = {
  context: { store, clock: systemClock, actor: "tester", group: newGroup() },
  tmux: createTmux({ exec: execProgram, env }),
  exec: execProgram,
  stateDir,
  env,
  databaseEnv: { MU_DB_PATH: database, MU_STATE_DIR: stateDir },
};
const print = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);
try {
  const { landed, returned } = await landTasks(crew, { workstream }, { check: check || null });
  print({ landed: landed.map(({ task }) => task), returned });
} catch (error) {
  print({ fault: error instanceof Fault ? error.code : "none", text: String(error) });
}
await store.close();

import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import type { Crew } from "../../src/agents/crew.js";
import { systemClock } from "../../src/clock.js";
import { openSqlite } from "../../src/db/sqlite/sqlite.js";
import type { Store } from "../../src/db/store.js";
import { type Exec, execProgram } from "../../src/exec.js";
import { createTmux } from "../../src/tmux/tmux.js";
import { ACTS } from "./fault-acts.js";

/**
 * Runs an act and kills itself at its step `at`, `before` it is done or `during` it. A step is a program that is run, a
 * write of the database, or a change of a file; what only reads is none, as a kill before it is one before what
 * follows. One that is never reached lets the act run through; then the number
 * of its steps is told.
 */
const [, , name = "", at = "0", mode = "before", root = "", stateDir = ""] = process.argv;
const env = process.env as Record<string, string>;
let step = -1;

const die = () => process.kill(process.pid, "SIGKILL");

/** Counts a step; true when it is the one to be killed in. */
function isTheOne(): boolean {
  if (step < 0) return false;
  step += 1;
  if (step !== Number(at)) return false;
  if (mode === "before") die();
  return true;
}

const READS =
  /^(rev-parse|rev-list|for-each-ref|log|diff|diff-tree|status|merge-base|config|var|ls-files|symbolic-ref|list-panes|capture-pane|display-message|show-options|-V)$/;

/** Whether a program only looks: the verb is its first word behind its own switches. */
function isRead(file: string, args: readonly string[]): boolean {
  if (file === "ps") return true;
  const verb = args.find((arg, at) => !/^-(?!V)/.test(arg) && !/^-[cCLS]$/.test(args[at - 1] ?? ""));
  return READS.test(verb ?? "") && !args.includes(";");
}

const exec: Exec = (file, args, options) => {
  const last = !isRead(file, args) && isTheOne();
  const running = execProgram(file, args, options);
  // The program has been started and goes on without us.
  if (last) die();
  return running;
};

function killable(store: Store): Store {
  return {
    ...store,
    write: (work, options) => {
      const last = isTheOne();
      return store.write(async (db) => {
        const result = await work(db);
        if (last) die();
        return result;
      }, options);
    },
  };
}

const CHANGES = [
  "mkdir",
  "rm",
  "rmdir",
  "unlink",
  "rename",
  "writeFile",
  "copyFile",
  "symlink",
  "mkdtemp",
  "cp",
] as const;

for (const change of CHANGES) {
  const original = fs.promises[change] as (...args: unknown[]) => Promise<unknown>;
  const counted = async (...args: unknown[]) => {
    if (isTheOne()) {
      if (change === "rm") removeSome(String(args[0]));
      die();
    }
    return original(...args);
  };
  Object.assign(fs.promises, { [change]: counted });
}
syncBuiltinESMExports();

/** Half of a folder is gone when its removal is killed. */
function removeSome(path: string): void {
  if (!fs.existsSync(path) || !fs.statSync(path).isDirectory()) return;
  const names = fs.readdirSync(path);
  for (const name of names.slice(0, Math.ceil(names.length / 2))) fs.rmSync(join(path, name), { recursive: true });
}

const database = join(stateDir, "mu.db");
const store = killable(await openSqlite(database, { missing: "create", synchronous: "NORMAL" }));
const crew: Crew = {
  context: { store, clock: systemClock, actor: "tester", group: "killed" },
  tmux: createTmux({ exec, env }),
  exec,
  stateDir,
  env,
  databaseEnv: { MU_DB_PATH: database, MU_STATE_DIR: stateDir },
};
const act = ACTS[name];
await act?.prepare?.(crew, root);
step = 0;
await act?.run(crew, root);
fs.writeSync(1, `${step}\n`);
process.exit(0);

import { execFile, execFileSync } from "node:child_process";
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { mulberry32 } from "./random.js";

/**
 * A scripted agent of the torture: `<name> <folder of the round> <seed>`. It claims, commits one file for the task, leaves a note,
 * closes and lands, whatever fails meanwhile, and writes each answer that mu gave it to a ledger of its own, on the disk.
 */
const [name = "", round = "", seed = ""] = process.argv.slice(2);
const random = mulberry32(Number(seed));
const space = process.cwd();
const NOTHING_READY = 3;

function enter(ledger: "ledger" | "faults", line: object): void {
  const file = openSync(join(round, ledger, `${name}.jsonl`), "a");
  writeSync(file, `${JSON.stringify(line)}\n`);
  fsyncSync(file);
  closeSync(file);
}

/** What mu printed; undefined if it failed, which its fault is kept of. */
// biome-ignore lint/suspicious/noExplicitAny: a test reaches into it
function mu(...words: string[]): Promise<any> {
  return new Promise((end) => {
    execFile("mu", [...words, "--json"], { cwd: existsSync(space) ? space : round }, (error, stdout, stderr) => {
      if (error === null) return end(JSON.parse(stdout));
      if (error.code !== NOTHING_READY) enter("faults", { words, code: error.code, signal: error.signal, stderr });
      end(undefined);
    });
  });
}

const git = (...args: string[]) => execFileSync("git", args, { cwd: space, encoding: "utf8", stdio: "pipe" }).trim();

/** How long a task takes at most, in ms: long enough for blows to fall into it. */
const WORK_MS = 15_000;

/** Commits the task's file, unless that was done before the agent was killed. */
function work(task: string): boolean {
  try {
    const subject = `work of ${task}`;
    if (git("log", "--format=%s").split("\n").includes(subject)) return true;
    mkdirSync(join(space, "work"), { recursive: true });
    writeFileSync(join(space, "work", `${task}.txt`), `${task}\n`);
    git("add", "-A");
    git("commit", "-qm", subject);
    return true;
  } catch {
    // A git that was killed leaves its lock, as it would to any agent.
    if (existsSync(space)) rmSync(resolve(space, git("rev-parse", "--git-path", "index.lock")), { force: true });
    return false;
  }
}

/** Gives whether there was something to do. */
async function turn(): Promise<boolean> {
  const own = await mu("task", "list", "--mine", "--status", "IN_PROGRESS");
  const task = own?.items[0]?.name ?? (await mu("task", "claim", "--next"))?.task.name;
  if (task === undefined || !existsSync(join(space, ".git"))) return false;
  enter("ledger", { did: "claim", task });
  await pause(random() * WORK_MS);
  if (!work(task)) return true;
  enter("ledger", { did: "commit", task });
  const text = `${name} has done it`;
  if (await mu("task", "note", task, text)) enter("ledger", { did: "note", task, text });
  const closed = await mu("task", "close", task);
  if (closed === undefined) return true;
  enter("ledger", { did: "close", task });
  for (const { task: landed } of (await mu("land"))?.landed ?? []) enter("ledger", { did: "land", task: landed });
  return true;
}

while (!existsSync(join(round, "stop"))) {
  const hadWork = await turn().catch((error) => enter("faults", { error: String(error) }));
  await pause(hadWork ? 100 : 2_000);
}

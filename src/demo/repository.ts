import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../errors.js";
import type { Exec } from "../exec.js";
import type { Scaffold } from "./scaffold.js";

/** Commits one file; git lets one in at a time, so whoever finds it busy tries again. */
const SAVE = [
  "!f() { for turn in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do",
  'git add -- "$1" 2>/dev/null && git commit -q --allow-empty -m "$2" -- "$1" 2>/dev/null && return; sleep 0.2;',
  "done; return 1; }; f",
].join(" ");

/** Starts the repository that the agents work in, with `git save <file> <message>`. Faults `demo.git_failed`. */
export async function startRepository(exec: Exec, { repository, env }: Scaffold): Promise<void> {
  const git = async (...args: string[]) => {
    const { code, stderr, notStarted } = await exec("git", args, { cwd: repository, env, timeoutMs: 20_000 });
    if (code !== 0) throw gitFailed(notStarted === undefined ? stderr.trim() : "it is not installed");
  };
  await git("init", "-q");
  await git("symbolic-ref", "HEAD", "refs/heads/main");
  for (const [name, value] of Object.entries({
    ...authorConfig("demo"),
    "alias.save": SAVE,
    "commit.gpgsign": "false",
  }))
    await git("config", name, value);
  await writeFile(join(repository, "README.md"), "# The shop\n");
  await git("add", "README.md");
  await git("commit", "-q", "-m", "Begin");
}

function authorConfig(name: string) {
  return { "user.name": name, "user.email": `${name}@demo.invalid` };
}

/** Makes the commits of a pane its agent's. */
export function authorOf(agent: string): Record<string, string> {
  const email = `${agent}@demo.invalid`;
  return {
    GIT_AUTHOR_NAME: agent,
    GIT_AUTHOR_EMAIL: email,
    GIT_COMMITTER_NAME: agent,
    GIT_COMMITTER_EMAIL: email,
  };
}

function gitFailed(why: string): Fault {
  return new Fault("unavailable", "demo.git_failed", `The demo needs git: ${why}.`, [
    { intent: "See what mu stands on", command: "mu doctor" },
  ]);
}

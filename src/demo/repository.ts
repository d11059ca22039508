import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../errors.js";
import type { Exec } from "../exec.js";
import type { Scaffold } from "./scaffold.js";

/** Starts the repository that the crew works on. Faults `demo.git_failed`. */
export async function startRepository(exec: Exec, { repository, env }: Scaffold): Promise<void> {
  const git = (...args: string[]) => runGit(exec, { repository, env }, args);
  await git("init", "-q");
  await git("symbolic-ref", "HEAD", "refs/heads/main");
  for (const [name, value] of Object.entries({
    ...authorConfig("demo"),
    "commit.gpgsign": "false",
  }))
    await git("config", name, value);
  await writeFile(join(repository, "README.md"), "# The shop\n");
  await git("add", "README.md");
  await git("commit", "-q", "-m", "Begin");
}

/** What came of main, as a person finds it in their own checkout. */
export interface MainBranch {
  /** The subjects of its commits, newest first, without the one that it began with. */
  subjects: string[];
  /** The checkout has exactly what main has. */
  clean: boolean;
}

/** Reads the branch and its checkout. Faults `demo.git_failed`. */
export async function readMain(exec: Exec, scaffold: Scaffold): Promise<MainBranch> {
  const log = await runGit(exec, scaffold, ["log", "--format=%s", "main"]);
  const status = await runGit(exec, scaffold, ["status", "--porcelain"]);
  return { subjects: log.trimEnd().split("\n").slice(0, -1), clean: status === "" };
}

type Place = Pick<Scaffold, "repository" | "env">;

async function runGit(exec: Exec, { repository, env }: Place, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr, notStarted } = await exec("git", args, { cwd: repository, env, timeoutMs: 20_000 });
  if (code !== 0) throw gitFailed(notStarted === undefined ? stderr.trim() : "it is not installed");
  return stdout;
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

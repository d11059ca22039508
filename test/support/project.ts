import { type ChildProcess, execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Home, newHome, type RunOptions } from "./cli.js";

/** What a role of a test's project says; programs are lines for `sh -c`. */
export interface TestRole {
  /** What its agent is: the prompt is on standard input, the task in `$MU_TASK`. */
  sh: string;
  [setting: string]: unknown;
}

/** A project with roles, without tmux: runs are processes. */
export interface Project extends Home {
  /** Writes the settings file. */
  settings(roles: Record<string, TestRole>, more?: Record<string, unknown>): void;
  /** Runs a line that must succeed with `--json`, and gives what it printed. */
  // biome-ignore lint/suspicious/noExplicitAny: tests reach into it
  json(line: string | readonly string[], options?: RunOptions): Promise<any>;
}

/** A git repository with one commit, its workstream `shop`, and an environment in which retries do not wait. */
export async function newProject(roles: Record<string, TestRole>, more?: Record<string, unknown>): Promise<Project> {
  const home = newHome();
  Object.assign(home.env, { MU_NO_TMUX: "1", MU_RETRY_BACKOFF: "0", MU_WORKSTREAM: "shop" });
  const git = (...args: string[]) => execFileSync("git", args, { cwd: home.project, env: home.env, stdio: "ignore" });
  git("init", "-q", "-b", "main");
  for (const [key, value] of Object.entries({ "user.email": "ann@example.org", "user.name": "Ann" }))
    git("config", key, value);
  writeFileSync(join(home.project, ".gitignore"), ".mu\n");
  git("add", ".");
  git("commit", "-qm", "Begin");
  const settings: Project["settings"] = (of, others = {}) => {
    const written = Object.entries(of).map(([name, { sh, ...role }]) => {
      const command = `sh -c '${sh.replaceAll("'", `'\\''`)}'`;
      return [name, { cli: "command", access: "read-only", workspace: false, command, ...role }];
    });
    mkdirSync(join(home.project, ".mu"), { recursive: true });
    writeFileSync(
      join(home.project, ".mu", "settings.json"),
      JSON.stringify({ roles: Object.fromEntries(written), ...others }),
    );
  };
  settings(roles, more);
  const project: Project = {
    ...home,
    settings,
    async json(line, options) {
      const ran = await home.mu(typeof line === "string" ? `${line} --json` : [...line, "--json"], options);
      if (ran.code !== 0) throw new Error(`mu ${line} ended with ${ran.code}: ${ran.stderr}`);
      return ran.json();
    },
  };
  await project.json("workstream init shop");
  return project;
}

/** Waits until a process that was started has ended; gives its exit code. */
export function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => (child.exitCode === null ? child.once("exit", resolve) : resolve(child.exitCode)));
}

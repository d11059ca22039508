import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import type { Agent } from "../agents/agent.js";
import { listMembers } from "../agents/agent.js";
import type { Crew } from "../agents/crew.js";
import type { Clock } from "../clock.js";
import { closeAgent } from "../crew/close.js";
import { spawnAgent } from "../crew/spawn.js";
import type { Spawned } from "../crew/start.js";
import { Fault } from "../errors.js";
import type { Exec } from "../exec.js";
import { quote } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { quoteWord } from "../tmux/run.js";
import { CAST, type Part } from "./cast.js";

/** What the demo needs from the program that plays it. */
export interface DemoWorld {
  exec: Exec;
  clock: Clock;
  /** Of the program; only what a terminal needs of it reaches the demo. */
  env: Readonly<Record<string, string | undefined>>;
  /** Where temporary folders go. */
  temporary: string;
  /** What the panes run: node, and the files of mu and of the scripted agent. */
  programs: { node: string; mu: string; player: string };
  /** A crew on its own database, which is created if missing. */
  openCrew(place: CrewPlace): Promise<{ crew: Crew; close(): Promise<void> }>;
  /** A line for the person who watches. */
  report(line: string): void;
  /** Aborted when the person ends the demo. */
  signal: AbortSignal;
}

/** Where a crew keeps its things, and all that it sees of the environment. */
export interface CrewPlace {
  database: string;
  stateDir: string;
  env: Readonly<Record<string, string>>;
}

/** The folders of one demo. */
export interface Scaffold {
  /** Gone when the demo ends. */
  temporary: string;
  /** Repository, transcripts and database: in `temporary`, or where they are to be kept. */
  stage: string;
  repository: string;
  database: string;
  /** The name of the tmux socket. */
  socket: string;
  /** All that the crew, its panes and its git see of the environment. */
  env: Readonly<Record<string, string>>;
  /** The script of an agent in life number `life`, from 0. */
  scriptOf(agent: string, life: number): string;
}

/** Makes the folders. Faults `demo.folder_not_empty`, `demo.folder_not_usable`. */
export async function buildScaffold(world: DemoWorld, keep: string | undefined): Promise<Scaffold> {
  if (keep !== undefined) await takeFolder(keep);
  const temporary = await mkdtemp(join(world.temporary, "mu-demo-"));
  const stage = keep ?? join(temporary, "stage");
  const scaffold: Scaffold = {
    temporary,
    stage,
    repository: join(stage, "repository"),
    database: join(stage, "mu.db"),
    socket: basename(temporary),
    env: environment(world, temporary),
    scriptOf: (agent, life) => join(temporary, `${agent}-${life}.json`),
  };
  try {
    const folders = [join(temporary, "bin"), join(temporary, "home"), scaffold.repository];
    for (const folder of folders) await mkdir(folder, { recursive: true, mode: 0o700 });
    await writePrograms(world, join(temporary, "bin"));
    await writeScripts(scaffold);
  } catch (error) {
    await removeScaffold(scaffold);
    throw error;
  }
  return scaffold;
}

/** Removes everything except what is kept. A transcript's last bytes may still be on their way. */
export async function removeScaffold({ temporary, stage }: Pick<Scaffold, "temporary" | "stage">): Promise<void> {
  await rm(temporary, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  for (const leftover of ["spool", "launches"]) await rm(join(stage, leftover), { recursive: true, force: true });
}

async function takeFolder(keep: string): Promise<void> {
  const found = await mkdir(keep, { recursive: true, mode: 0o700 })
    .then(() => readdir(keep))
    .catch((error: NodeJS.ErrnoException) => {
      const why = `Cannot use the folder ${quote(keep)} (${error.code ?? error.message}).`;
      throw new Fault("usage", "demo.folder_not_usable", why);
    });
  if (found.length === 0) return;
  throw new Fault("conflict", "demo.folder_not_empty", `The folder ${quote(keep)} is not empty.`, [
    { intent: "Use a new folder", command: `mu demo --keep ${quoteWord(`${keep}-2`)}` },
  ]);
}

/** No configuration, no keys, no other mu: its own home, and only the variables of a terminal. */
function environment({ env, programs }: DemoWorld, temporary: string): Record<string, string> {
  const passed = ["TERM", "TMPDIR", "TMUX_TMPDIR", "USER", "LOGNAME"].flatMap((name) => {
    const value = env[name];
    return value ? [[name, value] as const] : [];
  });
  const cache = env["XDG_CACHE_HOME"] || (env["HOME"] && join(env["HOME"], ".cache"));
  return {
    ...Object.fromEntries(passed),
    ...(cache ? { XDG_CACHE_HOME: cache } : {}),
    PATH: [join(temporary, "bin"), env["PATH"], dirname(programs.node)].filter(Boolean).join(delimiter),
    HOME: join(temporary, "home"),
    SHELL: "/bin/sh",
    LANG: "C.UTF-8",
    GIT_CONFIG_NOSYSTEM: "1",
    MU_TMUX_SOCKET: basename(temporary),
  };
}

/** In the panes `mu` is this very mu, and `mu-player` the scripted agent that came with it. */
async function writePrograms({ programs }: DemoWorld, folder: string): Promise<void> {
  for (const [name, file] of Object.entries({ mu: programs.mu, "mu-player": programs.player })) {
    const path = join(folder, name);
    await writeFile(path, `#!/bin/sh\nexec ${quoteWord(programs.node)} ${quoteWord(file)} "$@"\n`);
    await chmod(path, 0o700);
  }
}

async function writeScripts({ scriptOf }: Scaffold): Promise<void> {
  for (const { name, scripts } of CAST)
    for (const [life, script] of scripts.entries()) await writeFile(scriptOf(name, life), JSON.stringify(script));
}

/** Starts the repository that the crew works on. Faults `demo.git_failed`. */
export async function startRepository(exec: Exec, { repository, env }: Scaffold): Promise<void> {
  const git = (...args: string[]) => runGit(exec, { repository, env }, args);
  await git("init", "-q");
  await git("symbolic-ref", "HEAD", "refs/heads/main");
  const config = { "user.name": "demo", "user.email": "demo@demo.invalid", "commit.gpgsign": "false" };
  for (const [name, value] of Object.entries(config)) await git("config", name, value);
  await writeFile(join(repository, "README.md"), "# The shop\n");
  await git("add", "README.md");
  await git("commit", "-q", "-m", "Begin");
}

/** The main branch, as a person finds it in their own checkout. */
export const MAIN_BRANCH = shape({
  /** The subjects of its commits, newest first, without the one that it began with. */
  subjects: "string[]",
  /** The checkout has exactly what main has. */
  clean: "boolean",
});

export type MainBranch = TypeOf<typeof MAIN_BRANCH>;

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

export const demoInterrupted = () => new Fault("unavailable", "demo.interrupted", "The demo was interrupted.");

function gitFailed(why: string): Fault {
  return new Fault("unavailable", "demo.git_failed", `The demo needs git: ${why}.`, [
    { intent: "Check the prerequisites", command: "mu doctor" },
  ]);
}

/** The workstream of the demo; its tmux session is `mu-demo`. */
export const WORKSTREAM = "demo";

/** All panes share a window, so that one attached client sees all agents. */
const WINDOW = "crew";
/** Columns and rows while nobody is attached. */
const SIZE = { width: 150, height: 54 };

/** Starts an agent, in life number `life` from 0, and waits until it is ready for a prompt. */
export async function enter(crew: Crew, scaffold: Scaffold, part: Part, life: number): Promise<Agent> {
  const { agent }: Spawned = await spawnAgent(crew, refOf(part.name), {
    cli: "player",
    role: part.role,
    cwd: scaffold.repository,
    workspace: { projectRoot: scaffold.repository },
    window: WINDOW,
    layout: "even-vertical",
    size: SIZE,
    env: {
      MU_PLAYER_SCRIPT: scaffold.scriptOf(part.name, Math.min(life, part.scripts.length - 1)),
      ...authorOf(part.name),
    },
    ready: {},
  });
  return agent;
}

export const refOf = (name: string) => ({ workstream: WORKSTREAM, name });

/** Closes every agent, which keeps its last screen. */
export async function dismissAll(crew: Crew): Promise<void> {
  const members = await listMembers(crew.context.store.db, WORKSTREAM);
  await Promise.all(
    members.map(({ row }) => closeAgent(crew, refOf(row.name), { reason: "the demo is over", graceMs: 2000 })),
  );
}

/** Kills the tmux server, if there is one, and removes its socket, and the lock of a start that was cut off. */
export async function clearStage(crew: Crew, { socket, env }: Scaffold): Promise<void> {
  await crew.tmux.run([["kill-server"]]);
  const path = join(env["TMUX_TMPDIR"] || "/tmp", `tmux-${userInfo().uid}`, socket);
  for (const file of [path, `${path}.lock`]) await rm(file, { force: true });
}

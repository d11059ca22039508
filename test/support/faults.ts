import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Crew } from "../../src/agents/crew.js";
import { Fault } from "../../src/errors.js";
import { createTmux } from "../../src/tmux/tmux.js";
import { contextOn, openTestStore, removeTree } from "./database.js";
import { ACTS } from "./fault-acts.js";
import type { Repository } from "./repository.js";
import { sample } from "./sample.js";

/** A repository with mu's state beside it, which is put back as it was before each kill. */
export interface Scene {
  /** What `bundleChild` made of `fault-child`. */
  program: string;
  repository: Repository;
  stateDir: string;
  env: Record<string, string>;
}

/** How an act is killed: before a step, or while the step is being done. */
export type Killing = "before" | "during";

/** The crew of a scene, on a connection of its own that `end` closes. */
export async function openScene({ stateDir, env, repository }: Scene): Promise<{ crew: Crew; end(): Promise<void> }> {
  const file = join(stateDir, "mu.db");
  const store = await openTestStore(file);
  const { exec } = repository.world;
  const databaseEnv = { MU_DB_PATH: file, MU_STATE_DIR: stateDir };
  const crew = {
    context: contextOn(store),
    tmux: createTmux({ exec, env }),
    exec,
    stateDir,
    env,
    databaseEnv,
  };
  return { crew, end: () => store.close() };
}

/**
 * Lets an act run through, which tells its steps, and kills it at each of them, or at a sample, every time from the
 * same beginning. Calls `afterKill` and then, when the act has been run again, `afterAll`. Gives the number of steps,
 * and leaves the scene as it was.
 */
export async function killAtEachStep(
  scene: Scene,
  name: string,
  killing: Killing,
  checks: {
    afterKill(crew: Crew, step: number): Promise<void>;
    afterAll(crew: Crew, step: number): Promise<void>;
  },
): Promise<number> {
  const { dir } = scene.repository;
  const before = `${dir}-before`;
  const copy = (from: string, to: string) =>
    cpSync(from, to, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  const putBack = () => {
    removeTree(dir);
    copy(before, dir);
  };
  copy(dir, before);
  try {
    const killAt = async (step: number): Promise<number | undefined> => {
      const steps = await runChild(scene, [name, String(step), killing]);
      const { crew, end } = await openScene(scene);
      try {
        if (steps === undefined) await checks.afterKill(crew, step);
        if (steps === undefined) await runAgain(crew, scene, name);
        await checks.afterAll(crew, step);
      } finally {
        await crew.tmux.run([["kill-server"]]);
        await end();
      }
      putBack();
      return steps;
    };
    const steps = await killAt(NO_STEP);
    if (steps === undefined) throw new Error(`${name} was killed at no step`);
    const all = Array.from({ length: steps }, (_, n) => n + 1);
    for (const step of sample(all, SAMPLED_STEPS)) await killAt(step);
    return steps;
  } finally {
    putBack();
    removeTree(before);
  }
}

const NO_STEP = 0;
/** How many steps an act is killed at in `npm test`. */
const SAMPLED_STEPS = 6;

/** The number of steps when it ran through; undefined when it was killed. */
async function runChild(scene: Scene, args: readonly string[]): Promise<number | undefined> {
  const child = spawn(process.execPath, [scene.program, ...args, scene.repository.root, scene.stateDir], {
    env: scene.env,
    cwd: scene.repository.dir,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  let complaint = "";
  child.stdout.on("data", (data) => (said += data));
  child.stderr.on("data", (data) => (complaint += data));
  // A program that outlives the child keeps its pipes open: `exit` does not wait for that.
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on("exit", (...how) => resolve(how)),
  );
  if (signal === "SIGKILL") return undefined;
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}: ${complaint}`);
  return Number(said.trim());
}

async function runAgain(crew: Crew, { repository }: Scene, name: string): Promise<void> {
  const act = ACTS[name];
  try {
    await act?.run(crew, repository.root);
  } catch (error) {
    if (!(error instanceof Fault) || !act?.done?.includes(error.code)) throw error;
  }
}

/** Everything that must not be lost: commits, and the bytes of files that are in no commit, by their blob. */
export interface Manifest {
  commits: string[];
  files: { path: string; blob: string }[];
}

/** What is asked of a repository. */
type Git = Pick<Repository, "git" | "gitIn">;

/** What is in these checkouts of the repository. */
export async function takeManifest(repository: Git, checkouts: readonly string[]): Promise<Manifest> {
  const heads = await Promise.all(checkouts.map((path) => repository.gitIn(path, "rev-parse", "HEAD")));
  const commits = (await repository.git("rev-list", "--all", ...heads)).split("\n");
  const files: Manifest["files"] = [];
  for (const path of checkouts) {
    const status = await repository.gitIn(path, "status", "--porcelain", "-z", "--untracked-files=all");
    for (const entry of status.split("\0").filter(Boolean)) {
      const file = join(path, entry.slice(3));
      if (existsSync(file)) files.push({ path: file, blob: blobOf(file) });
      if (entry[0] === " " || entry[0] === "?") continue;
      const staged = await repository.gitIn(path, "rev-parse", `:${entry.slice(3)}`).catch(() => undefined);
      if (staged !== undefined) files.push({ path: `${file} (staged)`, blob: staged });
    }
  }
  return { commits, files };
}

/** What of the manifest is nowhere: not in a checkout's history or files, and not in a save. */
export async function lostOf(repository: Git, { commits, files }: Manifest): Promise<string[]> {
  const worktrees = (await repository.git("worktree", "list", "--porcelain")).split("\n");
  const heads = worktrees.flatMap((line) => (line.startsWith("HEAD ") ? [line.slice(5)] : []));
  const reachable = new Set((await repository.git("rev-list", "--objects", "--all", ...heads)).split(/[\n ]/));
  const isThere = ({ path, blob }: Manifest["files"][number]) =>
    reachable.has(blob) || (existsSync(path) && blobOf(path) === blob);
  const missing = files.filter((file) => !isThere(file));
  const places = worktrees.flatMap((line) => (line.startsWith("worktree ") ? [line.slice("worktree ".length)] : []));
  const inIndexes = missing.length === 0 ? new Set<string>() : await stagedIn(repository, places);
  return [
    ...commits.filter((commit) => !reachable.has(commit)).map((commit) => `commit ${commit}`),
    ...missing.filter(({ blob }) => !inIndexes.has(blob)).map(({ path }) => path),
  ];
}

async function stagedIn(repository: Git, checkouts: readonly string[]): Promise<Set<string>> {
  const blobs = new Set<string>();
  for (const path of checkouts) {
    const staged = await repository.gitIn(path, "ls-files", "--stage").catch(() => "");
    for (const entry of staged.split("\n")) blobs.add(entry.split(" ")[1] ?? "");
  }
  return blobs;
}

function blobOf(path: string): string {
  const bytes = readFileSync(path);
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

/** The complaints of `git fsck`; `[]` for a sound repository. */
export async function fsck(repository: Pick<Git, "git">): Promise<string[]> {
  const said = await repository.git("fsck", "--no-dangling", "--no-progress").catch((error) => String(error));
  return said.split("\n").filter((line) => line !== "" && !line.startsWith("notice:"));
}

import { existsSync } from "node:fs";
import { readdir, rename, rm } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { asFault } from "../../errors.js";
import { redact, secretsIn } from "../../redact.js";
import type { VcsWorld } from "../vcs.js";
import { gitDirOf, operationIn, readBranch } from "./git-dir.js";
import { pushWords } from "./land.js";
import { copyIndex } from "./private-index.js";
import { findCommit, gitEntries, gitLine, runGit } from "./run.js";

/** A checkout whose changes are to be committed on its branch and pushed. */
export interface Outlet {
  /** The top of the checkout. */
  path: string;
  gitDir: string;
  /** Null while HEAD is detached. */
  branch: string | null;
  /** Null before the first commit. */
  head: string | null;
  /** An operation in progress, such as a merge. */
  underway: string | null;
}

export interface Upstream {
  remote: string;
  /** On the remote, in full. */
  ref: string;
}

/** The checkout around a folder, with its branch. Faults as `VcsBackend`. */
export async function findOutlet(world: VcsWorld, folder: string): Promise<Outlet> {
  const path = await gitLine(world, folder, ["rev-parse", "--show-toplevel"]);
  const gitDir = await gitDirOf(path);
  const branch = (await readBranch(gitDir)) ?? null;
  return {
    ...{ path, gitDir, branch },
    head: (await findCommit(world, path, "HEAD")) ?? null,
    underway: operationIn(await readdir(gitDir)),
  };
}

/** Where a branch is pushed to; null if that is not set, or is a branch here. */
export async function upstreamOf(world: VcsWorld, path: string, branch: string): Promise<Upstream | null> {
  const config = (key: string) =>
    gitLine(world, path, ["config", "--get", `branch.${branch}.${key}`], { okCodes: [1] });
  const [remote, ref] = [await config("remote"), await config("merge")];
  return remote === "" || remote === "." || ref === "" ? null : { remote, ref };
}

/** What is not committed in a folder of a checkout, as paths from its top; untracked files without those that are ignored. */
export interface Changed {
  files: string[];
  /** Staged outside of the folder. */
  outside: string[];
  /** Untracked repositories: git would record them as links that lead nowhere. */
  nested: string[];
}

/** `leaves` are untracked paths to leave out. Faults as `VcsBackend`. */
export async function changedIn(
  world: VcsWorld,
  { path }: Outlet,
  folder: string,
  leaves: (path: string) => boolean = () => false,
): Promise<Changed> {
  const args = ["status", "--porcelain=v1", "-z", "-uall", "--no-renames", "--ignore-submodules=dirty"];
  const changed: Changed = { files: [], outside: [], nested: [] };
  const below = relative(path, resolve(folder));
  for (const entry of await gitEntries(world, path, args)) {
    const [state, name] = [entry.slice(0, 2), entry.slice(3)];
    const isInside = below === "" || name.startsWith(`${below}/`);
    if (state === "??" && (!isInside || leaves(name))) continue;
    if (!isInside) {
      if (state[0] !== " ") changed.outside.push(name);
    } else if (name.endsWith("/")) changed.nested.push(name);
    else changed.files.push(name);
  }
  return changed;
}

/** Why a push did not arrive. */
export interface Refusal {
  by: "hook" | "remote";
  /** Of the hook, of git, or of the remote. */
  words: string;
}

const before = (gitDir: string) => join(gitDir, "mu-index-before");

/**
 * Commits these paths and what is staged, with the repository's hooks and the user's signature. Gives the commit, null
 * if there is nothing to commit, or the words of who refused it, after which the index is as before. Faults as `VcsBackend`.
 */
export async function commitPaths(
  world: VcsWorld,
  outlet: Outlet,
  { paths, message }: { paths: readonly string[]; message: string },
): Promise<{ commit: string | null } | { refused: string }> {
  const { path, gitDir } = outlet;
  const head = outlet.head ?? undefined;
  await rm(before(gitDir), { force: true });
  await copyIndex(join(gitDir, "index"), before(gitDir));
  try {
    const input = paths.map((one) => `${one}\0`).join("");
    await runGit(world, path, ["update-index", "-z", "--add", "--remove", "--replace", "--stdin"], {
      ...{ input, locks: true },
    });
    const { code } = await runGit(world, path, ["diff", "--cached", "--quiet"], { okCodes: [1] });
    if (code === 0) return { commit: null };
    const args = ["commit", "--quiet", "--cleanup=verbatim", "--file=-"];
    const made = await runGit(world, path, args, { input: message, okCodes: "any", locks: true });
    const now = await findCommit(world, path, "HEAD");
    if (now !== undefined && now !== head) return { commit: now };
    await restoreIndex(outlet);
    return { refused: wordsOf(world, made) };
  } catch (error) {
    if ((await findCommit(world, path, "HEAD")) === head) await restoreIndex(outlet);
    throw error;
  }
}

/** Puts the index back that was there before `commitPaths`. */
async function restoreIndex({ gitDir }: Outlet): Promise<void> {
  if (existsSync(before(gitDir))) await rename(before(gitDir), join(gitDir, "index"));
  else await rm(join(gitDir, "index"), { force: true });
}

/** Takes back a commit that `commitPaths` has made and that nobody has seen. Faults `vcs.failed` if the branch has moved. */
export async function takeBack(world: VcsWorld, outlet: Outlet, commit: string): Promise<void> {
  const words = outlet.head === null ? ["-d", "HEAD", commit] : ["HEAD", outlet.head, commit];
  await runGit(world, outlet.path, ["update-ref", "-m", "taken back: the push was refused", ...words], { locks: true });
  await restoreIndex(outlet);
}

/** Forgets the index that `takeBack` would put back. */
export const keepCommit = ({ gitDir }: Outlet): Promise<void> => rm(before(gitDir), { force: true });

const PUSH_TIMEOUT_MS = 300_000;

/** Pushes a branch to its upstream, never with force; gives why that was refused. Faults as `VcsBackend`. */
export async function pushUpstream(
  world: VcsWorld,
  path: string,
  { branch, remote, ref }: Upstream & { branch: string },
): Promise<Refusal | undefined> {
  const args = ["push", "--porcelain", remote, `refs/heads/${branch}:${ref}`];
  const options = { okCodes: "any", timeoutMs: PUSH_TIMEOUT_MS, locks: true } as const;
  const pushed = await runGit(world, path, args, options).catch((error) => {
    // It took too long, or was ended.
    const { code, message: stderr } = asFault(error);
    if (code !== "vcs.failed") throw error;
    return { code: 128, stdout: "", stderr };
  });
  if (pushed.code === 0) return undefined;
  // The remote's answer has a line for each branch; without one the push never got there.
  const wasAnswered = /^(?:To |!\t)/m.test(pushed.stdout);
  const hook = await gitLine(world, path, ["rev-parse", "--path-format=absolute", "--git-path", "hooks/pre-push"]);
  if (pushed.code === 1 && !wasAnswered && existsSync(hook)) return { by: "hook", words: wordsOf(world, pushed) };
  return { by: "remote", words: redact(pushWords(pushed), secretsIn(world.env)) };
}

const MOST_LINES = 12;

/** What hooks and git have said, the last lines. */
function wordsOf({ env }: VcsWorld, { stdout, stderr }: { stdout: string; stderr: string }): string {
  const lines = `${stdout}\n${stderr}`.split(/[\r\n]+/).map((line) => line.trimEnd());
  const said = lines.filter((line) => line !== "" && !/^(?:hint:|error: failed to push some refs)/.test(line));
  return redact(said.slice(-MOST_LINES).join("\n").slice(-2000), secretsIn(env)) || "it said nothing";
}

/** A commit after `from` (null: any) whose message `isIt`; undefined if there is none among the newest. */
export async function findMessage(
  world: VcsWorld,
  { path, head }: Outlet,
  from: string | null,
  isIt: (message: string) => boolean,
): Promise<string | undefined> {
  if (head === null || head === from) return undefined;
  const span = from === null ? head : `${from}..${head}`;
  const args = ["log", "-z", "--first-parent", "-n", "100", "--format=%H%n%B", span];
  for (const entry of await gitEntries(world, path, args, { okCodes: [128] })) {
    const [commit = "", ...lines] = entry.split("\n");
    if (isIt(lines.join("\n"))) return commit;
  }
  return undefined;
}

/** True if HEAD has the file. */
export async function isCommitted(world: VcsWorld, { path }: Outlet, file: string): Promise<boolean> {
  return (await runGit(world, path, ["cat-file", "-e", `HEAD:${file}`], { okCodes: [1, 128] })).code === 0;
}

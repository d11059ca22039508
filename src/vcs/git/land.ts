import { existsSync } from "node:fs";
import { lstat, mkdir, readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault } from "../../errors.js";
import { enumerate, quote, shellWord } from "../../names.js";
import type { Lander, LandingTarget, Tip } from "../lander.js";
import { errorText } from "../program.js";
import type { CommitRange, VcsWorld } from "../vcs.js";
import { findGitDir, operationIn } from "./git-dir.js";
import { existingCommits } from "./history.js";
import { gitReplayer } from "./replay.js";
import { findCommit, gitEntries, gitFault, gitLine, gitLines, NO_HOOKS, runGit } from "./run.js";
import { target } from "./target.js";
import { removeScratch } from "./worktree.js";

/** The scratch checkout runs no hooks. */
const SCRATCH = [...NO_HOOKS, "-c", "submodule.recurse=false"];

const PUSH_TIMEOUT_MS = 300_000;

/** Lands with git: replays on objects, and moves the branch by compare-and-swap or by fast-forwarding its checkout. */
export const gitLander: Lander = {
  target: findTarget,
  async missing(world, root, commits) {
    const existing = new Set(await existingCommits(world, root, commits));
    return commits.filter((commit) => !existing.has(commit));
  },
  replayer: gitReplayer,
  async requireClean(world, root, branch) {
    const { checkout, held } = await locateBranch(world, root, branch);
    const obstacle = checkout === undefined ? held : await uncommittedChanges(world, checkout.path);
    if (obstacle !== undefined) throw checkoutDirty(branch, obstacle);
  },
  async requireRoom(world, root, { branch, from, to }) {
    const { checkout } = await locateBranch(world, root, branch);
    if (checkout === undefined) return;
    const files = await untrackedConflicts(world, checkout.path, { from, to });
    if (files.length > 0) throw checkoutDirty(branch, { path: checkout.path, files, underway: null });
  },
  advance,
  async takeBack(world, root, { branch, from, to }) {
    const { checkout } = await locateBranch(world, root, branch);
    if (checkout !== undefined) await takeBack(world, checkout.path, { from, to });
  },
  async contains(world, root, branch, commit) {
    const args = ["merge-base", "--is-ancestor", commit, `refs/heads/${branch}`];
    return (await runGit(world, root, args, { okCodes: [1, 128] })).code === 0;
  },
  async scratch(world, root, path, commit) {
    if (existsSync(path)) {
      await runGit(world, path, [...SCRATCH, "reset", "-q", "--hard", commit]);
      await runGit(world, path, [...SCRATCH, "clean", "-qffd"]);
      return;
    }
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await runGit(world, root, [...SCRATCH, "worktree", "add", "-q", "--detach", path, commit]);
  },
  removeScratch,
  async remote(world, root, branch) {
    const remotes = await gitLines(world, root, ["remote"]);
    const chosen = await gitLine(world, root, ["config", "--get", `branch.${branch}.remote`], { okCodes: [1] });
    return [chosen, "origin", ...remotes].find((name) => remotes.includes(name));
  },
  async push(world, root, { remote, branch }) {
    const refs = `refs/heads/${branch}:refs/heads/${branch}`;
    const options = { okCodes: [1, 128], timeoutMs: PUSH_TIMEOUT_MS, locks: true };
    const pushed = await runGit(world, root, ["push", "--porcelain", remote, refs], options);
    return pushed.code === 0 ? undefined : pushWords(pushed);
  },
};

/** The local branch, else a remote's. Faults `vcs.unknown_ref`. */
async function findTarget(world: VcsWorld, root: string, branch: string): Promise<LandingTarget> {
  const here = await tipOf(world, root, `refs/heads/${branch}`);
  if (here !== undefined) return { branch, ...here, exists: true };
  const { commit } = await target(world, root, branch);
  const there = await tipOf(world, root, commit);
  return { branch, commit, tree: there?.tree ?? commit, exists: false };
}

async function tipOf(world: VcsWorld, root: string, ref: string): Promise<Tip | undefined> {
  const args = ["rev-parse", "-q", `${ref}^{commit}`, `${ref}^{tree}`];
  const { code, stdout } = await runGit(world, root, args, { okCodes: [1, 128] });
  const [commit = "", tree = ""] = stdout.split("\n");
  return code === 0 ? { commit, tree } : undefined;
}

async function advance(
  world: VcsWorld,
  root: string,
  { target, to }: { target: LandingTarget; to: string },
): Promise<"advanced" | "moved"> {
  const { checkout, held } = await locateBranch(world, root, target.branch);
  if (held !== undefined) throw checkoutDirty(target.branch, held);
  if (checkout === undefined) return swap(world, root, { target, to });
  if (checkout.head !== target.commit) return "moved";
  const changes = await uncommittedChanges(world, checkout.path);
  if (changes !== undefined) throw checkoutDirty(target.branch, changes);
  return forward(world, checkout.path, { target, to });
}

/** For a branch that is not checked out: moves only the ref. */
async function swap(world: VcsWorld, root: string, { target, to }: { target: LandingTarget; to: string }) {
  const ref = `refs/heads/${target.branch}`;
  const from = target.exists ? target.commit : "0".repeat(target.commit.length);
  const args = ["update-ref", "-m", "mu land", ref, to, from];
  const { code, stdout, stderr } = await runGit(world, root, args, { okCodes: [1, 128], locks: true });
  if (code === 0) return "advanced";
  if (/ but expected |reference already exists|unable to resolve reference/.test(stderr)) return "moved";
  throw gitFault(root, args, { code, stdout, stderr });
}

/** For a branch that is checked out and clean: moves its files too. git refuses if a file would be lost. */
async function forward(world: VcsWorld, path: string, { target, to }: { target: LandingTarget; to: string }) {
  const settings = ["-c", "submodule.recurse=false", "-c", "merge.autoStash=false"];
  const args = [...settings, "merge", "-q", "--ff-only", "--no-overwrite-ignore", "--no-stat", to];
  const options = { okCodes: [1, 2, 128], locks: true, env: { GIT_REFLOG_ACTION: "mu land" } };
  const { code, stdout, stderr } = await runGit(world, path, args, options);
  // git moves whatever is checked out, which may be another branch by now.
  const now = await findCommit(world, path, `refs/heads/${target.branch}`);
  if (now === to) return "advanced";
  if (code === 0) await restoreHead(world, path, { from: target.commit, to });
  if (code === 0) return "moved";
  if (now !== target.commit) return "moved";
  await takeBack(world, path, { from: target.commit, to });
  const files = stderr.split("\n").flatMap((line) => (line.startsWith("\t") ? [line.trim()] : []));
  if (files.length > 0) throw checkoutDirty(target.branch, { path, files, underway: null });
  throw gitFault(path, args, { code, stdout, stderr });
}

/** Moves HEAD back if git moved another branch than ours, unless it has changed since. */
async function restoreHead(world: VcsWorld, path: string, { from, to }: CommitRange): Promise<void> {
  const head = await findCommit(world, path, "HEAD");
  if (head === to) await runGit(world, path, ["reset", "-q", "--keep", from], { okCodes: [1, 128], locks: true });
}

/**
 * git moves the files first and the branch last: if it was killed in between, the index is that of `to` on a branch at
 * `from`. Only then are the files moved back.
 */
async function takeBack(world: VcsWorld, path: string, { from, to }: CommitRange): Promise<void> {
  const staged = await runGit(world, path, ["diff-index", "--cached", "--quiet", to, "--"], { okCodes: [1, 128] });
  const head = await findCommit(world, path, "HEAD");
  if (staged.code !== 0 || head !== from) return;
  await runGit(world, path, ["read-tree", "-m", "-u", to, from], { okCodes: [1, 128], locks: true });
}

function checkoutDirty(branch: string, { path, files, underway }: Obstacle): Fault {
  const what = underway === null ? `has uncommitted changes (${enumerate(files, 5)})` : `has a ${underway} in progress`;
  return new Fault(
    "conflict",
    "landing.checkout_dirty",
    `${branch} is checked out in ${quote(path)}, which ${what}. Nothing landed.`,
    [
      { intent: "See its status", command: `git -C ${shellWord(path)} status` },
      { intent: "Commit or stash the changes", command: `git -C ${shellWord(path)} stash -u` },
    ],
    { path, files, underway },
  );
}

/** Extracts `!\trefs…\t[rejected] (fetch first)` and the remote's messages. */
function pushWords({ stdout, stderr }: { stdout: string; stderr: string }): string {
  const rejected = stdout.split("\n").flatMap((line) => (line.startsWith("!") ? [line.split("\t")[2] ?? ""] : []));
  const remote = stderr.split("\n").flatMap((line) => (line.startsWith("remote:") ? [line.slice(7).trim()] : []));
  const words = [...rejected, ...remote].filter((text) => text !== "");
  return words.length > 0 ? words.join("; ") : errorText(stderr);
}

/** Why a branch cannot be moved now: its checkout has work in progress. */
interface Obstacle {
  path: string;
  /** Uncommitted or untracked files that block the move. */
  files: string[];
  /** An operation in progress, such as a rebase. */
  underway: string | null;
}

interface WorkTree {
  path: string;
  head: string | null;
  /** The full ref of its branch; null if HEAD is detached. */
  branch: string | null;
}

/** Where a branch is checked out, and what else keeps it from being moved. */
interface BranchPlace {
  checkout: WorkTree | undefined;
  /** A checkout that is rebasing or bisecting the branch and will return to it. */
  held: Obstacle | undefined;
}

/** Finds where a branch is in use. Ignores work trees whose folder is gone. */
async function locateBranch(world: VcsWorld, root: string, branch: string): Promise<BranchPlace> {
  const trees = await workTrees(world, root);
  const checkout = trees.find((tree) => tree.branch === `refs/heads/${branch}`);
  const detached = trees.filter((tree) => tree.branch === null);
  const held = await Promise.all(detached.map((tree) => holding(tree, branch)));
  return { checkout, held: held.find((obstacle) => obstacle !== undefined) };
}

async function workTrees(world: VcsWorld, root: string): Promise<WorkTree[]> {
  const { stdout } = await runGit(world, root, ["worktree", "list", "--porcelain", "-z"]);
  const blocks = stdout.split("\0\0").filter((block) => block !== "");
  return blocks.flatMap((block) => {
    const fields = new Map(block.split("\0").map((line) => split(line)));
    const path = fields.get("worktree") ?? "";
    if (fields.has("bare") || fields.has("prunable") || !existsSync(path)) return [];
    return [{ path, head: fields.get("HEAD") ?? null, branch: fields.get("branch") ?? null }];
  });
}

function split(line: string): [string, string] {
  const space = line.indexOf(" ");
  return space < 0 ? [line, ""] : [line.slice(0, space), line.slice(space + 1)];
}

/** Files that name the branch to return to. */
const RETURNS: readonly (readonly [file: string, name: string])[] = [
  ["rebase-merge/head-name", "rebase"],
  ["rebase-apply/head-name", "rebase"],
  ["BISECT_START", "bisect"],
];

async function holding(tree: WorkTree, branch: string): Promise<Obstacle | undefined> {
  const folder = (await findGitDir(tree.path)) ?? tree.path;
  for (const [file, underway] of RETURNS) {
    const name = (await readFile(join(folder, file), "utf8").catch(() => "")).trim();
    if (name === `refs/heads/${branch}` || name === branch) return { path: tree.path, files: [], underway };
  }
  return undefined;
}

/** Uncommitted changes, without untracked files, and operations in progress; undefined for a clean checkout. */
async function uncommittedChanges(world: VcsWorld, path: string): Promise<Obstacle | undefined> {
  const args = ["status", "--porcelain=v1", "-z", "--untracked-files=no", "--ignore-submodules=dirty", "--no-renames"];
  const files = (await gitEntries(world, path, args)).map((line) => line.slice(3));
  const folder = (await findGitDir(path)) ?? path;
  const underway = operationIn(await readdir(folder));
  return files.length > 0 || underway !== null ? { path, files, underway } : undefined;
}

/** Untracked files of `path` that moving from one commit to another would overwrite. */
async function untrackedConflicts(world: VcsWorld, path: string, { from, to }: CommitRange): Promise<string[]> {
  const args = ["diff", "--name-only", "--no-renames", "--diff-filter=A", "-z", from, to];
  const added = await gitEntries(world, path, args);
  const isInTheWay = (name: string) =>
    lstat(join(path, name))
      .then((found) => !found.isDirectory())
      .catch(() => false);
  const inTheWay = await Promise.all(added.map(isInTheWay));
  return added.filter((_, index) => inTheWay[index]);
}

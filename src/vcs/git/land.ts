import { existsSync } from "node:fs";
import { lstat, mkdir, readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault } from "../../errors.js";
import { quote, shellWord } from "../../names.js";
import type { Lander, LandingTarget, Tip } from "../lander.js";
import type { VcsWorld } from "../vcs.js";
import { findGitDir, underwayIn } from "./git-dir.js";
import { gitReplayer } from "./replay.js";
import { gitFault, gitLine, gitWords, runGit } from "./run.js";
import { target } from "./target.js";
import { removeScratch } from "./worktree.js";

/** The scratch is nobody's checkout: what a repository does at a checkout is for people's. */
const NO_HOOKS = ["-c", "core.hooksPath=/dev/null", "-c", "submodule.recurse=false"];

const PUSH_TIMEOUT_MS = 300_000;

/** Landing with git: replays on objects, moves the branch by compare-and-swap or by a fast-forward of its checkout. */
export const gitLander: Lander = {
  target: findTarget,
  async missing(world, root, commits) {
    const { stdout } = await runGit(world, root, ["cat-file", "--batch-check=%(objecttype)"], {
      input: commits.map((commit) => `${commit}^{commit}\n`).join(""),
    });
    const types = stdout.split("\n");
    return commits.filter((_, index) => types[index] !== "commit");
  },
  replayer: gitReplayer,
  async requireClean(world, root, branch) {
    const { checkout, held } = await placeOfBranch(world, root, branch);
    const obstacle = checkout === undefined ? held : await dirtOf(world, checkout.path);
    if (obstacle !== undefined) throw checkoutDirty(branch, obstacle);
  },
  async requireRoom(world, root, { branch, from, to }) {
    const { checkout } = await placeOfBranch(world, root, branch);
    if (checkout === undefined) return;
    const files = await strangersOf(world, checkout.path, { from, to });
    if (files.length > 0) throw checkoutDirty(branch, { path: checkout.path, files, underway: null });
  },
  advance,
  async takeBack(world, root, { branch, from, to }) {
    const { checkout } = await placeOfBranch(world, root, branch);
    if (checkout !== undefined) await takeBack(world, checkout.path, { from, to });
  },
  async contains(world, root, branch, commit) {
    const args = ["merge-base", "--is-ancestor", commit, `refs/heads/${branch}`];
    return (await runGit(world, root, args, { okCodes: [1, 128] })).code === 0;
  },
  async scratch(world, root, path, commit) {
    if (existsSync(path)) {
      await runGit(world, path, [...NO_HOOKS, "reset", "-q", "--hard", commit]);
      await runGit(world, path, [...NO_HOOKS, "clean", "-qffd"]);
      return;
    }
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await runGit(world, root, [...NO_HOOKS, "worktree", "add", "-q", "--detach", path, commit]);
  },
  removeScratch,
  async remote(world, root, branch) {
    const { stdout } = await runGit(world, root, ["remote"]);
    const remotes = stdout.split("\n").filter((name) => name !== "");
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

/** The branch here; else the one that only a remote has. Faults `vcs.unknown_ref`. */
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
  const { checkout, held } = await placeOfBranch(world, root, target.branch);
  if (held !== undefined) throw checkoutDirty(target.branch, held);
  if (checkout === undefined) return swap(world, root, { target, to });
  if (checkout.head !== target.commit) return "moved";
  const dirt = await dirtOf(world, checkout.path);
  if (dirt !== undefined) throw checkoutDirty(target.branch, dirt);
  return forward(world, checkout.path, { target, to });
}

/** The branch is checked out nowhere: only the ref moves. */
async function swap(world: VcsWorld, root: string, { target, to }: { target: LandingTarget; to: string }) {
  const ref = `refs/heads/${target.branch}`;
  const from = target.exists ? target.commit : "0".repeat(target.commit.length);
  const args = ["update-ref", "-m", "mu land", ref, to, from];
  const { code, stdout, stderr } = await runGit(world, root, args, { okCodes: [1, 128], locks: true });
  if (code === 0) return "advanced";
  if (/ but expected |reference already exists|unable to resolve reference/.test(stderr)) return "moved";
  throw gitFault(root, args, { code, stdout, stderr });
}

/** The branch is checked out and clean: its files go along. git itself gives way to a file that would be lost. */
async function forward(world: VcsWorld, path: string, { target, to }: { target: LandingTarget; to: string }) {
  const settings = ["-c", "submodule.recurse=false", "-c", "merge.autoStash=false"];
  const args = [...settings, "merge", "-q", "--ff-only", "--no-overwrite-ignore", "--no-stat", to];
  const options = { okCodes: [1, 2, 128], locks: true, env: { GIT_REFLOG_ACTION: "mu land" } };
  const { code, stdout, stderr } = await runGit(world, path, args, options);
  // git moves whatever is checked out: somebody may have gone to another branch in that moment.
  const asked = ["rev-parse", "--verify", "-q", `refs/heads/${target.branch}`];
  const now = await gitLine(world, path, asked, { okCodes: [1, 128] });
  if (now === to) return "advanced";
  if (code === 0) await giveBackHead(world, path, { from: target.commit, to });
  if (code === 0) return "moved";
  if (now !== target.commit) return "moved";
  await takeBack(world, path, { from: target.commit, to });
  const files = stderr.split("\n").flatMap((line) => (line.startsWith("\t") ? [line.trim()] : []));
  if (files.length > 0) throw checkoutDirty(target.branch, { path, files, underway: null });
  throw gitFault(path, args, { code, stdout, stderr });
}

/** Sets what was moved in the branch's place back to where it was, unless something was done there since. */
async function giveBackHead(world: VcsWorld, path: string, { from, to }: { from: string; to: string }): Promise<void> {
  const head = await gitLine(world, path, ["rev-parse", "-q", "--verify", "HEAD"], { okCodes: [1, 128] });
  if (head === to) await runGit(world, path, ["reset", "-q", "--keep", from], { okCodes: [1, 128], locks: true });
}

/**
 * git moves the files first and the branch last: where the branch was refused, or git was killed in between, the index
 * is that of `to` on a branch at `from`. Then, and only then, the files go back.
 */
async function takeBack(world: VcsWorld, path: string, { from, to }: { from: string; to: string }): Promise<void> {
  const staged = await runGit(world, path, ["diff-index", "--cached", "--quiet", to, "--"], { okCodes: [1, 128] });
  const head = await gitLine(world, path, ["rev-parse", "-q", "--verify", "HEAD"], { okCodes: [1, 128] });
  if (staged.code !== 0 || head !== from) return;
  await runGit(world, path, ["read-tree", "-m", "-u", to, from], { okCodes: [1, 128], locks: true });
}

/** The fault for a branch that somebody works on; nothing of it was touched. */
function checkoutDirty(branch: string, { path, files, underway }: Obstacle): Fault {
  const what =
    underway === null
      ? `has files that are not committed (${files.slice(0, 5).join(", ")}${files.length > 5 ? ", …" : ""})`
      : `is in the middle of a ${underway}`;
  return new Fault(
    "conflict",
    "landing.checkout_dirty",
    `${branch} is checked out in ${quote(path)}, which ${what}. It was not touched, and nothing landed.`,
    [
      { intent: "See what is open there", command: `git -C ${shellWord(path)} status` },
      { intent: "Commit it, or put it aside", command: `git -C ${shellWord(path)} stash -u` },
    ],
    { path, files, underway },
  );
}

/** `!\trefs…\t[rejected] (fetch first)` and what the other side said. */
function pushWords({ stdout, stderr }: { stdout: string; stderr: string }): string {
  const rejected = stdout.split("\n").flatMap((line) => (line.startsWith("!") ? [line.split("\t")[2] ?? ""] : []));
  const remote = stderr.split("\n").flatMap((line) => (line.startsWith("remote:") ? [line.slice(7).trim()] : []));
  const words = [...rejected, ...remote].filter((text) => text !== "");
  return words.length > 0 ? words.join("; ") : gitWords(stderr);
}

/** Why a branch cannot be moved now: the checkout that has it is somebody's work in progress. */
interface Obstacle {
  /** The checkout. */
  path: string;
  /** Files changed and not committed, or in the way. */
  files: string[];
  /** What somebody began there and did not end, such as a rebase. */
  underway: string | null;
}

/** One work tree of a repository. */
interface WorkTree {
  path: string;
  head: string | null;
  /** The full name of the branch that it has; null when it is detached. */
  branch: string | null;
}

/** The checkout that has the branch, and whatever else keeps the branch from being moved. */
interface BranchPlace {
  checkout: WorkTree | undefined;
  /** A checkout that left the branch to rebase or bisect it, and will come back to it. */
  held: Obstacle | undefined;
}

/** Where a branch is in use. A work tree whose folder is gone does not count. */
async function placeOfBranch(world: VcsWorld, root: string, branch: string): Promise<BranchPlace> {
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

/** The files that hold the name of the branch that somebody will come back to. */
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

/** Why nobody but its owner may touch this checkout; undefined when it is clean. Untracked files do not count. */
async function dirtOf(world: VcsWorld, path: string): Promise<Obstacle | undefined> {
  const args = ["status", "--porcelain=v1", "-z", "--untracked-files=no", "--ignore-submodules=dirty", "--no-renames"];
  const { stdout } = await runGit(world, path, args);
  const files = stdout.split("\0").flatMap((line) => (line === "" ? [] : [line.slice(3)]));
  const folder = (await findGitDir(path)) ?? path;
  const underway = underwayIn(await readdir(folder));
  return files.length > 0 || underway !== null ? { path, files, underway } : undefined;
}

/** Files of `path` that are not in version control and would be written over by going from one commit to another. */
async function strangersOf(
  world: VcsWorld,
  path: string,
  { from, to }: { from: string; to: string },
): Promise<string[]> {
  const args = ["diff", "--name-only", "--no-renames", "--diff-filter=A", "-z", from, to];
  const { stdout } = await runGit(world, path, args);
  const added = stdout.split("\0").filter((name) => name !== "");
  const there = await Promise.all(
    added.map((name) =>
      lstat(join(path, name)).then(
        (found) => !found.isDirectory(),
        () => false,
      ),
    ),
  );
  return added.filter((_, index) => there[index]);
}

import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Fault } from "../../errors.js";
import { quote, shellWord } from "../../names.js";
import type { Lander, LandingTarget, Tip } from "../lander.js";
import type { VcsWorld } from "../vcs.js";
import { dirtOf, type Obstacle, placeOfBranch, strangersOf } from "./checkouts.js";
import { clearFolder } from "./clear.js";
import { worktreesDirOf } from "./places.js";
import { gitReplayer } from "./replay.js";
import { gitFault, gitLine, gitWords, runGit } from "./run.js";
import { target } from "./target.js";

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

/**
 * What the repository knows of it goes first, and its folder last: as long as the folder is there, whoever comes after a
 * crash finds it. Its name is like no other, and git's entry has the same.
 */
async function removeScratch(_world: VcsWorld, root: string, path: string): Promise<void> {
  const entries = await worktreesDirOf(root);
  if (entries !== undefined) await rm(join(entries, basename(path)), { recursive: true, force: true });
  await clearFolder(path);
}

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

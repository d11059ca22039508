import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Lander, LandingTarget, Tip } from "../lander.js";
import { errorText } from "../program.js";
import type { VcsWorld } from "../vcs.js";
import { commonDirOf, gitDirOf } from "./git-dir.js";
import { existingCommits } from "./history.js";
import { advance } from "./move.js";
import { gitReplayer } from "./replay.js";
import { revert } from "./revert.js";
import { findCheckout, requireRoom } from "./room.js";
import { gitLine, gitLines, NO_HOOKS, runGit } from "./run.js";
import { settleMove } from "./settle-move.js";
import { fillSubmodules } from "./submodules.js";
import { commitOf, target } from "./target.js";
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
  revert,
  async lockFile(root) {
    return join(await commonDirOf(await gitDirOf(root)), "mu", "landing.db");
  },
  async requireRoom(world, root, { branch, from, to }) {
    const path = await findCheckout(world, root, branch);
    if (path !== undefined) await requireRoom(world, { path, branch, from, to });
  },
  advance,
  settle: settleMove,
  commit: commitOf,
  async contains(world, root, branch, commit) {
    const args = ["merge-base", "--is-ancestor", commit, `refs/heads/${branch}`];
    return (await runGit(world, root, args, { okCodes: [1, 128] })).code === 0;
  },
  async scratch(world, root, path, commit) {
    if (existsSync(path)) {
      await runGit(world, path, [...SCRATCH, "reset", "-q", "--hard", commit]);
      await runGit(world, path, [...SCRATCH, "clean", "-qffd"]);
    } else {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await runGit(world, root, [...SCRATCH, "worktree", "add", "-q", "--detach", path, commit]);
    }
    await fillSubmodules(world, root, path, commit);
  },
  async dropIgnored(world, root, path, commit) {
    const { code } = await runGit(world, path, [...SCRATCH, "clean", "-qffdx"], { okCodes: [1] });
    if (code === 0) return;
    // Package caches may be read-only.
    await removeScratch(world, root, path);
    await gitLander.scratch(world, root, path, commit);
  },
  async differ(world, root, { from, to }, globs) {
    const args = ["diff-tree", "--quiet", "-r", from, to, "--", ...globs.map((glob) => `:(glob)${glob}`)];
    return (await runGit(world, root, args, { okCodes: [1] })).code === 1;
  },
  removeScratch,
  async remote(world, root, branch) {
    const remotes = await gitLines(world, root, ["remote"]);
    const chosen = await gitLine(world, root, ["config", "--get", `branch.${branch}.remote`], { okCodes: [1] });
    return [chosen, "origin", ...remotes].find((name) => remotes.includes(name));
  },
  async fetch(world, root, { remote, branch }) {
    const ref = `refs/remotes/${remote}/${branch}`;
    const args = ["fetch", "-q", "--no-tags", remote, `+refs/heads/${branch}:${ref}`];
    await runGit(world, root, args, { timeoutMs: PUSH_TIMEOUT_MS, locks: true });
    const tip = await tipOf(world, root, ref);
    if (tip === undefined) throw new Error(`git fetched no ${ref}`);
    return { branch, ...tip, exists: true };
  },
  async remoteTip(world, root, { remote, branch }) {
    const args = ["ls-remote", remote, `refs/heads/${branch}`];
    return (await gitLine(world, root, args, { timeoutMs: PUSH_TIMEOUT_MS })).split("\t")[0] || undefined;
  },
  async publish(world, root, { remote, branch, commit, replaces = "" }) {
    const ref = `refs/heads/${branch}`;
    const args = ["push", "--porcelain", `--force-with-lease=${ref}:${replaces}`, remote, `${commit}:${ref}`];
    const pushed = await runGit(world, root, args, { okCodes: [1, 128], timeoutMs: PUSH_TIMEOUT_MS, locks: true });
    return pushed.code === 0 ? undefined : pushWords(pushed);
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

/** Extracts `!\trefs…\t[rejected] (fetch first)` and the remote's messages. */
export function pushWords({ stdout, stderr }: { stdout: string; stderr: string }): string {
  const rejected = stdout.split("\n").flatMap((line) => (line.startsWith("!") ? [line.split("\t")[2] ?? ""] : []));
  const remote = stderr.split("\n").flatMap((line) => (line.startsWith("remote:") ? [line.slice(7).trim()] : []));
  const words = [...rejected, ...remote].filter((text) => text !== "");
  return words.length > 0 ? words.join("; ") : errorText(stderr);
}

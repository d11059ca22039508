import { existsSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault } from "../../errors.js";
import { enumerate, quote, shellWord } from "../../names.js";
import type { Lander, LandingTarget, Move, Tip } from "../lander.js";
import { errorText } from "../program.js";
import type { VcsWorld } from "../vcs.js";
import { type Changes, foldersAbove, pathsOf, readChanges } from "./changes.js";
import { commonDirOf, findGitDir, gitDirOf, operationIn } from "./git-dir.js";
import { existingCommits } from "./history.js";
import type { IndexDraft } from "./index-draft.js";
import { moveCheckout } from "./move.js";
import { gitReplayer } from "./replay.js";
import { gitEntries, gitFault, gitLine, gitLines, NO_HOOKS, runGit } from "./run.js";
import { hasFile, settleMove } from "./settle-move.js";
import { fillSubmodules } from "./submodules.js";
import { commitOf, target } from "./target.js";
import { removeScratch, workTrees } from "./worktree.js";

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
  async lockFile(root) {
    return join(await commonDirOf(await gitDirOf(root)), "mu", "landing.db");
  },
  async requireRoom(world, root, { branch, from, to }) {
    const { checkout, held } = await locateBranch(world, root, branch);
    if (held !== undefined) throw checkoutDirty(branch, held);
    if (checkout !== undefined) await requireRoom(world, { path: checkout.path, branch, from, to });
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
  { target, to, note }: { target: LandingTarget; to: string; note: (move: Move | null) => void },
): Promise<"advanced" | "moved"> {
  const { checkout, held } = await locateBranch(world, root, target.branch);
  if (held !== undefined) throw checkoutDirty(target.branch, held);
  if (checkout === undefined) {
    note(null);
    const swapped = await swap(world, root, { target, to });
    // The user may have checked it out in between.
    const late = swapped === "advanced" ? (await locateBranch(world, root, target.branch)).checkout : undefined;
    if (late !== undefined) await settleMove(world, { ...target, path: late.path, from: target.commit, to });
    return swapped;
  }
  const move = { path: checkout.path, branch: target.branch, from: target.commit, to };
  return moveCheckout(world, move, {
    requireRoom: (draft) => requireRoom(world, move, draft),
    note,
    swap: () => swap(world, root, { target, to }),
  });
}

/** Moves only the ref. */
async function swap(world: VcsWorld, root: string, { target, to }: { target: LandingTarget; to: string }) {
  const ref = `refs/heads/${target.branch}`;
  const from = target.exists ? target.commit : "0".repeat(target.commit.length);
  const args = ["update-ref", "-m", "mu land", ref, to, from];
  const { code, stdout, stderr } = await runGit(world, root, args, { okCodes: [1, 128], locks: true });
  if (code === 0) return "advanced";
  if (/ but expected |reference already exists|unable to resolve reference/.test(stderr)) return "moved";
  throw gitFault(root, args, { code, stdout, stderr });
}

function checkoutDirty(branch: string, { path, files, underway }: Obstacle): Fault {
  const git = `git -C ${shellWord(path)}`;
  const what =
    underway === null
      ? `has uncommitted changes to files that would land (${enumerate(files, 5)})`
      : `has a ${underway} in progress`;
  const words = files.map((file) => shellWord(file)).join(" ");
  const stash = { intent: "Put those changes away", command: `${git} stash push --all -- ${words}` };
  return new Fault(
    "conflict",
    "landing.checkout_dirty",
    `${branch} is checked out in ${quote(path)}, which ${what}. The work stays finished and lands after that.`,
    [{ intent: "See its status", command: `${git} status` }, ...(files.length > 0 ? [stash] : [])],
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

/** Where a branch is checked out, and what else keeps it from being moved. */
interface BranchPlace {
  checkout: { path: string } | undefined;
  /** A checkout that is rebasing or bisecting the branch and will return to it. */
  held: Obstacle | undefined;
}

/** Finds where a branch is in use. */
async function locateBranch(world: VcsWorld, root: string, branch: string): Promise<BranchPlace> {
  const trees = await workTrees(world, root);
  const checkout = trees.find((tree) => tree.branch === `refs/heads/${branch}`);
  const detached = trees.filter((tree) => tree.branch === undefined);
  const held = await Promise.all(detached.map(({ path }) => holding(path, branch)));
  return { checkout, held: held.find((obstacle) => obstacle !== undefined) };
}

/** Files that name the branch to return to. */
const RETURNS: readonly (readonly [file: string, name: string])[] = [
  ["rebase-merge/head-name", "rebase"],
  ["rebase-apply/head-name", "rebase"],
  ["BISECT_START", "bisect"],
];

async function holding(path: string, branch: string): Promise<Obstacle | undefined> {
  const folder = (await findGitDir(path)) ?? path;
  for (const [file, underway] of RETURNS) {
    const name = (await readFile(join(folder, file), "utf8").catch(() => "")).trim();
    if (name === `refs/heads/${branch}` || name === branch) return { path, files: [], underway };
  }
  return undefined;
}

/**
 * Faults if an operation is in progress, or if what the user has not committed meets what differs between the commits,
 * which it gives. With a `draft` of the index, reads the dates of the files into that.
 */
async function requireRoom(
  world: VcsWorld,
  { path, branch, from, to }: Move,
  draft?: IndexDraft["env"],
): Promise<Changes> {
  const underway = operationIn(await readdir((await findGitDir(path)) ?? path));
  if (underway !== null) throw checkoutDirty(branch, { path, files: [], underway });
  const status = ["status", "--porcelain=v1", "-z", "--untracked-files=no", "--ignore-submodules=all", "--no-renames"];
  const options = draft === undefined ? {} : { env: draft, locks: true };
  const [[changes = []], entries] = await Promise.all([
    readChanges(world, path, [[from, to]]),
    gitEntries(world, path, status, options),
  ]);
  const landing = new Set(pathsOf(changes));
  const changed = entries.map((line) => line.slice(3)).filter((name) => meets(name, landing));
  const added = changes.filter(({ before }) => before === null);
  const inTheWay = await Promise.all(added.map((change) => untrackedInTheWay(path, change.path, landing)));
  const files = [...new Set([...changed, ...inTheWay.flat()])];
  if (files.length > 0) throw checkoutDirty(branch, { path, files, underway: null });
  return changes;
}

/** True if the path, or a folder above it that would have to be a file, is among `landing`. */
function meets(name: string, landing: ReadonlySet<string>): boolean {
  return [name, ...foldersAbove([name])].some((path) => landing.has(path));
}

/** What stands where the landing adds a file: a file of that name, or one where a folder is needed. Ignored files too. */
async function untrackedInTheWay(path: string, name: string, landing: ReadonlySet<string>): Promise<string[]> {
  for (const above of foldersAbove([name])) if (!landing.has(above) && (await hasFile(path, above))) return [above];
  return (await hasFile(path, name)) ? [name] : [];
}

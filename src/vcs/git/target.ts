import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Fault } from "../../errors.js";
import { quote, shellWord } from "../../names.js";
import type { Target, VcsWorld } from "../vcs.js";
import { findGitDir, readBranch } from "./git-dir.js";
import { gitFault, gitLine, runGit } from "./run.js";
import { noCommits } from "./snapshot.js";

/**
 * The root of the repository that `folder` is in: the work tree of its main checkout, whichever linked checkout the
 * folder belongs to, else (a bare repository with worktrees) the git folder itself.
 */
export async function findRoot(world: VcsWorld, folder: string): Promise<string | undefined> {
  const args = ["rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir", "--is-inside-work-tree"];
  const result = await runGit(world, folder, args, { okCodes: [128] }).catch((error: unknown) => {
    if (error instanceof Fault && error.code === "vcs.not_installed" && !isInRepository(folder)) return undefined;
    throw error;
  });
  if (result === undefined) return undefined;
  if (result.code === 128 && /not a git repository/i.test(result.stderr)) return undefined;
  if (result.code !== 0) throw gitFault(folder, args, result);
  const [gitDir = "", commonDir = "", inside] = result.stdout.split("\n");
  if (gitDir === commonDir && inside === "true") return gitLine(world, folder, ["rev-parse", "--show-toplevel"]);
  return mainFolder(world, commonDir);
}

/** Whether a `.git` is in the folder or above it: without git itself that is all that can be known. */
function isInRepository(folder: string): boolean {
  return existsSync(join(folder, ".git")) || (dirname(folder) !== folder && isInRepository(dirname(folder)));
}

/** The main work tree of the repository whose shared git folder is `commonDir`; the git folder itself for a bare one. */
async function mainFolder(world: VcsWorld, commonDir: string): Promise<string> {
  const config = async (key: string) => gitLine(world, commonDir, ["config", "--get", key], { okCodes: [1] });
  if ((await config("core.bare")) === "true") return commonDir;
  const workTree = await config("core.worktree");
  if (workTree !== "") return resolve(commonDir, workTree);
  return commonDir.endsWith("/.git") ? dirname(commonDir) : commonDir;
}

/**
 * Where work lands, see `VcsBackend.target`. The commit is that of the local branch when there is one: that is the one
 * a landing moves. A wish may be any branch, local or of a remote. Faults `vcs.no_commits`.
 */
export async function target(world: VcsWorld, root: string, wish?: string): Promise<Target> {
  const branches = await listBranches(world, root);
  if (wish !== undefined) {
    const found = branchNamed(branches, wish.replace(/^refs\/heads\//, ""));
    if (found === undefined) throw unknownRef(root, wish);
    return found;
  }
  if (branches.length === 0 && (await gitLine(world, root, ["rev-list", "--all", "-n", "1"])) === "")
    throw noCommits(root);
  const found = await firstBranch(branches, await candidates(world, root, branches));
  if (found !== undefined) return found;
  throw new Fault("conflict", "vcs.no_target", `${quote(root)} is on no branch, and has neither main nor master.`, [
    { intent: "Make the branch that work shall land on", command: `git -C ${shellWord(root)} branch main` },
  ]);
}

interface Branch {
  ref: string;
  commit: string;
  /** Where a symbolic ref such as origin/HEAD points. */
  to: string;
}

async function listBranches(world: VcsWorld, root: string): Promise<Branch[]> {
  const format = "--format=%(refname)%00%(objectname)%00%(symref)";
  const { stdout } = await runGit(world, root, ["for-each-ref", format, "refs/heads", "refs/remotes"]);
  const lines = stdout.split("\n").filter((line) => line !== "");
  return lines.map((line) => {
    const [ref = "", commit = "", to = ""] = line.split("\0");
    return { ref, commit, to };
  });
}

const REMOTE_HEAD = /^refs\/remotes\/([^/]+)\/HEAD$/;

/** Short names of branches in the order in which they are taken. Lazily: most are never asked for. */
async function candidates(
  world: VcsWorld,
  root: string,
  branches: readonly Branch[],
): Promise<(() => Promise<string | undefined>)[]> {
  const heads = branches.filter((branch) => REMOTE_HEAD.test(branch.ref));
  const remoteHead = heads.find((branch) => branch.ref === "refs/remotes/origin/HEAD") ?? heads[0];
  return [
    async () => remoteHead?.to.replace(/^refs\/remotes\/[^/]+\//, ""),
    async () => "main",
    async () => "master",
    async () => gitLine(world, root, ["config", "--get", "init.defaultBranch"], { okCodes: [1] }),
    async () => currentBranch(root),
  ];
}

async function firstBranch(
  branches: readonly Branch[],
  names: readonly (() => Promise<string | undefined>)[],
): Promise<Target | undefined> {
  for (const name of names) {
    const branch = await name();
    const found = branch ? branchNamed(branches, branch) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The target on a branch of this short name: the local one, else origin's, else the only remote's that has it. */
function branchNamed(branches: readonly Branch[], name: string): Target | undefined {
  const local = branches.find(({ ref }) => ref === `refs/heads/${name}`);
  if (local !== undefined) return { branch: name, commit: local.commit };
  const tracking = branches.filter(({ ref }) => ref.replace(/^refs\/remotes\/[^/]+\//, "") === name);
  const remote = tracking.find(({ ref }) => ref.startsWith("refs/remotes/origin/")) ?? tracking[0];
  if (remote !== undefined) return { branch: name, commit: remote.commit };
  const [, short] = /^(?:refs\/remotes\/)?[^/]+\/(.+)$/.exec(name) ?? [];
  const spelled = branches.some(({ ref }) => ref === `refs/remotes/${name}` || ref === name);
  return short !== undefined && spelled ? branchNamed(branches, short) : undefined;
}

async function currentBranch(root: string): Promise<string | undefined> {
  const gitDir = await findGitDir(root);
  return gitDir === undefined ? undefined : readBranch(gitDir);
}

/** The fault for a name that is no commit or branch here. */
function unknownRef(root: string, ref: string): Fault {
  return new Fault("missing", "vcs.unknown_ref", `There is no branch or commit ${quote(ref)} in ${quote(root)}.`, [
    { intent: "See the branches", command: `git -C ${shellWord(root)} branch --all` },
  ]);
}

/** The commit that `ref` names in the repository at `root`. Faults `vcs.unknown_ref`. */
export async function commitOf(world: VcsWorld, root: string, ref: string): Promise<string> {
  if (ref.startsWith("-")) throw unknownRef(root, ref);
  const args = ["rev-parse", "--verify", "--quiet", `${ref}^{commit}`];
  const { stdout } = await runGit(world, root, args, { okCodes: [1, 128] });
  if (stdout.trim() === "") throw unknownRef(root, ref);
  return stdout.trim();
}

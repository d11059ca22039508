import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Fault } from "../../errors.js";
import { quote, shellWord } from "../../names.js";
import { findAbove } from "../folders.js";
import type { Target, VcsWorld } from "../vcs.js";
import { findGitDir, readBranch } from "./git-dir.js";
import { findCommit, gitFault, gitLine, gitLines, runGit } from "./run.js";
import { noCommits } from "./snapshot.js";

/** The work tree of the main checkout of the repository that `folder` is in; of a bare repository, its git folder. */
export async function findRoot(world: VcsWorld, folder: string): Promise<string | undefined> {
  const asked = ["--git-dir", "--git-common-dir", "--is-inside-work-tree", "--show-toplevel"];
  const args = ["rev-parse", "--path-format=absolute", ...asked];
  const result = await runGit(world, folder, args, { okCodes: [128] }).catch((error: unknown) => {
    if (error instanceof Fault && error.code === "vcs.not_installed" && !isInRepository(folder)) return undefined;
    throw error;
  });
  if (result === undefined) return undefined;
  if (result.code === 128 && /not a git repository/i.test(result.stderr)) return undefined;
  const [gitDir = "", commonDir = "", inside, top = ""] = result.stdout.split("\n");
  // Outside a work tree, git fails at the last question only.
  if (result.code !== 0 && inside !== "false") throw gitFault(folder, args, result);
  return gitDir === commonDir && inside === "true" ? top : mainFolder(world, commonDir);
}

/** True if the folder or one above it has a `.git`; for when git is not installed. */
function isInRepository(folder: string): boolean {
  return findAbove(folder, (at) => existsSync(join(at, ".git")) || undefined) === true;
}

async function mainFolder(world: VcsWorld, commonDir: string): Promise<string> {
  const config = async (key: string) => gitLine(world, commonDir, ["config", "--get", key], { okCodes: [1] });
  if ((await config("core.bare")) === "true") return commonDir;
  const workTree = await config("core.worktree");
  if (workTree !== "") return resolve(commonDir, workTree);
  return commonDir.endsWith("/.git") ? dirname(commonDir) : commonDir;
}

/**
 * See `VcsBackend.target`. The commit is the local branch's if there is one, because that is what landing moves. A wish
 * may be a local or remote branch. Faults `vcs.no_commits`.
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
  for await (const name of candidates(world, root, branches)) {
    const found = name ? branchNamed(branches, name) : undefined;
    if (found !== undefined) return found;
  }
  throw new Fault("conflict", "vcs.no_target", `${quote(root)} is on no branch and has neither main nor master.`, [
    { intent: "Create the branch that work lands on", command: `git -C ${shellWord(root)} branch main` },
  ]);
}

interface Branch {
  ref: string;
  commit: string;
  /** The target of a symbolic ref such as origin/HEAD. */
  to: string;
}

async function listBranches(world: VcsWorld, root: string): Promise<Branch[]> {
  const format = "--format=%(refname)%00%(objectname)%00%(symref)";
  const lines = await gitLines(world, root, ["for-each-ref", format, "refs/heads", "refs/remotes"]);
  return lines.map((line) => {
    const [ref = "", commit = "", to = ""] = line.split("\0");
    return { ref, commit, to };
  });
}

const REMOTE_HEAD = /^refs\/remotes\/([^/]+)\/HEAD$/;

/** Short names of branches, best first; lazy, because the first often exists. */
async function* candidates(world: VcsWorld, root: string, branches: readonly Branch[]) {
  const heads = branches.filter((branch) => REMOTE_HEAD.test(branch.ref));
  const remoteHead = heads.find((branch) => branch.ref === "refs/remotes/origin/HEAD") ?? heads[0];
  yield remoteHead?.to.replace(/^refs\/remotes\/[^/]+\//, "");
  yield "main";
  yield "master";
  yield gitLine(world, root, ["config", "--get", "init.defaultBranch"], { okCodes: [1] });
  const gitDir = await findGitDir(root);
  yield gitDir && readBranch(gitDir);
}

/** The branch of this short name: the local one, else origin's, else another remote's. */
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

function unknownRef(root: string, ref: string): Fault {
  return new Fault("missing", "vcs.unknown_ref", `No branch or commit ${quote(ref)} in ${quote(root)}.`, [
    { intent: "List the branches", command: `git -C ${shellWord(root)} branch --all` },
  ]);
}

/** Resolves `ref` in the repository at `root`. Faults `vcs.unknown_ref`. */
export async function commitOf(world: VcsWorld, root: string, ref: string): Promise<string> {
  const commit = await findCommit(world, root, ref);
  if (commit === undefined) throw unknownRef(root, ref);
  return commit;
}

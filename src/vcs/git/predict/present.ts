import { Fault } from "../../../errors.js";
import type { Checkout, VcsWorld } from "../../vcs.js";
import { gitLine, runGit } from "../run.js";
import { snapshot } from "../snapshot.js";

/** A checkout as one commit. */
export interface Present {
  /** The commit it is at. */
  head: string;
  /** `head`, or a commit on top of it with everything that is not committed. */
  commit: string;
  /** Files that are not committed. */
  dirty: number;
}

/**
 * The whole present of a checkout as a commit that nothing refers to. The work tree and its index are only read.
 * Faults `vcs.no_folder`, `vcs.no_commits`, `vcs.failed`.
 */
export async function presentOf(world: VcsWorld, checkout: Checkout): Promise<Present> {
  const { stdout } = await runGit(world, checkout.path, STATUS);
  const lines = stdout.split("\0").filter((line) => line !== "");
  const head = lines.map((line) => /^# branch\.oid ([0-9a-f]+)$/.exec(line)?.[1]).find((found) => found !== undefined);
  if (head === undefined) throw new Fault("conflict", "vcs.no_commits", "Nothing was committed in it yet.");
  const dirty = lines.filter((line) => !line.startsWith("# ")).length;
  if (dirty === 0) return { head, commit: head, dirty };
  const { tree } = await snapshot(world, checkout);
  return { head, commit: await commitTree(world, checkout.path, tree, head), dirty };
}

const STATUS = [
  ...["-c", "core.fsmonitor=false", "status", "--porcelain=v2", "--branch", "-z"],
  ...["--no-renames", "--no-ahead-behind", "--untracked-files=all", "--ignore-submodules=none"],
];

/** A commit of `tree` on `parent`; the same every time, so that a prediction makes nothing new when nothing changed. */
export function commitTree(world: VcsWorld, cwd: string, tree: string, parent: string): Promise<string> {
  return gitLine(world, cwd, ["commit-tree", tree, "-p", parent, "-m", "radar"], { env: NOBODY });
}

const NOBODY = {
  GIT_AUTHOR_NAME: "mu",
  GIT_AUTHOR_EMAIL: "mu@localhost",
  GIT_AUTHOR_DATE: "2000-01-01T00:00:00Z",
  GIT_COMMITTER_NAME: "mu",
  GIT_COMMITTER_EMAIL: "mu@localhost",
  GIT_COMMITTER_DATE: "2000-01-01T00:00:00Z",
};

import type { Checkout, Commit, VcsWorld } from "../vcs.js";
import { runGit } from "./run.js";
import { snapshot } from "./snapshot.js";
import { commitOf } from "./target.js";

/** Commits behind `since` up to where the checkout is, oldest first. Faults `vcs.unknown_ref`. */
export async function commits(world: VcsWorld, checkout: Checkout, since: string): Promise<Commit[]> {
  const from = await commitOf(world, checkout.path, since);
  return commitsBetween(world, checkout.path, from, "HEAD");
}

const FIELDS = ["%H", "%an", "%aI", "%s", "%b"];

/** Commits of `to` that `from` lacks, oldest first. */
export async function commitsBetween(world: VcsWorld, cwd: string, from: string, to: string): Promise<Commit[]> {
  const format = `--format=${FIELDS.join("%x00")}`;
  const shown = ["--no-show-signature", "--encoding=UTF-8", "--no-color", "-z", format];
  const { stdout } = await runGit(world, cwd, ["log", "--reverse", "--topo-order", ...shown, `${from}..${to}`, "--"]);
  const fields = stdout.split("\0");
  const found: Commit[] = [];
  for (let at = 0; at + FIELDS.length <= fields.length; at += FIELDS.length) {
    const [sha = "", author = "", authorDate = "", subject = "", body = ""] = fields.slice(at);
    found.push({ sha, subject, body: body.trimEnd(), author, authorDate });
  }
  return found;
}

/** A patch from `since` to everything in the work tree. Faults `vcs.unknown_ref`. */
export async function diff(
  world: VcsWorld,
  checkout: Checkout,
  since: string,
  options: { stat?: boolean },
): Promise<string> {
  const from = await commitOf(world, checkout.path, since);
  const { tree } = await snapshot(world, checkout);
  return diffTrees(world, checkout.path, from, tree, options.stat ? "--stat" : "--patch");
}

/** The difference of two trees as people read it, whatever they configured for `git diff`. */
export async function diffTrees(
  world: VcsWorld,
  cwd: string,
  from: string,
  to: string,
  shape: "--stat" | "--patch",
): Promise<string> {
  const args = ["diff-tree", "-r", "-M", "--no-ext-diff", "--no-textconv", shape, from, to];
  return (await runGit(world, cwd, args)).stdout;
}

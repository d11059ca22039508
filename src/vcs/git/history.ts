import type { Checkout, Commit, CommitRange, Since, VcsWorld } from "../vcs.js";
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

/** What the checkout has made since it was at `from`: one git process, unless history was rewritten. */
export async function since(world: VcsWorld, { path }: Checkout, from: string): Promise<Since> {
  const asked = ["rev-list", "--topo-order", "--boundary", "--end-of-options", "HEAD", `^${from}`, "--"];
  const { code, stdout } = await runGit(world, path, asked, { okCodes: [128] });
  if (code !== 0) return sinceShared(world, path, await commitOf(world, path, from));
  const lines = stdout.split("\n").filter(Boolean);
  if (lines.includes(`-${from}`)) return { base: from, commits: lines.filter((line) => !line.startsWith("-")) };
  return sinceShared(world, path, from);
}

/** `from` is at the checkout's own commit, above it, or no part of its history any more. */
async function sinceShared(world: VcsWorld, path: string, from: string): Promise<Since> {
  const { stdout } = await runGit(world, path, ["merge-base", from, "HEAD"], { okCodes: [1] });
  const base = stdout.trim();
  if (base === "") return { base: null, commits: [] };
  const { stdout: shas } = await runGit(world, path, ["rev-list", "--topo-order", `${base}..HEAD`, "--"]);
  return { base, commits: shas.split("\n").filter(Boolean) };
}

/** Commits with their parents, as `rev-list --parents` prints them, in its order. */
type Walk = ReadonlyMap<string, readonly string[]>;

export function parseWalk(printed: string): Walk {
  const walk = new Map<string, string[]>();
  for (const line of printed.split("\n")) {
    const [commit = "", ...parents] = line.split(" ");
    if (commit !== "") walk.set(commit, parents);
  }
  return walk;
}

/** What of the walk leads to one of these commits, they included. */
export function reachable(walk: Walk, from: readonly string[]): Set<string> {
  const seen = new Set<string>();
  const open = [...from];
  for (let commit = open.pop(); commit !== undefined; commit = open.pop()) {
    const parents = walk.get(commit);
    if (parents === undefined || seen.has(commit)) continue;
    seen.add(commit);
    open.push(...parents);
  }
  return seen;
}

/** The commits of the walk that have landed under other names. What lies below such work and is no work of it has not. */
export function arrivedIn(walk: Walk, landed: readonly CommitRange[]): Set<string> {
  const arrived = new Set<string>();
  for (const { from, to } of landed) {
    if (!walk.has(to)) continue;
    const before = reachable(walk, [from]);
    for (const commit of reachable(walk, [to])) if (!before.has(commit)) arrived.add(commit);
  }
  return arrived;
}

/** Which of these commits `tip` has; one that the repository does not know any more is on nothing. One git, mostly. */
export async function contained(
  world: VcsWorld,
  root: string,
  tip: string,
  commits: readonly string[],
): Promise<Set<string>> {
  const lacking = await lackedBy(world, root, tip, commits);
  if (lacking !== undefined) return new Set(commits.filter((commit) => !lacking.has(commit)));
  const asked = ["cat-file", "--batch-check=%(objecttype)"];
  const types = (await runGit(world, root, asked, { input: commits.map((commit) => `${commit}\n`).join("") })).stdout;
  const known = commits.filter((_, at) => types.split("\n")[at] === "commit");
  const beyond = await lackedBy(world, root, tip, known);
  return new Set(beyond === undefined ? [] : known.filter((commit) => !beyond.has(commit)));
}

/** All commits behind these that `tip` lacks; undefined when one of them is not there. */
async function lackedBy(
  world: VcsWorld,
  root: string,
  tip: string,
  commits: readonly string[],
): Promise<Set<string> | undefined> {
  const input = [...commits, `^${tip}`, ""].join("\n");
  const { code, stdout } = await runGit(world, root, ["rev-list", "--stdin"], { input, okCodes: [128] });
  return code === 0 ? new Set(stdout.split("\n")) : undefined;
}

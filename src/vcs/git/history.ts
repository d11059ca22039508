import { Fault } from "../../errors.js";
import { quote, shellWord } from "../../names.js";
import type { Checkout, Commit, CommitRange, Since, VcsWorld } from "../vcs.js";
import { gitLine, gitLines, runGit } from "./run.js";
import { snapshot } from "./snapshot.js";
import { commitOf } from "./target.js";

/** Commits after `since` up to the checkout's HEAD, oldest first. Faults `vcs.unknown_ref`. */
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

/** A patch from `since` to the work tree. Faults `vcs.unknown_ref`. */
export async function diff(
  world: VcsWorld,
  checkout: Checkout,
  since: string,
  options: { stat?: boolean },
): Promise<string> {
  const from = await commitOf(world, checkout.path, since);
  const { tree } = await snapshot(world, checkout);
  return diffTrees(world, checkout.path, { from, to: tree }, options.stat ? "--stat" : "--patch");
}

/** The difference of two trees, whatever the user configured for `git diff`. */
export async function diffTrees(
  world: VcsWorld,
  cwd: string,
  { from, to }: CommitRange,
  shape: "--stat" | "--patch",
): Promise<string> {
  const args = ["diff-tree", "-r", "-M", "--no-ext-diff", "--no-textconv", shape, from, to];
  return (await runGit(world, cwd, args)).stdout;
}

/** What the checkout has committed since it was at `from`; one git process, unless history was rewritten. */
export async function since(world: VcsWorld, { path }: Checkout, from: string, to = "HEAD"): Promise<Since> {
  const asked = ["rev-list", "--topo-order", "--boundary", "--end-of-options", to, `^${from}`, "--"];
  const { code, stdout } = await runGit(world, path, asked, { okCodes: [128] });
  if (code !== 0) return sinceMergeBase(world, path, await commitOf(world, path, from), to);
  const lines = stdout.split("\n").filter(Boolean);
  if (lines.includes(`-${from}`)) return { base: from, commits: lines.filter((line) => !line.startsWith("-")) };
  return sinceMergeBase(world, path, from, to);
}

/** For a `from` that is HEAD itself, ahead of it, or no longer in its history. */
async function sinceMergeBase(world: VcsWorld, path: string, from: string, to: string): Promise<Since> {
  const { stdout } = await runGit(world, path, ["merge-base", from, to], { okCodes: [1] });
  const base = stdout.trim();
  if (base === "") return { base: null, commits: [] };
  return { base, commits: await gitLines(world, path, ["rev-list", "--topo-order", `${base}..${to}`, "--"]) };
}

/** Faults `vcs.shallow` if two commits have no common ancestor because the repository is shallow. */
export async function requireHistory(world: VcsWorld, root: string, one: string, other: string): Promise<void> {
  const { code } = await runGit(world, root, ["merge-base", one, other], { okCodes: [1] });
  if (code === 0 || (await gitLine(world, root, ["rev-parse", "--is-shallow-repository"])) !== "true") return;
  const message = `${quote(root)} is a shallow clone: it lacks the commits that its branches share.`;
  throw new Fault("conflict", "vcs.shallow", message, [
    { intent: "Fetch them", command: `git -C ${shellWord(root)} fetch --unshallow` },
  ]);
}

/** Commits with their parents, in the order of `rev-list --parents`. */
export type Walk = ReadonlyMap<string, readonly string[]>;

export function parseWalk(output: string): Walk {
  const walk = new Map<string, string[]>();
  for (const line of output.split("\n")) {
    const [commit = "", ...parents] = line.split(" ");
    if (commit !== "") walk.set(commit, parents);
  }
  return walk;
}

/** The commits of the walk that are among `tips` or their ancestors. */
export function reachable(walk: Walk, tips: readonly string[]): Set<string> {
  const seen = new Set<string>();
  const open = [...tips];
  for (let commit = open.pop(); commit !== undefined; commit = open.pop()) {
    const parents = walk.get(commit);
    if (parents === undefined || seen.has(commit)) continue;
    seen.add(commit);
    open.push(...parents);
  }
  return seen;
}

/** The commits of the walk that have landed under other ids. Commits below landed work are not part of it. */
export function landedIn(walk: Walk, landed: readonly CommitRange[]): Set<string> {
  const found = new Set<string>();
  for (const { from, to } of landed) {
    if (!walk.has(to)) continue;
    const before = reachable(walk, [from]);
    for (const commit of reachable(walk, [to])) if (!before.has(commit)) found.add(commit);
  }
  return found;
}

/** Which of these commits `tip` contains; commits that no longer exist are not contained. Mostly one git process. */
export async function contained(
  world: VcsWorld,
  root: string,
  tip: string,
  commits: readonly string[],
): Promise<Set<string>> {
  const lacking = await lackedBy(world, root, tip, commits);
  if (lacking !== undefined) return new Set(commits.filter((commit) => !lacking.has(commit)));
  const existing = await existingCommits(world, root, commits);
  const lackingNow = await lackedBy(world, root, tip, existing);
  return new Set(lackingNow === undefined ? [] : existing.filter((commit) => !lackingNow.has(commit)));
}

/** The ancestors of these commits that `tip` lacks; undefined if one of them does not exist. */
async function lackedBy(world: VcsWorld, root: string, tip: string, commits: readonly string[]) {
  const input = [...commits, `^${tip}`, ""].join("\n");
  const { code, stdout } = await runGit(world, root, ["rev-list", "--stdin"], { input, okCodes: [128] });
  return code === 0 ? new Set(stdout.split("\n")) : undefined;
}

export async function existingCommits(world: VcsWorld, root: string, commits: readonly string[]): Promise<string[]> {
  const input = commits.map((commit) => `${commit}^{commit}\n`).join("");
  const { stdout } = await runGit(world, root, ["cat-file", "--batch-check=%(objecttype)"], { input });
  const types = stdout.split("\n");
  return commits.filter((_, at) => types[at] === "commit");
}

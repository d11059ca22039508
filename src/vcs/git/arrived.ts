import type { CommitRange, VcsWorld } from "../vcs.js";
import { runGit } from "./run.js";

/** Commits with their parents, as `rev-list --parents` prints them, in its order. */
export type Walk = ReadonlyMap<string, readonly string[]>;

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

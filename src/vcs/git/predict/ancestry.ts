import type { VcsWorld } from "../../vcs.js";
import { runGit } from "../run.js";

/** Where a commit's own history left the target's. */
export interface Ancestry {
  /** Commits that the target lacks. */
  own: ReadonlySet<string>;
  /** The merge base with the target; undefined when there is none. */
  base: string | undefined;
  /** False when there are several merge bases, so that `base` is not all that a merge starts from. */
  single: boolean;
}

/** How each of `heads` came from the target, by commit: one walk over what the target lacks. */
export async function readAncestry(
  world: VcsWorld,
  root: string,
  heads: readonly string[],
  target: string,
): Promise<Map<string, Ancestry>> {
  const distinct = [...new Set(heads)];
  const args = ["rev-list", "--parents", "--boundary", "--stdin"];
  const input = `${distinct.join("\n")}\n^${target}\n`;
  const { stdout } = await runGit(world, root, args, { input });
  const { parents, boundary } = graphOf(stdout);
  const entries = distinct.map(async (head): Promise<[string, Ancestry]> => {
    if (!parents.has(head)) return [head, { own: new Set(), base: head, single: true }];
    const { own, borders } = reach(head, parents, boundary);
    return [head, { own, ...(await basesOf(world, root, head, target, borders)) }];
  });
  return new Map(await Promise.all(entries));
}

function graphOf(listing: string) {
  const parents = new Map<string, string[]>();
  const boundary = new Set<string>();
  for (const line of listing.split("\n")) {
    const [commit = "", ...of] = line.split(" ");
    if (commit.startsWith("-")) boundary.add(commit.slice(1));
    else if (commit !== "") parents.set(commit, of);
  }
  return { parents, boundary };
}

/** What the target lacks behind `head`, and the target's commits that it grew from. */
function reach(head: string, parents: ReadonlyMap<string, readonly string[]>, boundary: ReadonlySet<string>) {
  const own = new Set<string>();
  const borders = new Set<string>();
  const waiting = [head];
  for (let commit = waiting.pop(); commit !== undefined; commit = waiting.pop()) {
    if (own.has(commit)) continue;
    if (boundary.has(commit)) borders.add(commit);
    const of = parents.get(commit);
    if (of === undefined) continue;
    own.add(commit);
    waiting.push(...of);
  }
  return { own, borders };
}

async function basesOf(world: VcsWorld, root: string, head: string, target: string, borders: ReadonlySet<string>) {
  const [border] = borders;
  if (borders.size < 2) return { base: border, single: true };
  const { stdout } = await runGit(world, root, ["merge-base", "--all", head, target], { okCodes: [1] });
  const [base, ...more] = stdout.split("\n").filter((line) => line !== "");
  return { base, single: more.length === 0 };
}

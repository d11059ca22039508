import type { LandedAs, VcsWorld } from "../vcs.js";
import { gitLine, gitLines, NO_HOOKS, runGit } from "./run.js";

const KEPT = "refs/mu/work/";

/** Keeps a commit alive that no branch has, as the work of a task. */
export async function keep(world: VcsWorld, root: string, name: string, commit: string): Promise<void> {
  await gitLine(world, root, ["update-ref", `${KEPT}${name}`, commit]);
}

/** Deletes the workstream's refs that `keep` made, except those with commits that no other ref has. */
export async function letGo(
  world: VcsWorld,
  root: string,
  workstream: string,
  landed: readonly LandedAs[],
): Promise<void> {
  const asked = ["for-each-ref", "--format=%(refname) %(objectname)", `${KEPT}${workstream}/`];
  const lines = await gitLines(world, root, asked);
  if (lines.length === 0) return;
  const kept = lines.map((line) => line.split(" ") as [string, string]);
  const landedAs = new Map(landed.map(({ work, commit }) => [work, commit]));
  const commits = kept.map(([, commit]) => commit);
  const unique = (await onlyKept(world, root, commits)) ?? new Set(commits);
  // Landing rewrites commits: what counts is whether another ref has the rewritten ones.
  const rewritten = commits.flatMap((commit) => (unique.has(commit) ? (landedAs.get(commit) ?? []) : []));
  const lost = await onlyKept(world, root, rewritten);
  const isElsewhere = (commit: string) => {
    const copy = landedAs.get(commit);
    return !unique.has(commit) || (copy !== undefined && lost !== undefined && !lost.has(copy));
  };
  const gone = kept.filter(([, commit]) => isElsewhere(commit));
  const input = gone.map(([ref, commit]) => `delete ${ref} ${commit}\n`).join("");
  if (gone.length > 0) await runGit(world, root, [...NO_HOOKS, "update-ref", "--stdin"], { input });
}

/** These commits and their ancestors as far as no other ref has them; undefined if one of them does not exist. */
async function onlyKept(world: VcsWorld, root: string, commits: readonly string[]): Promise<Set<string> | undefined> {
  if (commits.length === 0) return new Set();
  const asked = ["rev-list", ...commits, "--not", `--exclude=${KEPT}*`, "--glob=refs/*", "--"];
  const { code, stdout } = await runGit(world, root, asked, { okCodes: [128] });
  return code === 0 ? new Set(stdout.split("\n")) : undefined;
}

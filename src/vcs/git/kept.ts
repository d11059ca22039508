import type { LandedAs, VcsWorld } from "../vcs.js";
import { gitLine, NO_HOOKS, runGit } from "./run.js";

const KEPT = "refs/mu/work/";

/** Lets go what `keep` keeps alive below `workstream`, but for commits that nothing else has. */
export async function letGo(
  world: VcsWorld,
  root: string,
  workstream: string,
  landed: readonly LandedAs[],
): Promise<void> {
  const asked = ["for-each-ref", "--format=%(refname) %(objectname)", `${KEPT}${workstream}/`];
  const lines = (await runGit(world, root, asked)).stdout.split("\n").filter(Boolean);
  if (lines.length === 0) return;
  const kept = lines.map((line) => line.split(" ") as [string, string]);
  const names = new Map(landed.map(({ work, commit }) => [work, commit]));
  const commits = kept.map(([, commit]) => commit);
  const own = (await only(world, root, commits)) ?? new Set(commits);
  // A landing writes the commits anew: what counts is whether a branch has those.
  const replays = commits.flatMap((commit) => (own.has(commit) ? (names.get(commit) ?? []) : []));
  const lost = await only(world, root, replays);
  const isElsewhere = (commit: string) => {
    const replay = names.get(commit);
    return !own.has(commit) || (replay !== undefined && lost !== undefined && !lost.has(replay));
  };
  const gone = kept.filter(([, commit]) => isElsewhere(commit));
  const input = gone.map(([ref, commit]) => `delete ${ref} ${commit}\n`).join("");
  if (gone.length > 0) await runGit(world, root, [...NO_HOOKS, "update-ref", "--stdin"], { input });
}

/** What of these and of all behind them no other ref has (a HEAD moves on); undefined when one of them is not there. */
async function only(world: VcsWorld, root: string, commits: readonly string[]): Promise<Set<string> | undefined> {
  if (commits.length === 0) return new Set();
  const asked = ["rev-list", ...commits, "--not", `--exclude=${KEPT}*`, "--glob=refs/*", "--"];
  const { code, stdout } = await runGit(world, root, asked, { okCodes: [128] });
  return code === 0 ? new Set(stdout.split("\n")) : undefined;
}

/** Keeps a commit alive that no branch has, as the work of a task. */
export async function keep(world: VcsWorld, root: string, name: string, commit: string): Promise<void> {
  await gitLine(world, root, ["update-ref", `refs/mu/work/${name}`, commit]);
}

import type { Checkout, Since, VcsWorld } from "../vcs.js";
import { gitLine, runGit } from "./run.js";
import { commitOf } from "./target.js";

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

/** Keeps a commit alive that no branch has, as the work of a task. */
export async function keep(world: VcsWorld, root: string, name: string, commit: string): Promise<void> {
  await gitLine(world, root, ["update-ref", `refs/mu/work/${name}`, commit]);
}

import type { Checkout, VcsWorld } from "../vcs.js";
import { findGitDir, isThere, readHead } from "./places.js";
import { gitLine } from "./run.js";

/** The commit that the checkout is at; undefined when its folder, or its tie to the repository, is gone. */
export async function headOf(world: VcsWorld, { path }: Checkout): Promise<string | undefined> {
  const gitDir = await findGitDir(path);
  if (gitDir === undefined || !(await isThere(gitDir))) return undefined;
  return (await readHead(gitDir)) ?? (await gitLine(world, path, ["rev-parse", "--verify", "HEAD^{commit}"]));
}

import type { VcsWorld } from "../vcs.js";
import { runGit } from "./run.js";

/** Variables for commits that we make ourselves: empty for a person who told git a name, else ours. */
export async function identity(world: VcsWorld, cwd: string): Promise<Record<string, string>> {
  const known = await runGit(world, cwd, ["var", "GIT_COMMITTER_IDENT"], { okCodes: [128] });
  if (known.code === 0) return {};
  return {
    GIT_AUTHOR_NAME: "mu",
    GIT_AUTHOR_EMAIL: "mu@localhost",
    GIT_COMMITTER_NAME: "mu",
    GIT_COMMITTER_EMAIL: "mu@localhost",
  };
}

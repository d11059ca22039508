import { Fault } from "../errors.js";
import { git } from "./git/git.js";
import { gitLander } from "./git/land.js";
import { jjBackend } from "./jj.js";
import type { Lander } from "./lander.js";
import { noneBackend } from "./none/none.js";
import { noFolder } from "./program.js";
import { saplingBackend } from "./sapling.js";
import type { VcsBackend, VcsWorld } from "./vcs.js";

/** The backends in order of detection: jj before git, because a jj repository may contain a git one. */
const IN_ORDER: readonly VcsBackend[] = [jjBackend, saplingBackend, git, noneBackend];

/** The backend of a key, as rows store it. */
export function getBackend(key: string): VcsBackend {
  return IN_ORDER.find((backend) => backend.key === key) as VcsBackend;
}

/** The backend of a folder, and the root of its repository; `none` accepts every folder. Faults `vcs.no_folder`. */
export async function detectBackend(world: VcsWorld, folder: string): Promise<{ backend: VcsBackend; root: string }> {
  for (const backend of IN_ORDER) {
    const root = await backend.findRoot(world, folder);
    if (root !== undefined) return { backend, root };
  }
  throw noFolder(folder);
}

/** The lander of a backend. Faults `landing.vcs_required`, `landing.not_supported`. */
export function getLander(key: string): Lander {
  if (key === "git") return gitLander;
  if (key === "none") {
    throw new Fault("usage", "landing.vcs_required", "Landing needs version control, and this is a plain folder.", [
      { intent: "List the workspaces", command: "mu workspace list" },
    ]);
  }
  const name = key === "jj" ? "Jujutsu" : "Sapling";
  throw new Fault("usage", "landing.not_supported", `mu cannot land in ${name} repositories yet. Use its own tools.`, [
    { intent: "List the commits of a workspace", command: "mu workspace commits <agent>" },
  ]);
}

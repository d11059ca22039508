import { Fault } from "../errors.js";
import { quote } from "../names.js";
import { git } from "./git/git.js";
import { gitLander } from "./git/land.js";
import { jjBackend } from "./jj.js";
import type { Lander } from "./lander.js";
import { noneBackend } from "./none/none.js";
import { saplingBackend } from "./sapling.js";
import type { BackendKey, VcsBackend, VcsWorld } from "./vcs.js";

/** The backends in the order in which they are asked whether a folder is theirs: jj before git, as it may sit on one. */
const IN_ORDER: readonly VcsBackend[] = [jjBackend, saplingBackend, git, noneBackend];

const BY_KEY: Readonly<Record<BackendKey, VcsBackend>> = {
  jj: jjBackend,
  sl: saplingBackend,
  git,
  none: noneBackend,
};

/** The backend of this key. */
export function getBackend(key: BackendKey): VcsBackend {
  return BY_KEY[key];
}

/**
 * The backend that a folder belongs to, and the root of its repository. `none` takes every folder, and gives the folder
 * itself. Faults `vcs.no_folder`.
 */
export async function detectBackend(world: VcsWorld, folder: string): Promise<{ backend: VcsBackend; root: string }> {
  for (const backend of IN_ORDER) {
    const root = await backend.findRoot(world, folder);
    if (root !== undefined) return { backend, root };
  }
  throw new Fault("missing", "vcs.no_folder", `The folder ${quote(folder)} is not there.`);
}

/** The lander of a backend. Faults `landing.vcs_required`, `landing.not_supported`. */
export function getLander(key: BackendKey): Lander {
  if (key === "git") return gitLander;
  if (key === "none") {
    throw new Fault(
      "usage",
      "landing.vcs_required",
      "There is no version control here, so there is no branch to land on.",
      [{ intent: "See what was changed", command: "mu workspace list" }],
    );
  }
  const name = key === "jj" ? "Jujutsu" : "Sapling";
  throw new Fault("usage", "landing.not_supported", `mu cannot land in a ${name} repository yet; its own tools can.`, [
    { intent: "See the commits of a workspace", command: "mu workspace commits <agent>" },
  ]);
}

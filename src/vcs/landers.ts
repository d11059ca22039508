import { Fault } from "../errors.js";
import { gitLander } from "./git/land.js";
import type { Lander } from "./lander.js";
import type { BackendKey } from "./vcs.js";

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

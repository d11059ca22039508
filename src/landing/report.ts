import type { CheckAnswer } from "./checker.js";
import type { Candidate, Skipped } from "./choose.js";
import type { Returned } from "./give-back.js";

/** A task that is on the branch, or would be. */
export interface Landed {
  task: string;
  /** The branch's commit that has it; null in a prediction. */
  commit: string | null;
  /** New commits on the branch, 0 when there was nothing to bring; null when an earlier landing brought it there. */
  commits: number | null;
  agent: string | null;
}

/** What a landing came to. */
export interface Landing {
  /** The branch, where it was and where it is; null when there was nothing to land. */
  target: { branch: string; from: string; to: string } | null;
  landed: Landed[];
  returned: Returned[];
  skipped: Skipped[];
  /** All runs of the check, oldest first. */
  checks: Omit<CheckAnswer, "tail" | "ending">[];
  pushed: { remote: string } | null;
  /** Where the branch can be pushed to; null as well when nobody looked. */
  remote: string | null;
}

export function emptyLanding(skipped: readonly Skipped[]): Landing {
  return { target: null, landed: [], returned: [], skipped: [...skipped], checks: [], pushed: null, remote: null };
}

/** Says in the report why a task stays as it is. */
export function skip(report: Landing, { row }: Candidate, why: Skipped["why"], reason: string): void {
  report.skipped.push({ task: row.name, why, reason });
}

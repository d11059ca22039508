import { FAILURES } from "../agents/clis/headless.js";

export const RUN_FAILURES = [...FAILURES, "check_failed"] as const;

/** Why a run failed: also that its work was not accepted. */
export type RunFailure = (typeof RUN_FAILURES)[number];

/** How a run ended, as far as its task is concerned. */
export interface Outcome {
  state: "done" | "failed" | "lost" | "cancelled";
  failure: RunFailure | null;
  reason: string | null;
  /** When the provider's limit ends, as UTC ISO 8601. */
  retryAt: string | null;
  verdict: string | null;
}

/** What becomes of the task. `leave`: it is given back as it was; `drop`: its job goes on without it. */
export type Step =
  | { do: "close" }
  | { do: "drop" }
  | { do: "leave" }
  | { do: "retry"; notBefore: string | null }
  | { do: "hold"; word: "escalated" | "failed" | "blocked"; reason: string };

/** How long a provider rests after a limit that does not say when it ends, by the attempts that met one (ms). */
const LIMIT_MS = [60_000, 300_000, 900_000];

/** When a provider may be asked again: when its limit ends, if it says so. Null for other failures. */
export function limitUntil(
  { failure, retryAt }: Outcome,
  { attempts, now, patience = 1 }: { attempts: number; now: string; patience?: number | undefined },
): string | null {
  if (failure !== "rate_limit" || retryAt !== null) return retryAt;
  const wait = (LIMIT_MS[Math.min(attempts, LIMIT_MS.length - 1)] ?? 0) * patience;
  return new Date(Date.parse(now) + wait).toISOString();
}

/** How long the second, third and every later attempt waits after the failure before it, in ms. */
const BACK_OFF_MS = [0, 30_000, 120_000];

/** What another attempt cannot mend. */
const FINAL: readonly RunFailure[] = ["auth", "config", "permission_denied"];

/**
 * What a run's end does to its task. `attempts` counts the failures before this one; `patience` scales the back-off,
 * where 0 retries at once. A verdict `blocked` never retries; a lost run counts as a failure of its task. Where a person
 * would be asked, a task that is `dispensable` is given up. How a job goes on from there is `advanceStep`.
 */
export function advance(
  limits: { attempts: number; maxRetries: number; dispensable?: boolean },
  outcome: Outcome,
  when: { now: string; patience?: number },
): Step {
  const step = stepAfter(limits, outcome, when);
  return step.do === "hold" && limits.dispensable ? { do: "drop" } : step;
}

function stepAfter(
  { attempts, maxRetries }: { attempts: number; maxRetries: number },
  { state, failure, reason, retryAt, verdict }: Outcome,
  { now, patience = 1 }: { now: string; patience?: number },
): Step {
  if (state === "cancelled") return { do: "leave" };
  if (verdict === "blocked")
    return { do: "hold", word: "blocked", reason: reason ?? "The agent says that it is blocked." };
  if (state === "done") return { do: "close" };
  const why = `${failure ?? state}${reason === null ? "" : `: ${reason}`}`;
  if (failure !== null && FINAL.includes(failure)) return { do: "hold", word: "failed", reason: why };
  if (attempts >= maxRetries)
    return { do: "hold", word: "escalated", reason: `${attempts + 1} attempts failed, the last: ${why}` };
  if (retryAt !== null && retryAt > now) return { do: "retry", notBefore: retryAt };
  const wait = (BACK_OFF_MS[Math.min(attempts, BACK_OFF_MS.length - 1)] ?? 0) * patience;
  return { do: "retry", notBefore: wait === 0 ? null : new Date(Date.parse(now) + wait).toISOString() };
}

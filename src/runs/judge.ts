import type { FailureClass, Report } from "../agents/clis/headless.js";
import type { Outcome } from "./advance.js";
import type { Ending } from "./files.js";
import { mustSayHow, verdictOf } from "./verdict.js";

/** An outcome; `unsaid` where the agent may still be asked how its task ended. */
export type Judged = Outcome & { unsaid?: true };

const NOTHING: Omit<Outcome, "state"> = { failure: null, reason: null, retryAt: null, verdict: null };

/** What sh exits with for a command that it cannot run, and for one that it does not find (POSIX, 2.8.2). */
const NOT_A_PROGRAM = [126, 127];

/**
 * What a turn came to, from what the CLI printed and how it ended. Where nobody saw it end, an explicit verdict counts and
 * nothing else.
 */
export function judge(report: Report, ending: Ending | undefined, kind: string): Judged {
  const said = report.text === null ? undefined : verdictOf(report.text, kind);
  const failed = (failure: FailureClass, reason: string | null): Judged => ({
    ...{ ...NOTHING, state: "failed", failure, reason, retryAt: report.retryAt },
  });
  if (ending === undefined) {
    if (said !== undefined && report.failure === null) return { ...NOTHING, state: "done", ...said };
    return { ...NOTHING, state: "lost", reason: "whoever answered for the run died" };
  }
  if (ending.notStarted !== undefined)
    return failed("config", `the program could not be started (${ending.notStarted})`);
  if (NOT_A_PROGRAM.includes(ending.exitCode ?? 0) && !report.productive) {
    return failed("config", report.reason ?? "its program cannot be run");
  }
  if (ending.interrupted) return { ...NOTHING, state: "cancelled", reason: "it was stopped" };
  if (ending.timedOut) return failed("timeout", "it took longer than its role allows");
  if (report.failure !== null) return failed(report.failure, report.reason);
  if (ending.exitCode !== 0)
    return failed("crash", report.reason ?? `the program ended with ${ending.exitCode ?? "a signal"}`);
  if (said !== undefined) return { ...NOTHING, state: "done", ...said };
  if (mustSayHow(kind)) return { ...failed("no_verdict", "it did not say how the task ended"), unsaid: true };
  if (!report.productive) return failed("no_output", "it said, made and changed nothing");
  return { ...NOTHING, state: "done" };
}

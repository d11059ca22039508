import { runCheck } from "../checks.js";
import type { Special, SpecialRun } from "../runs/special.js";
import { getSettings } from "../workstreams/workstream.js";

/** The exit code of the project's tests decides, whatever the tester says. */
export async function tested(
  { world, run, settings }: SpecialRun,
  cwd: string,
  judged: Parameters<Special["judge"]>[2],
) {
  const { check, checkTimeoutSeconds } = await getSettings(world.context.store.db, run.workstream);
  const command = settings.jobs.testCommand ?? check;
  if (command === null || judged.verdict === "blocked") return judged;
  const { exitCode, timedOut, tail } = await runCheck(world, {
    ...{ command, cwd, timeoutMs: checkTimeoutSeconds * 1000, signal: world.signal },
  });
  if (exitCode === 0) return { ...judged, verdict: "pass" };
  const how = timedOut ? "took too long" : `ended with ${exitCode ?? "a signal"}`;
  return { ...judged, verdict: "fail", reason: `${command} ${how}:\n${tail}` };
}

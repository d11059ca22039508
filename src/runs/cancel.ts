import type { Crew } from "../agents/crew.js";
import { isProcessAlive, pidOf } from "../processes.js";
import { NO_BILL } from "./bill.js";
import { reapRuns } from "./reap.js";
import { type RunRow, runRow } from "./run.js";
import { settleRun } from "./settle.js";

/** Ends an active run: its runner is told to, which settles it; one that has died is settled here. */
export async function cancelRun(crew: Crew, run: RunRow): Promise<void> {
  if (run.state === "reserved") {
    const outcome = {
      state: "cancelled",
      failure: null,
      reason: "it was stopped",
      retryAt: null,
      verdict: null,
    } as const;
    const nothing = { bill: NO_BILL, exitCode: null, sessionRef: null, answer: null };
    if ((await settleRun(crew.context, run, { outcome, ...nothing })) !== undefined) return;
    const now = await runRow(crew.context.store.db, run.id);
    return now.state === "running" ? cancelRun(crew, now) : undefined;
  }
  if (await isProcessAlive(crew, run.process)) {
    try {
      process.kill(pidOf(run.process), "SIGTERM");
    } catch {}
    return;
  }
  await reapRuns(crew, run.workstream_id);
}

import { openAgent } from "../agents/agent.js";
import type { Crew } from "../agents/crew.js";
import { toldTo } from "../agents/delivery/outbox.js";
import { sendToAgent } from "../agents/delivery/send.js";
import { asFault, Fault } from "../errors.js";
import { qualifiedName, type TaskRef } from "../names.js";
import { feedBack } from "../runs/prompt.js";
import { taskToChange } from "../tasks/change.js";
import { claimTask } from "../tasks/claim.js";
import { requireSameClaim } from "../tasks/lifecycle.js";
import { finishTask } from "../work/finish.js";
import { workBeforeClaim } from "../work/work.js";

export interface UntilGreenOptions {
  sender: string;
  /** The command that must be green; that of the workstream without it. */
  check?: string | undefined;
  /** How often a red check is handed back. */
  maxChecks: number;
  /** How long one turn of the agent may take, in ms. */
  timeoutMs: number;
  cwd: string;
  signal?: AbortSignal | undefined;
  /** Told what happens, a sentence at a time. */
  say(text: string): void;
}

/** What an agent can mend. */
const MENDABLE = ["task.check_failed", "task.commit_required", "task.check_required"];

/**
 * Gives a task to an agent in a pane and closes it once its check is green: after each turn the check runs, and a red
 * one is handed back as the next prompt. Gives the number of turns. Faults `task.check_failed` once it was handed back
 * `maxChecks` times, `agent.waits_for_person`, `task.claim_changed`, and as `claimTask`, `sendToAgent`, `finishTask`.
 */
export async function workUntilGreen(
  crew: Crew,
  ref: TaskRef,
  agent: string,
  { sender, check, maxChecks, timeoutMs, cwd, signal, say }: UntilGreenOptions,
): Promise<number> {
  const { db } = crew.context.store;
  const to = { workstream: ref.workstream, name: agent };
  const { id: incarnation, cli } = await openAgent(db, to);
  const claimant = { agent, incarnation };
  const work = await workBeforeClaim(crew, db, to, ref.name);
  await claimTask(crew.context, ref, claimant, { work });
  const claimed = await taskToChange(db, ref);
  const name = qualifiedName(ref);
  let prompt = `Work on the task ${name}: ${claimed.title}. Read it with mu task show ${name}, do it, commit your work, and stop. Its check runs then.`;
  for (let turn = 1; ; turn++) {
    const { after } = await sendToAgent(crew, to, toldTo(cli, prompt), {
      sender,
      taskId: claimed.id,
      timeoutMs,
      wait: true,
      signal,
    });
    if (after?.status === "needs_input" || after?.status === "needs_permission")
      throw waits(to, after.reason ?? after.status);
    const now = await taskToChange(db, ref);
    // It may have closed the task itself, with the check.
    if (now.status === "CLOSED" && now.claim_generation === claimed.claim_generation) return turn;
    requireSameClaim(claimed, now);
    try {
      await finishTask(crew, ref, claimant, { check, cwd, signal });
      return turn;
    } catch (error) {
      const { code, message, details } = asFault(error);
      if (!MENDABLE.includes(code) || turn > maxChecks) throw error;
      say(`${message} ${agent} is told (${turn} of ${maxChecks}).`);
      prompt = feedBack(message, (details["check"] as { tail?: string } | undefined)?.tail ?? "");
    }
  }
}

function waits({ workstream, name }: { workstream: string; name: string }, reason: string): Fault {
  return new Fault(
    "conflict",
    "agent.waits_for_person",
    `${name} is waiting for a person: ${reason}. Its task stays its own.`,
    [
      { intent: "See what it asks", command: `mu agent read ${name} -w ${workstream}` },
      { intent: "Answer in its pane", command: `mu agent attach ${name} -w ${workstream}` },
    ],
  );
}

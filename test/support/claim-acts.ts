import { type Context, claimNext, claimTask, closeTask, Fault, openTask, releaseTask } from "../../src/index.js";
import { type Answer, answerOf, type ClaimAct, isPerson } from "./claims.js";

/** What came of an act. */
export interface Answered {
  task: string | null;
  answer: Answer;
  leaseUntil: string | null;
}

/** Does an act by the SDK on a task, or on one of mu's choice if it is null; only a claim can be that. */
export async function doAct(
  context: Context,
  ref: { workstream: string; name: string | null },
  { act, by, leaseSeconds }: ClaimAct,
): Promise<Answered> {
  const claimant = isPerson(by) ? { person: by } : { agent: by };
  const ask = () => {
    if (ref.name === null) return claimNext(context, ref.workstream, claimant, { leaseSeconds });
    const task = { workstream: ref.workstream, name: ref.name };
    if (act === "claim") return claimTask(context, task, claimant, { leaseSeconds });
    if (act === "steal") return claimTask(context, task, claimant, { leaseSeconds, steal: "expired" });
    if (act === "release") return releaseTask(context, task, claimant);
    return act === "close" ? closeTask(context, task, claimant) : openTask(context, task, claimant);
  };
  try {
    const { task, previousStatus, previousOwner, changed } = await ask();
    const answer = answerOf({ status: previousStatus, owner: previousOwner }, changed);
    return { task: task.name, answer, leaseUntil: task.leaseUntil };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { task: ref.name, answer: error.code, leaseUntil: null };
  }
}

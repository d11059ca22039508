/** A task as far as claims are concerned. Times are in ms since 1970. */
export interface ClaimState {
  status: "OPEN" | "IN_PROGRESS" | "CLOSED";
  owner: string | null;
  /** When the claim expires; null if never. */
  leaseUntil: number | null;
}

/** What a worker asks of a task. `leaseSeconds` is of a claim or a steal. */
export interface ClaimAct {
  act: "claim" | "steal" | "release" | "close" | "open";
  by: string;
  leaseSeconds?: number;
}

export const UNCLAIMED: ClaimState = { status: "OPEN", owner: null, leaseUntil: null };

/** The answer to an act: the code of the fault, or the status and owner that it met and whether it wrote. */
export type Answer = string;

export const answerOf = (met: { status: string; owner: string | null }, changed: boolean): Answer =>
  `${changed ? "changed" : "left"} ${met.status} ${met.owner ?? "nobody"}`;

/** People may change what another works on; their names begin with `p`. */
export const isPerson = (name: string) => name.startsWith("p");

/** What must come of an act at `now`, and the task after it. This is all that mu promises about claims. */
export function promised(state: ClaimState, { act, by, leaseSeconds }: ClaimAct, now: number): [Answer, ClaimState] {
  const { status, owner, leaseUntil } = state;
  const isOwn = status === "IN_PROGRESS" && owner === by;
  const left: [Answer, ClaimState] = [answerOf(state, false), state];
  const refused = (code: Answer): [Answer, ClaimState] => [code, state];
  const changed = (after: ClaimState): [Answer, ClaimState] => [answerOf(state, true), after];
  const lease = leaseSeconds === undefined ? null : now + leaseSeconds * 1000;

  if (act === "claim" || act === "steal") {
    if (isOwn) return leaseSeconds === undefined ? left : changed({ ...state, leaseUntil: lease });
    if (status === "CLOSED") return refused("task.not_open");
    if (status === "IN_PROGRESS" && (act === "claim" || leaseUntil === null)) return refused("task.already_claimed");
    if (status === "IN_PROGRESS" && leaseUntil !== null && leaseUntil > now) return refused("task.lease_active");
    return changed({ status: "IN_PROGRESS", owner: by, leaseUntil: lease });
  }
  if (status === "IN_PROGRESS" && !isOwn && !isPerson(by)) return refused("task.not_owner");
  if (act === "close") return status === "CLOSED" ? left : changed({ status: "CLOSED", owner, leaseUntil: null });
  if (status === "OPEN" || (act === "release" && status === "CLOSED")) return left;
  return changed(UNCLAIMED);
}

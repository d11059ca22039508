import type { RowOf, Tx } from "../db/write.js";
import type { TaskStatus } from "./task.js";

/** From which status a verb leads to which. Every change of status in the tree is one of these. */
export const TRANSITIONS = {
  claim: { from: ["OPEN"], to: "IN_PROGRESS" },
  steal: { from: ["IN_PROGRESS"], to: "IN_PROGRESS" },
  release: { from: ["IN_PROGRESS"], to: "OPEN" },
  open: { from: ["IN_PROGRESS", "CLOSED", "REJECTED", "DEFERRED"], to: "OPEN" },
  close: { from: ["OPEN", "IN_PROGRESS", "REJECTED", "DEFERRED"], to: "CLOSED" },
  reject: { from: ["OPEN", "IN_PROGRESS", "CLOSED", "DEFERRED"], to: "REJECTED" },
  defer: { from: ["OPEN", "IN_PROGRESS", "CLOSED", "REJECTED"], to: "DEFERRED" },
} as const satisfies Record<string, { from: readonly TaskStatus[]; to: TaskStatus }>;

export type Transition = keyof typeof TRANSITIONS;

/**
 * Takes a transition and sets `columns` along with the status. Returns the row after; undefined, with nothing written,
 * if the transition does not start from the row's status. Nothing else sets a task's status.
 */
export async function transition<Row extends RowOf<"tasks"> & { owner?: string | null }>(
  tx: Tx,
  row: Row,
  verb: Transition,
  columns: Partial<RowOf<"tasks">> = {},
): Promise<Row | undefined> {
  const { from, to } = TRANSITIONS[verb];
  if (!(from as readonly string[]).includes(row.status)) return undefined;
  const after = { status: to, ...endOfClaim(to, tx.now), ...columns, updated_at: tx.now };
  await tx.patch("tasks", row.id, after, row);
  return { ...row, ...after, ...(after.owner_id === null && { owner: null }) };
}

/** No claim or proof outlives a transition; only a CLOSED task keeps its owner, and a CLOSED or REJECTED one has ended. */
function endOfClaim(status: TaskStatus, now: string): Partial<RowOf<"tasks">> {
  return {
    ...(status !== "CLOSED" && { owner_id: null }),
    lease_until: null,
    lease_seconds: null,
    closed_at: status === "CLOSED" || status === "REJECTED" ? now : null,
    level: null,
    work_to: null,
    landed_commit: null,
  };
}

import type { RowOf } from "../db/write.js";

type Row = Pick<RowOf<"tasks">, "approved_from" | "approved_commit" | "work_from" | "work_to">;

/** True if exactly the commits that the task has now were approved. */
export function isApproved({ approved_from, approved_commit, work_from, work_to }: Row): boolean {
  return approved_commit !== null && approved_commit === work_to && approved_from === work_from;
}

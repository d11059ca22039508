import type { Tx } from "../db/write.js";
import type { TaskRef } from "../names.js";
import { taskVerb } from "../tasks/change.js";
import { insertNote } from "../tasks/notes.js";
import { findById } from "../tasks/task.js";
import { transition } from "../tasks/transition.js";
import { endRow } from "./rows.js";

/** Work that has left the branch. */
export interface Departure {
  /** Row id of its landing. */
  landing: number;
  /** The commit that takes it back. */
  commit: string;
  branch: string;
  onto: string;
}

/** Records, once, that a task's work was reverted; false if it was recorded before. A task that has not landed stays as it is. */
export const confirmReverted = taskVerb("land.revert", confirmRevertedIn);

async function confirmRevertedIn(
  tx: Tx,
  task: TaskRef & { id: number },
  { landing, commit, branch, onto }: Departure,
): Promise<boolean> {
  if (!(await endRow(tx, landing, "dropped", { tip: commit, onto, reason: `reverted as ${commit}` }))) return false;
  const row = await findById(tx.db, task.id);
  tx.addPayload({ revert: commit, branch, onto, agent: row?.work_agent ?? null, commit: row?.work_to ?? null });
  if (row === undefined || row.level !== "landed") return true;
  const unapproved = { approved_commit: null, approved_from: null, approved_by: null, pull_request: null };
  await transition(tx, row, "open", unapproved);
  const text = [
    `Its work was taken off ${branch} again, by ${commit.slice(0, 10)}, so it is OPEN.`,
    `A workspace that was refreshed since has lost the commits: git revert ${commit.slice(0, 10)} brings them back.`,
  ].join("\n");
  await insertNote(tx, row.id, "mu", { kind: "review", text });
  return true;
}

import type { Claimant } from "../agents/agent.js";
import type { TmuxHost } from "../agents/crew.js";
import { queueForAgent } from "../agents/delivery/send.js";
import type { Reader } from "../db/schema.js";
import type { Tx } from "../db/write.js";
import { Fault, insteadOfFault } from "../errors.js";
import { counted, qualifiedName, type TaskRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { isApproved } from "../tasks/approved.js";
import { type TaskToChange, taskToChange, taskVerb } from "../tasks/change.js";
import { heldIfJob } from "../tasks/flow/steps.js";
import { insertNote } from "../tasks/notes.js";
import { getTask, type Task, type TaskRow } from "../tasks/task.js";
import { transition } from "../tasks/transition.js";
import { commentRows, commentText, type NewComment } from "./comments.js";

export interface ApproveOptions {
  /** The commit that was looked at, or its beginning; the task's present one without it. */
  commit?: string | undefined;
  /** Also with open comments. */
  force?: boolean | undefined;
}

/**
 * Approves the commits that a finished task has now; later ones need another approval. Faults `review.own_work` for an
 * agent that worked on it, `review.not_closed`, `review.no_work`, `review.landed`, `review.open_comments`,
 * `review.other_commit`, `task.not_found`.
 */
export const approveTask = taskVerb("review.approve", approveIn);

async function approveIn(
  tx: Tx,
  ref: TaskRef,
  claimant: Claimant,
  { commit, force }: ApproveOptions = {},
): Promise<Task> {
  const row = await taskToChange(tx.db, ref);
  requireFinished(row);
  const { work_from, work_to } = row;
  if (work_from === null || work_to === null || work_from === work_to) throw noWork(row);
  if (commit !== undefined && !work_to.startsWith(commit)) throw otherCommit(row, commit);
  if ("agent" in claimant && (await workedOn(tx.db, row, claimant.agent))) throw ownWork(row, claimant.agent);
  const open = (await commentRows(tx.db, row.id)).filter(({ handled_at }) => handled_at === null).length;
  if (open > 0 && !force) throw openComments(row, open);
  if (!isApproved(row)) {
    const approved = { approved_commit: work_to, approved_from: work_from, approved_by: tx.actor };
    tx.addPayload({ commit: work_to, ...(open > 0 && { openComments: open }) });
    await tx.patch("tasks", row.id, { ...approved, updated_at: tx.now }, row);
  }
  return getTask(tx.db, ref);
}

/** True if the agent has the work, or ever claimed or closed the task. */
async function workedOn(db: Reader, row: TaskRow, agent: string): Promise<boolean> {
  if (row.owner === agent || row.work_agent === agent) return true;
  const event = await db
    .selectFrom("events")
    .select("id")
    .where("scope", "=", row.workstream)
    .where("subject", "=", qualifiedName(row))
    .where("op", "in", ["task.claim", "task.close"])
    .where("actor", "=", agent)
    .limit(1)
    .executeTakeFirst();
  return event !== undefined;
}

export const RETURNED_REVIEW = shape({
  round: "number",
  comments: "number",
  agent: "string | null",
  /** The prompt in the agent's outbox; null for a person, and for an agent that is gone. */
  delivery: "number | null",
});

export type ReturnedReview = TypeOf<typeof RETURNED_REVIEW>;

/**
 * Returns finished work with comments: the task is OPEN again, and its agent gets a prompt that lists them. Each return
 * is a round. Faults `review.no_comments`, `review.not_closed`, `review.landed`, `task.invalid_note`, `task.not_found`.
 */
export async function returnForReview(
  host: TmuxHost,
  ref: TaskRef,
  comments: readonly NewComment[],
): Promise<ReturnedReview & { task: Task }> {
  if (comments.length === 0) throw noComments(ref);
  const { row, round, first } = await recordReturn(host.context, ref, comments);
  const agent = row.work_agent ?? row.owner;
  const prompt = promptOf(row, agent ?? "", { round, first, comments });
  const to = { workstream: row.workstream, name: agent ?? "" };
  const queue = () => queueForAgent(host, to, prompt, { sender: host.context.actor, taskId: row.id });
  const sent = agent === null ? undefined : await queue().catch(insteadOfFault(undefined));
  const task = await getTask(host.context.store.db, ref);
  return { task, round, comments: comments.length, agent, delivery: sent?.id ?? null };
}

const recordReturn = taskVerb("review.return", returnIn);

async function returnIn(tx: Tx, ref: TaskRef, comments: readonly NewComment[]) {
  const row = await taskToChange(tx.db, ref);
  requireFinished(row);
  const before = await commentRows(tx.db, row.id);
  const round = Math.max(0, ...before.map((one) => one.round ?? 0)) + 1;
  tx.addPayload({ round, comments: comments.length, agent: row.work_agent, commit: row.work_to });
  const held = heldIfJob(row, `${counted(comments.length, "comment")} of a review`);
  await transition(tx, row, "open", { ...held, approved_commit: null, approved_from: null, approved_by: null });
  for (const one of comments) {
    const { file, line } = one;
    await insertNote(tx, row.id, tx.actor, { kind: "review", text: commentText(one), comment: { round, file, line } });
  }
  return { row, round, first: before.length + 1 };
}

interface Round {
  round: number;
  /** The number of its first comment. */
  first: number;
  comments: readonly NewComment[];
}

function promptOf(row: TaskRow, agent: string, { round, first, comments }: Round): string {
  const name = qualifiedName(row);
  const again = round === 1 ? "" : `, round ${round}`;
  return [
    `Your task ${name} was reviewed${again} and is OPEN again, with ${counted(comments.length, "comment")}:`,
    "",
    ...comments.map((one, at) => `${first + at}. ${commentText(one).replaceAll("\n", "\n   ")}`),
    "",
    `Claim it again first (mu task claim ${name}), update your workspace (mu workspace refresh ${agent} -w ${row.workstream}),`,
    `and mark each comment when it is handled (mu review handled ${name} ${first}). Commit, then close it again (mu task close ${name}).`,
  ].join("\n");
}

/** Faults `review.landed`, `review.not_closed`. */
function requireFinished(row: TaskToChange): void {
  const name = qualifiedName(row);
  if (row.status !== "CLOSED") {
    throw new Fault("conflict", "review.not_closed", `${row.name} is ${row.status}: only finished work is reviewed.`, [
      { intent: "See what it has changed so far", command: `mu task diff ${name}` },
    ]);
  }
  if (row.level !== "landed") return;
  throw new Fault("conflict", "review.landed", `${row.name} has landed already.`, [
    { intent: "Take it back", command: `mu land --revert ${name}` },
  ]);
}

function noWork(row: TaskRow): Fault {
  return new Fault("conflict", "review.no_work", `${row.name} has no commits, so there is nothing to approve.`, [
    { intent: "Look at it", command: `mu task show ${qualifiedName(row)}` },
  ]);
}

function otherCommit(row: TaskRow, commit: string): Fault {
  const is = (row.work_to ?? "").slice(0, 10);
  return new Fault("conflict", "review.other_commit", `${row.name} is at ${is} now, not at ${commit.slice(0, 10)}.`, [
    { intent: "Review it again", command: `mu review ${qualifiedName(row)}` },
  ]);
}

function ownWork(row: TaskRow, agent: string): Fault {
  return new Fault(
    "conflict",
    "review.own_work",
    `${agent} worked on ${row.name}: agents cannot approve their own work.`,
    [{ intent: "Ask somebody else to run", command: `mu review approve ${qualifiedName(row)}` }],
  );
}

function openComments(row: TaskRow, open: number): Fault {
  const name = qualifiedName(row);
  const message = `${row.name} has ${counted(open, "open comment")}.`;
  return new Fault("conflict", "review.open_comments", message, [
    { intent: "List them", command: `mu review comments ${name}` },
    { intent: "Approve it all the same", command: `mu review approve ${name} --force` },
  ]);
}

function noComments(ref: TaskRef): Fault {
  const message = "Say what to change: a return needs at least one comment.";
  return new Fault("usage", "review.no_comments", message, [
    { intent: "Return it", command: `mu review return ${qualifiedName(ref)} --comment 'src/a.ts:12 …'` },
  ]);
}

import type { TmuxHost } from "../agents/crew.js";
import { queueForAgent } from "../agents/delivery/send.js";
import { storableText } from "../db/text.js";
import type { Tx } from "../db/write.js";
import { insteadOfFault } from "../errors.js";
import { enumerate, qualifiedName, type TaskRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { taskVerb } from "../tasks/change.js";
import { heldIfJob } from "../tasks/flow/steps.js";
import { insertNote } from "../tasks/notes.js";
import { findById, type TaskRow } from "../tasks/task.js";
import { transition } from "../tasks/transition.js";
import { LOOSE_WORK } from "../work/loose.js";
import { describeWork } from "../work/work.js";
import { CHECK_RUN, type CheckAnswer } from "./checker.js";
import { type Candidate, type Link, type Said, SKIPPED, type Skipped } from "./choose.js";
import { endRow } from "./rows.js";
import type { Clash } from "./stack.js";

/** A task that is on the branch, or would be. */
export const LANDED = shape({
  task: "string",
  /** The branch's commit that has it; null in a prediction. */
  commit: "string | null",
  /** New commits on the branch; 0 if it had none, null if an earlier landing landed it. */
  commits: "number | null",
  agent: "string | null",
});

/** A task that was returned to its owner. */
export const RETURNED = shape({
  task: "string",
  why: ["conflict", "red"],
  reason: "string",
  /** Whose work it is. */
  agent: "string | null",
  /** The files that conflict; none for a failed check. */
  files: "string[]",
  /** The first lines that conflict, or the last lines of the check. */
  excerpt: "string",
  /** True if it was sent to the owner as a prompt. */
  delivered: "boolean",
});

export type Returned = TypeOf<typeof RETURNED>;

/** A task's pull request. `stale`: it was merged, but the task has newer commits. */
export const PULL_REQUEST = shape({
  task: "string",
  url: "string",
  branch: "string",
  state: ["opened", "updated", "open", "merged", "stale", "closed"],
  /** The commit that was pushed, or that it was merged as. */
  commit: "string | null",
});

export type PullRequest = TypeOf<typeof PULL_REQUEST>;

/** Work that was taken off the branch by one commit. */
export const REVERTED = shape({ task: "string", branch: "string", from: "string", commit: "string" });

export type Reverted = TypeOf<typeof REVERTED>;

/** The outcome of a landing. */
export const LANDING = shape({
  /** The branch, where it was and where it is; null if there was nothing to land. */
  target: [{ branch: "string", from: "string", to: "string" }, null],
  landed: [LANDED],
  returned: [RETURNED],
  skipped: [SKIPPED],
  /** All runs of the check, oldest first. */
  checks: [CHECK_RUN],
  /** What is in the workspaces of these tasks and belongs to no task. */
  loose: [LOOSE_WORK],
  pushed: [{ remote: "string" }, null],
});

/** `remote` is where the branch can be pushed to; null if there is no remote, or if it was not looked up. */
export type Landing = TypeOf<typeof LANDING> & { remote: string | null };

export function emptyLanding(skipped: readonly Skipped[]): Landing {
  return {
    target: null,
    landed: [],
    returned: [],
    skipped: [...skipped],
    checks: [],
    loose: [],
    pushed: null,
    remote: null,
  };
}

/** Adds to the report why a task does not land. */
export function skip(report: Landing, { row }: Candidate, why: Skipped["why"], reason: string): void {
  report.skipped.push({ task: row.name, why, reason });
}

/** The candidates without `out`, and without those that wait for one of them, which are skipped for `reason`. */
export function leaveOut(
  report: Landing,
  candidates: readonly Candidate[],
  edges: readonly Link[],
  { out, reason }: { out: readonly Candidate[]; reason: string },
): Candidate[] {
  const lost = new Set(out.map(({ row }) => row.id));
  return candidates.filter((candidate) => {
    const { id } = candidate.row;
    if (lost.has(id)) return false;
    if (!edges.some((edge) => edge.blocked_id === id && lost.has(edge.blocker_id))) return true;
    lost.add(id);
    skip(report, candidate, "needs_first", reason);
    return false;
  });
}

/** Work that has reached the branch. */
export interface Arrival {
  /** Row id of its landing. */
  landing: number;
  /** The last commit of the work when the landing began; null if it had none. */
  workTo: string | null;
  /** The branch's commit that has it. */
  commit: string;
  branch: string;
  onto: string;
  /** New commits on the branch; null if unknown. */
  commits: number | null;
  agent: string | null;
  /** What the caller said instead of landing commits. */
  said?: Said | undefined;
  check: { command: string; exitCode: number | null; seconds: number } | null;
}

/**
 * Records, once, that a task has landed; false if it was recorded before. A task that was reopened stays open, and one
 * may have been deleted: then only the event says what is on the branch.
 */
export const confirmLanded = taskVerb("land", confirmLandedIn);

export async function confirmLandedIn(tx: Tx, task: TaskRef & { id: number }, arrival: Arrival): Promise<boolean> {
  const { landing, workTo, commit, branch, onto, commits, agent, said, check } = arrival;
  if (!(await endRow(tx, landing, "landed", { tip: commit, onto }))) return false;
  tx.addPayload({ commit, branch, onto, commits, agent, check, ...(said !== undefined && { said }) });
  const row = await findById(tx.db, task.id);
  if (row === undefined || row.status !== "CLOSED" || row.work_to !== workTo) return true;
  await tx.patch("tasks", row.id, { level: "landed", landed_commit: commit, updated_at: tx.now }, row);
  return true;
}

/** The author of the note on a returned task. */
const AUTHOR = "mu";
/** Lines of a check's output that are reported. */
const EXCERPT_LINES = 20;

export interface Refusal {
  /** Row id of the landing; null for a pull request, which has none. */
  landing: number | null;
  candidate: Candidate;
  branch: string;
  /** The commit that it was tested on. */
  onto: string;
}

/** Returns a task whose files conflict with the branch. Undefined if the task has changed. */
export function returnClash(crew: TmuxHost, refusal: Refusal, clash: Clash): Promise<Returned | undefined> {
  const { branch, onto } = refusal;
  const { files, words, hunk } = clash;
  const where = files.length === 0 ? "" : ` in ${enumerate(files)}`;
  const reason = `conflicts with ${branch}${where}`;
  const text = [
    `It did not land: it ${reason} (at ${onto.slice(0, 10)}). ${branch} was not touched.`,
    ...words.slice(0, 10),
    ...(hunk === "" ? [] : ["", hunk]),
  ];
  const found = { why: "conflict", reason, files, excerpt: hunk || words.join("\n") } as const;
  return returnTask(crew, refusal, { found, kind: "review", text: text.join("\n") });
}

/** Returns a task with which the check fails and without which it passes. Undefined if the task has changed. */
export function returnRed(crew: TmuxHost, refusal: Refusal, answer: CheckAnswer): Promise<Returned | undefined> {
  const { branch, onto } = refusal;
  const reason = `${answer.command} ${answer.ending} with it on ${branch}`;
  const excerpt = answer.tail.split("\n").slice(-EXCERPT_LINES).join("\n");
  const text = [
    `It did not land: ${reason}, and passes without it (on ${onto.slice(0, 10)}). ${branch} was not touched.`,
    ...(excerpt.trim() === "" ? [] : ["", excerpt]),
  ];
  return returnTask(crew, refusal, {
    found: { why: "red", reason, files: [], excerpt },
    kind: "test",
    text: text.join("\n"),
  });
}

interface Verdict {
  found: Pick<Returned, "why" | "reason" | "files" | "excerpt">;
  kind: "review" | "test";
  text: string;
}

/** Makes the text of programs and files storable first. */
async function returnTask(
  crew: TmuxHost,
  refusal: Refusal,
  { found, kind, text }: Verdict,
): Promise<Returned | undefined> {
  const { reason, files, excerpt } = found;
  const clean = { reason: storableText(reason), files: files.map(storableText), excerpt: storableText(excerpt) };
  const { row } = refusal.candidate;
  const note = [storableText(text), ...locationOf(row)].join("\n");
  const verdict = { found: { ...found, ...clean }, kind, text: note };
  const agent = row.work_agent ?? row.owner;
  if (!(await reopen(crew.context, row, refusal, verdict))) return undefined;
  const delivered = agent !== null && (await sendPrompt(crew, { agent, refusal, text: verdict.text }));
  return { task: row.name, agent, ...verdict.found, delivered };
}

/** Where the commits are: the next owner may be another agent. */
function locationOf({ work_agent: agent, work_to: commit }: TaskRow): string[] {
  return agent === null || commit === null ? [] : ["", `The work is in ${describeWork({ agent, commit })}.`];
}

/** Reopens the task with a note. Its first commit stays recorded, so that all of the work lands after the fix. */
const reopen = taskVerb("land.refuse", reopenIn);

async function reopenIn(tx: Tx, row: TaskRow, { landing, branch, onto }: Refusal, verdict: Verdict): Promise<boolean> {
  const { why, reason, files } = verdict.found;
  if (landing !== null && !(await endRow(tx, landing, why, { onto, reason }))) return false;
  const now = await findById(tx.db, row.id);
  if (now === undefined || now.status !== "CLOSED" || now.work_to !== row.work_to) return false;
  tx.addPayload({ why, reason, files, branch, onto, agent: row.work_agent, commit: row.work_to });
  await transition(tx, now, "open", heldIfJob(now, `It did not land: it ${reason}`));
  await insertNote(tx, now.id, AUTHOR, { kind: verdict.kind, text: verdict.text });
  return true;
}

/** Sends it to the owner as a prompt; a person, or a closed agent, finds the note on the task. */
async function sendPrompt(
  crew: TmuxHost,
  { agent, refusal, text }: { agent: string; refusal: Refusal; text: string },
): Promise<boolean> {
  const { row } = refusal.candidate;
  const name = qualifiedName(row);
  const prompt = [
    `Your task ${name} is OPEN again. ${text}`,
    "",
    `Claim it again first (mu task claim ${name}), update your workspace (mu workspace refresh ${agent} -w ${row.workstream}),`,
    `fix it, commit, and close it again (mu task close ${name}).`,
  ].join("\n");
  const to = { workstream: row.workstream, name: agent };
  const sent = queueForAgent(crew, to, prompt, { sender: AUTHOR, taskId: row.id });
  return sent.then(() => true, insteadOfFault(false));
}

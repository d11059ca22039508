import type { TmuxHost } from "../agents/crew.js";
import { mapAtMost } from "../at-most.js";
import type { Reader } from "../db/schema.js";
import { asFault } from "../errors.js";
import { MICROS } from "../runs/run.js";
import { spentOnTask } from "../runs/spend.js";
import { shape, type TypeOf } from "../shape.js";
import { isApproved } from "../tasks/approved.js";
import { lastCheck } from "../tasks/checks.js";
import { selectTasks, type TaskRow } from "../tasks/task.js";
import { coveredBy } from "../tasks/touches.js";
import type { ChangedFile } from "../vcs/vcs.js";
import { changesOf, filesOf } from "../work/changes.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { commentRows } from "./comments.js";
import { isCode, isTest, type RiskFacts, riskOf } from "./risk.js";

/** Finished work that has not landed, and how risky it is to land it without a look. */
export const REVIEW = shape({
  workstream: "string",
  task: "string",
  title: "string",
  /** Whose work it is. */
  agent: "string | null",
  /** Its last commit, which an approval is of. */
  commit: "string | null",
  risk: "number",
  /** The weightiest first. */
  reasons: "string[]",
  files: "number",
  added: "number",
  removed: "number",
  check: ["passed", "stale", "none", "failed"],
  /** Who approved this very commit. */
  approvedBy: "string | null",
  /** How often it was returned, and how many comments of that are open. */
  rounds: "number",
  openComments: "number",
  pullRequest: "string | null",
  closedAt: "string | null",
});

export type Review = TypeOf<typeof REVIEW>;

/** How many tasks are read at a time: each takes some git processes. */
const AT_ONCE = 4;

/**
 * The finished work of a workstream that has not landed: the riskiest first, approved work last. Faults
 * `workstream.not_found`.
 */
export async function listReviews(crew: TmuxHost, workstream: string, task?: string): Promise<Review[]> {
  const { db } = crew.context.store;
  const { id } = await workstreamRow(db, workstream);
  let query = selectTasks(db)
    .where("t.workstream_id", "=", id)
    .where("t.status", "=", "CLOSED")
    .where((e) => e.or([e("t.level", "is", null), e("t.level", "<>", "landed")]))
    .where("t.work_to", "is not", null)
    .whereRef("t.work_to", "<>", "t.work_from");
  if (task !== undefined) query = query.where("t.name", "=", task);
  const rows = await query.execute();
  const records = new Map<string, Promise<AuthorRecord>>();
  const recordOf = (agent: string) => {
    const known = records.get(agent) ?? authorRecord(db, { workstream, id, agent });
    records.set(agent, known);
    return known;
  };
  const reviews = await mapAtMost(AT_ONCE, rows, (row) => reviewOf(crew, row, recordOf));
  const rank = ({ approvedBy }: Review) => (approvedBy === null ? 0 : 1);
  return reviews.sort((a, b) => rank(a) - rank(b) || b.risk - a.risk || (a.task < b.task ? -1 : 1));
}

async function reviewOf(
  crew: TmuxHost,
  row: TaskRow,
  recordOf: (agent: string) => Promise<AuthorRecord>,
): Promise<Review> {
  const { db } = crew.context.store;
  let unread: string | undefined;
  const read = async () => filesOf(crew, await changesOf(crew, db, row));
  const files = await read().catch((error: unknown): ChangedFile[] => {
    unread = asFault(error).message;
    return [];
  });
  const comments = await commentRows(db, row.id);
  const check = await checkOf(db, row);
  const { spent } = await spentOnTask(db, row.id);
  const [added, removed] = [sum(files, "added"), sum(files, "removed")];
  const tests = files.filter(({ path }) => isTest(path));
  const covers = coveredBy(JSON.parse(row.touches ?? "[]"));
  const { score, reasons } = riskOf({
    lines: added + removed,
    files: files.length,
    outside: row.touches === null ? [] : files.flatMap(({ path }) => (covers(path) ? [] : [path])),
    untested: tests.length === 0 && files.some(({ path }) => isCode(path)),
    testLinesLost: Math.max(0, sum(tests, "removed") - sum(tests, "added")),
    check,
    costUsd: spent / MICROS,
    unread,
    ...(await recordOf(row.work_agent ?? "")),
  });
  return {
    ...{ workstream: row.workstream, task: row.name, title: row.title, agent: row.work_agent, commit: row.work_to },
    ...{ risk: score, reasons, files: files.length, added, removed, check },
    approvedBy: isApproved(row) ? row.approved_by : null,
    rounds: Math.max(0, ...comments.map(({ round }) => round ?? 0)),
    openComments: comments.filter(({ handled_at }) => handled_at === null).length,
    pullRequest: row.pull_request,
    closedAt: row.closed_at,
  };
}

const sum = (files: readonly ChangedFile[], side: "added" | "removed") =>
  files.reduce((total, file) => total + (file[side] ?? 0), 0);

async function checkOf(db: Reader, row: TaskRow): Promise<RiskFacts["check"]> {
  const check = await lastCheck(db, row.id);
  if (check === null) return "none";
  if (!check.green) return "failed";
  return check.commit === row.work_to ? "passed" : "stale";
}

type AuthorRecord = Pick<RiskFacts, "redChecks" | "reverts" | "escalations">;

async function authorRecord(
  db: Reader,
  { workstream, id, agent }: { workstream: string; id: number; agent: string },
): Promise<AuthorRecord> {
  const red = await db
    .selectFrom("checks as c")
    .innerJoin("tasks as t", "t.id", "c.task_id")
    .select((e) => e.fn.countAll().as("count"))
    .where("t.workstream_id", "=", id)
    .where("c.author", "=", agent)
    .where((e) => e.or([e("c.exit_code", "is", null), e("c.exit_code", "<>", 0)]))
    .executeTakeFirstOrThrow();
  const events = await db
    .selectFrom("events")
    .select(["op", "actor", "payload"])
    .where("scope", "=", workstream)
    .where("op", "in", ["land.refuse", "land.revert", "task.escalate"])
    .execute();
  const counts = { redChecks: Number(red.count), reverts: 0, escalations: 0 };
  for (const { op, actor, payload } of events) {
    const { agent: author, why } = JSON.parse(payload) as { agent?: string; why?: string };
    if (op === "land.revert" && author === agent) counts.reverts++;
    if (op === "task.escalate" && actor === agent) counts.escalations++;
    if (op === "land.refuse" && author === agent && why === "red") counts.redChecks++;
  }
  return counts;
}

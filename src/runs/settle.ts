import type { Selectable } from "kysely";
import type { Context } from "../db/context.js";
import type { Schema } from "../db/schema.js";
import { statement } from "../db/statement.js";
import { type RowOf, type Tx, write } from "../db/write.js";
import { qualifiedName, type TaskRef } from "../names.js";
import { type TaskToChange, taskToChange } from "../tasks/change.js";
import { dropNodeIn } from "../tasks/flow/go-on.js";
import { isNode } from "../tasks/flow/nodes.js";
import { canGoOnWithout } from "../tasks/flow/steps.js";
import { closeTaskIn, type Finding } from "../tasks/lifecycle.js";
import { insertNote } from "../tasks/notes.js";
import { transition } from "../tasks/transition.js";
import { advance, limitUntil, type Outcome, type Step } from "./advance.js";
import type { Bill } from "./bill.js";
import { type Run, type RunRow, toRun } from "./run.js";

/** How a run ended, what it cost, and what proves that its task is done. */
export interface Settlement {
  outcome: Outcome;
  bill: Bill;
  exitCode: number | null;
  sessionRef: string | null;
  answer: string | null;
  finding?: Finding | undefined;
}

export interface Settled {
  run: Run;
  /** What became of the task; undefined if it was not this run's any more. */
  step: Step | undefined;
}

/** Longer answers are in the run's output. */
const MOST_ANSWER = 65_536;

/**
 * Settles a run, its task and the money in one write: however often and by whomever it is called, the first call
 * counts and gives what became of the task; undefined for the others, and if a runner has taken the run over since
 * `run` was read. `patience` scales the back-off.
 */
export function settleRun(
  context: Context,
  run: RunRow,
  settlement: Settlement,
  options: { patience?: number | undefined } = {},
): Promise<Settled | undefined> {
  const { workstream, task: name } = run;
  const spec = { op: "run.settle", scope: workstream, subject: qualifiedName({ workstream, name }) };
  return write(context, spec, (tx) => settleRunIn(tx, run, settlement, options));
}

const selectRun = statement((db, { id }: { id: number }) => db.selectFrom("runs").selectAll().where("id", "=", id));

export async function settleRunIn(
  tx: Tx,
  { id, state: seen }: Pick<RunRow, "id" | "state">,
  { outcome, bill, exitCode, sessionRef, answer, finding }: Settlement,
  { patience }: { patience?: number | undefined } = {},
): Promise<Settled | undefined> {
  const [run] = await selectRun(tx.db, { id });
  if (run === undefined || run.finished_at !== null || run.state !== seen) return undefined;
  const { state, failure, reason, verdict } = outcome;
  const retryAt = limitUntil(outcome, { attempts: run.attempt - 1, now: tx.now, patience });
  const after = await tx.patch(
    "runs",
    id,
    {
      ...bill,
      ...{ state, failure, reason, verdict, retry_at: retryAt, exit_code: exitCode, finished_at: tx.now },
      ...{ session_ref: sessionRef, answer: answer === null ? null : answer.slice(-MOST_ANSWER) },
    },
    run,
  );
  tx.addPayload({ run: id, state, ...(failure !== null && { failure }), ...(verdict !== null && { verdict }) });
  await showSlot(tx, run.agent_id, "idle", `run ${id} ${state}`);
  const task = await ownTask(tx, run);
  const workstream = await workstreamName(tx, run.workstream_id);
  const step = task && (await applyTo(tx, task, run, { outcome: { ...outcome, retryAt }, finding, answer, patience }));
  return { run: toRun({ ...after, workstream }), step };
}

const selectClaim = statement((db, { task }: { task: number | null }) =>
  db
    .selectFrom("tasks as t")
    .innerJoin("workstreams as w", "w.id", "t.workstream_id")
    .select(["t.name", "w.name as workstream", "t.status", "t.owner_id", "t.claim_generation"])
    .where("t.id", "=", task),
);

/** The run's task, if the run's claim of it still stands. */
async function ownTask(tx: Tx, run: RowOf<"runs">): Promise<TaskToChange | undefined> {
  const [row] = await selectClaim(tx.db, { task: run.task_id });
  const isOwn =
    row?.status === "IN_PROGRESS" && row.owner_id === run.agent_id && row.claim_generation === run.claim_generation;
  return isOwn ? taskToChange(tx.db, row) : undefined;
}

async function applyTo(
  tx: Tx,
  task: TaskToChange,
  run: RowOf<"runs">,
  {
    outcome,
    finding,
    answer,
    patience,
  }: Pick<Settlement, "outcome" | "finding" | "answer"> & { patience: number | undefined },
): Promise<Step> {
  if (isNode(task)) await keepJudgement(tx, task, run.agent, [outcome.reason, answer]);
  const limits = {
    ...{ attempts: task.attempts, maxRetries: task.max_retries },
    dispensable: outcome.state !== "done" && (await canGoOnWithout(tx.db, task)),
  };
  const step = advance(limits, outcome, { now: tx.now, ...(patience !== undefined && { patience }) });
  const ref: TaskRef = task;
  if (step.do === "close") {
    const claimant = { agent: run.agent, incarnation: run.agent_id };
    await closeTaskIn(tx, ref, claimant, { finding, outcome: outcome.verdict ?? "done" });
    return step;
  }
  const failed = outcome.state === "failed" || outcome.state === "lost";
  await transition(tx, task, "release", {
    ...(failed && { attempts: task.attempts + 1 }),
    ...(step.do === "retry" && { not_before: step.notBefore }),
    ...(step.do === "hold" && { hold: step.word, hold_reason: step.reason.slice(0, 2000), outcome: outcome.verdict }),
  });
  if (step.do === "drop") await dropNodeIn(tx, await taskToChange(tx.db, ref));
  if (failed || step.do === "hold") {
    const why = [outcome.failure ?? outcome.verdict ?? outcome.state, outcome.reason].filter(Boolean).join(": ");
    await insertNote(tx, task.id, run.agent, { text: `[run ${run.id}] attempt ${run.attempt} ended: ${why}` });
  }
  return step;
}

/** Keeps what a judge or a merger says as a note, where those find it who go on from there. */
async function keepJudgement(
  tx: Tx,
  { id, kind }: TaskToChange,
  author: string,
  said: readonly (string | null)[],
): Promise<void> {
  const text = said.flatMap((one) => one?.trim().slice(-MOST_ANSWER) || []).join("\n\n");
  if (text === "" || !["review", "test", "merge", "recon", "verify"].includes(kind)) return;
  await insertNote(tx, id, author, { text, kind: kind === "test" ? "test" : "review" });
}

async function workstreamName(tx: Tx, id: number): Promise<string> {
  return (await tx.db.selectFrom("workstreams").select("name").where("id", "=", id).executeTakeFirstOrThrow()).name;
}

/** Shows a slot as busy or idle, where agents are listed. */
export async function showSlot(tx: Tx, agent: number, status: "busy" | "idle", reason: string): Promise<void> {
  const seen = { status, reason, by: "process", rule: null, evidence: null, at: tx.now, seen_at: tx.now };
  await upsertStatus(tx.db, { agent_id: agent, spool_offset: "", ...seen });
}

type Seen = Omit<Selectable<Schema["agent_status"]>, "id" | "screen_hash" | "screen_at" | "pane_facts" | "feed">;

const upsertStatus = statement(
  (db, { agent_id, spool_offset, status, reason, by, rule, evidence, at, seen_at }: Seen) => {
    const seen = { status, reason, by, rule, evidence, at, seen_at };
    return db
      .insertInto("agent_status")
      .values({ agent_id, spool_offset, ...seen })
      .onConflict((conflict) => conflict.column("agent_id").doUpdateSet(seen));
  },
);

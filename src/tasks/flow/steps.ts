import type { Reader } from "../../db/schema.js";
import { statement } from "../../db/statement.js";
import type { RowOf, Tx } from "../../db/write.js";
import { beginStep, type FlowStep, type Move, mayDrop, type NewNode, resumeStep } from "../../flow/advance.js";
import { placeOf, type StepPlan, stepPlanOf } from "../../flow/payload.js";
import { isStepName, type NodeKind, type StepName } from "../../flow/steps.js";
import { type TaskRef, unusedName } from "../../names.js";
import { addTaskIn, namesLike } from "../add.js";
import { insertEdge } from "../graph.js";
import { selectTasks, type Task, type TaskRow, taskRow } from "../task.js";
import { transition } from "../transition.js";
import { addNodesIn, byMu, containerOf, holdIn, selectNodes, toNode } from "./nodes.js";

/** The task of a step with what happened in it. */
export interface StepState {
  row: TaskRow;
  plan: StepPlan;
  flow: FlowStep;
}

/** The step that a task is a part of; undefined for other tasks. */
export async function stepOfNode(db: Reader, node: Pick<RowOf<"tasks">, "id" | "kind" | "step" | "root_id">) {
  const row = await containerOf(db, node);
  return row && readStep(db, row);
}

/** A step with all its tasks; undefined if the row is none. */
export async function readStep(db: Reader, row: TaskRow): Promise<StepState | undefined> {
  if (row.kind !== "step" || !isStepName(row.step)) return undefined;
  const nodes = await selectNodes(db, { container: row.id, root: row.root_id });
  const plan = stepPlanOf(row.payload);
  const { limits, base } = plan;
  return { row, plan, flow: { step: row.step, limits, base, nodes: nodes.map(toNode) } };
}

export async function moveIn(tx: Tx, { row, plan }: StepState, move: Move): Promise<void> {
  const { close, hold, add } = move;
  await addNodesIn(tx, row, plan, add);
  if (close !== undefined) await closeStepIn(tx, row, close);
  if (hold === undefined) return;
  await holdIn(tx, row, hold);
}

async function closeStepIn(tx: Tx, row: TaskRow, outcome: string): Promise<void> {
  await transition(tx, row, "close", { outcome, hold: null, hold_reason: null });
  tx.addPayload({ step: row.name, outcome });
  if (row.root !== null) await closeJobIn(tx, { workstream: row.workstream, name: row.root }, outcome);
}

/** A job is done when none of its steps is open and this one was done. */
const LAST_STEP: StepName = "report";

async function closeJobIn(tx: Tx, ref: TaskRef, outcome: string): Promise<void> {
  const job = await taskRow(tx.db, ref);
  const steps = await selectSteps(tx.db, { job: job.id });
  const isDone = steps.some(({ step, status }) => step === LAST_STEP && status === "CLOSED");
  if (!isDone || steps.some(({ status }) => status === "OPEN")) return;
  await transition(tx, job, "close", { outcome, work_to: job.work_to });
}

const selectSteps = statement((db, { job }: { job: number }) =>
  selectTasks(db).where("t.root_id", "=", job).where("t.kind", "=", "step").orderBy("t.id"),
);

/** What the task of a job gets that came back: none of its agents sees to it until a person has it go on. */
export const heldIfJob = ({ kind }: Pick<TaskRow, "kind">, reason: string) =>
  kind === "job" ? { hold: "escalated", hold_reason: reason.slice(0, 2000) } : {};

/** Makes a job's task OPEN again, and nobody's to decide on. */
export async function reopenJobIn(tx: Tx, row: TaskRow): Promise<TaskRow> {
  const free = { hold: null, hold_reason: null };
  // What has landed is not this job's work any more.
  const begins = row.level === "landed" ? { work_from: row.work_to } : {};
  const opened = await transition(tx, row, "open", { ...free, ...begins });
  if (opened !== undefined) return opened;
  return row.hold === null
    ? row
    : { ...row, ...(await tx.patch("tasks", row.id, { ...free, updated_at: tx.now }, row)) };
}

/** Has a job go on that came back: with the builder of its newest step that changes code; undefined if it has none. */
export async function resumeJobIn(tx: Tx, job: TaskRow): Promise<string[] | undefined> {
  const steps = await selectSteps(tx.db, { job: job.id });
  const [row] = steps.filter(({ step }) => step === "work").slice(-1);
  const state = row && (await readStep(tx.db, row));
  if (state === undefined || state.flow.nodes.some((node) => node.state === "open")) return undefined;
  await reopenJobIn(tx, job);
  return resumeStepIn(tx, state, "make");
}

/** The task of a step of a job, with the tasks that it begins with; these wait for `after`. */
export async function addStepIn(
  tx: Tx,
  job: TaskRow,
  { step, plan, after, routes }: { step: StepName; plan: StepPlan; after: readonly string[]; routes: boolean },
): Promise<{ step: Task; nodes: string[] }> {
  const { workstream } = job;
  const names = await namesLike(tx.db, job.workstream_id, `${job.name}-${step}`);
  const name = unusedName(`${job.name}-${step}`, (taken) => names.has(taken));
  const { task } = await addTaskIn(byMu(tx), workstream, {
    ...{ name, title: `${job.name}: ${step}`, kind: "step", step, root: job.name, blockedBy: after },
    ...{ priority: job.priority, payload: { plan } },
  });
  const row = await taskRow(tx.db, { workstream, name });
  await insertEdge(tx, row.id, job.id, "closed");
  const route: NewNode[] = routes ? [{ kind: "route", round: 0, index: 1, after }] : [];
  const [router] = await addNodesIn(tx, row, plan, route);
  const begins = beginStep(step, plan.limits, router === undefined ? after : [router]);
  const nodes = await addNodesIn(tx, row, plan, begins);
  return { step: task, nodes: [...(router === undefined ? [] : [router]), ...nodes] };
}

/** Whether the step of a task can go on without it; false for a task of no step. */
export async function canGoOnWithout(db: Reader, node: TaskRow): Promise<boolean> {
  const at = await stepOfNode(db, node);
  const self = { name: node.name, kind: node.kind as NodeKind, round: placeOf(node.payload).round };
  return at !== undefined && mayDrop(at.flow, self);
}

/** Has a step go on that is held or closed, with its maker or with its judges; `more` is added to what was asked for. */
export async function resumeStepIn(
  tx: Tx,
  { row, plan, flow }: StepState,
  from: "make" | "judge",
  more?: string | undefined,
): Promise<string[]> {
  const { base, add } = resumeStep(flow, from);
  const instructions = [plan.instructions, more].filter(Boolean).join("\n\n") || null;
  const next: StepPlan = { ...plan, instructions, base };
  const columns = { hold: null, hold_reason: null, outcome: null, payload: JSON.stringify({ plan: next }) };
  const opened = await transition(tx, row, "open", columns);
  if (opened === undefined) await tx.patch("tasks", row.id, { ...columns, updated_at: tx.now }, row);
  return addNodesIn(tx, row, next, add);
}

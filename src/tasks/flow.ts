import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import type { RowOf, Tx } from "../db/write.js";
import {
  advanceStep,
  beginStep,
  type FlowNode,
  type FlowStep,
  type Move,
  mayDrop,
  type NewNode,
  resumeStep,
} from "../flow/advance.js";
import {
  advanceIntake,
  beginIntake,
  INTAKE_STEP,
  type IntakeFlow,
  type IntakeKind,
  type IntakeMove,
  isIntakeKind,
} from "../flow/intake.js";
import { placeOf, type StepPlan, stepPlanOf } from "../flow/payload.js";
import { isStepName, NODE_KINDS, type NodeKind, ROLE_OF, type StepName } from "../flow/steps.js";
import { type TaskRef, unusedName } from "../names.js";
import { addTaskIn, namesLike } from "./add.js";
import { insertEdge } from "./graph.js";
import { selectTasks, type Task, type TaskRow, taskRow } from "./task.js";
import { transition } from "./transition.js";

/** The task of a step with what happened in it. */
export interface StepState {
  row: TaskRow;
  plan: StepPlan;
  flow: FlowStep;
}

/** An intake, likewise. */
export interface IntakeState {
  row: TaskRow;
  plan: StepPlan;
  flow: IntakeFlow;
}

const isNodeKind = (kind: string): kind is NodeKind => NODE_KINDS.includes(kind as NodeKind);

/** True for a task that a step of a job, or an intake, consists of. */
export const isNode = ({ kind, step, root_id }: Pick<RowOf<"tasks">, "kind" | "step" | "root_id">) =>
  root_id !== null && (isStepName(step) || step === INTAKE_STEP) && isNodeKind(kind);

const selectContainerOf = statement((db, { node }: { node: number }) =>
  selectTasks(db)
    .innerJoin("task_edges as e", "e.blocked_id", "t.id")
    .where("e.blocker_id", "=", node)
    .where("t.kind", "in", ["step", "intake"])
    .orderBy("t.id")
    .limit(1),
);

const selectNodes = statement((db, { container, root }: { container: number; root: number | null }) =>
  db
    .selectFrom("tasks as t")
    .innerJoin("task_edges as e", "e.blocker_id", "t.id")
    .select(["t.name", "t.kind", "t.payload", "t.status", "t.outcome"])
    .where("e.blocked_id", "=", container)
    .where("t.root_id", "=", root)
    .where("t.kind", "in", NODE_KINDS)
    .orderBy("t.id"),
);

/** The step that a task is a part of; undefined for other tasks. */
export async function stepOfNode(db: Reader, node: Pick<RowOf<"tasks">, "id" | "kind" | "step" | "root_id">) {
  const row = await containerOf(db, node);
  return row && readStep(db, row);
}

async function containerOf(db: Reader, node: Pick<RowOf<"tasks">, "id" | "kind" | "step" | "root_id">) {
  return isNode(node) ? (await selectContainerOf(db, { node: node.id }))[0] : undefined;
}

/** A step with all its tasks; undefined if the row is none. */
export async function readStep(db: Reader, row: TaskRow): Promise<StepState | undefined> {
  if (row.kind !== "step" || !isStepName(row.step)) return undefined;
  const nodes = await selectNodes(db, { container: row.id, root: row.root_id });
  const plan = stepPlanOf(row.payload);
  const { limits, base } = plan;
  return { row, plan, flow: { step: row.step, limits, base, nodes: nodes.map(toNode) } };
}

/** An intake with all its tasks; undefined if the row is none. */
export async function readIntake(db: Reader, row: TaskRow): Promise<IntakeState | undefined> {
  if (row.kind !== "intake" || !isIntakeKind(row.step)) return undefined;
  const nodes = await selectNodes(db, { container: row.id, root: row.id });
  const plan = stepPlanOf(row.payload);
  return { row, plan, flow: { kind: row.step, limits: plan.limits, base: plan.base, nodes: nodes.map(toNode) } };
}

type NodeRow = Awaited<ReturnType<typeof selectNodes>>[number];

function toNode({ name, kind, payload, status, outcome }: NodeRow): FlowNode {
  const state = status === "CLOSED" ? "done" : status === "REJECTED" ? "dropped" : "open";
  return { name, kind: kind as NodeKind, ...placeOf(payload), state, verdict: outcome };
}

/** Has the step or the intake of a task go on that has just been closed or given up; for the write that ends it. */
export async function goOnIn(
  tx: Tx,
  node: Pick<RowOf<"tasks">, "id" | "kind" | "step" | "root_id" | "payload">,
): Promise<void> {
  const row = await containerOf(tx.db, node);
  if (row === undefined || row.status !== "OPEN") return;
  const ended = { kind: node.kind as NodeKind, round: placeOf(node.payload).round };
  const step = await readStep(tx.db, row);
  if (step !== undefined) return moveIn(tx, step, advanceStep(step.flow, ended));
  const intake = await readIntake(tx.db, row);
  if (intake !== undefined) await moveIntakeIn(tx, intake, advanceIntake(intake.flow, ended), node);
}

async function moveIn(tx: Tx, { row, plan }: StepState, move: Move): Promise<void> {
  const { close, hold, add } = move;
  await addNodesIn(tx, row, plan, add);
  if (close !== undefined) await closeStepIn(tx, row, close);
  if (hold === undefined) return;
  await holdIn(tx, row, hold);
}

async function holdIn(tx: Tx, row: TaskRow, { reason, outcome }: { reason: string; outcome: string }): Promise<void> {
  const held = { hold: "escalated", hold_reason: reason, outcome, updated_at: tx.now };
  await tx.patch("tasks", row.id, held, row);
  tx.addPayload({ step: row.name, outcome });
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

/** What mu adds by itself does not count as the work of the run that ended just now. */
const byMu = (tx: Tx): Tx => ({ ...tx, run: undefined });

async function addNodesIn(tx: Tx, step: TaskRow, plan: StepPlan, add: readonly NewNode[]): Promise<string[]> {
  const { workstream } = step;
  const of = step.kind === "intake" ? { step: INTAKE_STEP, root: step.name } : { step: step.step, root: step.root };
  const added: string[] = [];
  const taken = add.length === 0 ? undefined : await namesLike(tx.db, step.workstream_id, `${step.name}-`);
  for (const { kind, round, index, after } of add) {
    let n = 1;
    while (taken?.has(`${step.name}-${kind}-${n}`)) n++;
    const name = `${step.name}-${kind}-${n}`;
    taken?.add(name);
    const { role, run } = plan.nodes[kind] ?? { role: ROLE_OF[kind], run: {} };
    await addTaskIn(byMu(tx), workstream, {
      ...{ name, title: `${step.title}, ${kind} ${n}`, kind, role, ...of },
      ...{ priority: step.priority, blockedBy: after, payload: { node: { round, index }, run } },
      ...(kind === "route" && { maxRetries: 0 }),
    });
    await insertEdge(tx, (await taskRow(tx.db, { workstream, name })).id, step.id, "closed");
    added.push(name);
  }
  return added;
}

/** Whether the step of a task can go on without it; false for a task of no step. */
export async function canGoOnWithout(db: Reader, node: TaskRow): Promise<boolean> {
  const at = await stepOfNode(db, node);
  const self = { name: node.name, kind: node.kind as NodeKind, round: placeOf(node.payload).round };
  return at !== undefined && mayDrop(at.flow, self);
}

/** Gives up a task without which its step can go on, and has the step go on. */
export async function dropNodeIn(tx: Tx, node: TaskRow): Promise<void> {
  // A router that failed still ends: what waits for it begins.
  await transition(tx, node, node.kind === "route" ? "close" : "reject", { outcome: "failed" });
  tx.addPayload({ dropped: node.name });
  await goOnIn(tx, node);
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

/** The task of an intake, with the task that it begins with. */
export async function addIntakeIn(
  tx: Tx,
  workstream: string,
  { kind, title, plan, payload, externalRef, description }: NewIntake,
): Promise<TaskRow> {
  const { task } = await addTaskIn(byMu(tx), workstream, {
    ...{ title, kind: "intake", step: kind, externalRef, description, payload: { ...payload, plan } },
  });
  const row = await taskRow(tx.db, { workstream, name: task.name });
  await addNodesIn(tx, row, plan, [beginIntake(kind)]);
  return row;
}

export interface NewIntake {
  kind: IntakeKind;
  title: string;
  plan: StepPlan;
  /** What came with it; kept as it is. */
  payload: Record<string, unknown>;
  externalRef?: string | undefined;
  description?: string | undefined;
}

async function moveIntakeIn(tx: Tx, { row, plan }: IntakeState, move: IntakeMove, node: { id: number }): Promise<void> {
  await addNodesIn(tx, row, plan, move.add);
  if (move.adopt) await adoptFiledIn(tx, row, plan, node.id);
  if (move.followUp) await followUpIn(tx, row, plan, node.id);
  if (move.close !== undefined) await closeIntakeIn(tx, row, move.close);
  if (move.hold !== undefined) await holdIn(tx, row, move.hold);
}

/** Closes an intake, and the one that it follows up. */
async function closeIntakeIn(tx: Tx, row: TaskRow, outcome: string): Promise<void> {
  await transition(tx, row, "close", { outcome, hold: null, hold_reason: null });
  tx.addPayload({ step: row.name, outcome });
  const [before] = await selectContainerOf(tx.db, { node: row.id });
  if (before?.kind === "intake" && before.status === "OPEN") await closeIntakeIn(tx, before, outcome);
}

/** The tasks that an agent filed become what the intake builds; without any, one task builds all of it. */
async function adoptFiledIn(tx: Tx, row: TaskRow, plan: StepPlan, node: number): Promise<void> {
  const filed = await tx.db
    .selectFrom("tasks")
    .selectAll()
    .where("from_run", "in", (e) => e.selectFrom("runs").select("id").where("task_id", "=", node))
    .where("workstream_id", "=", row.workstream_id)
    .where("status", "=", "OPEN")
    .where("root_id", "is", null)
    .orderBy("id")
    .execute();
  if (filed.length === 0) {
    await addNodesIn(tx, row, plan, [{ kind: "build", round: 1, index: 1, after: [] }]);
    return;
  }
  const { role, run } = plan.nodes.build ?? { role: ROLE_OF.build, run: {} };
  for (const [at, task] of filed.entries()) {
    const payload = JSON.stringify({ node: { round: 1, index: at + 1 }, run });
    const part = { kind: "build", step: INTAKE_STEP, root_id: row.id, role: task.role ?? role, payload };
    await tx.patch("tasks", task.id, { ...part, updated_at: tx.now }, task);
    await insertEdge(tx, task.id, row.id, "closed");
  }
}

/** What was found out becomes an intake of its own, for which this one waits. */
async function followUpIn(tx: Tx, row: TaskRow, plan: StepPlan, node: number): Promise<void> {
  const found = await tx.db
    .selectFrom("task_notes")
    .select("text")
    .where("task_id", "=", node)
    .where("kind", "=", "review")
    .orderBy("id", "desc")
    .limit(1)
    .executeTakeFirst();
  const text = found?.text ?? "";
  const kind: IntakeKind = /\b(?:route|kind)\b["']?\s*[:=]\s*["']?idea\b/i.test(text) ? "idea" : "task";
  const payload = row.payload === null ? {} : (JSON.parse(row.payload) as Record<string, unknown>);
  const next = await addIntakeIn(tx, row.workstream, {
    ...{ kind, title: row.title, payload, description: [row.description, text].filter(Boolean).join("\n\n") },
    plan: { ...plan, base: 0 },
  });
  await insertEdge(tx, next.id, row.id, "closed");
}

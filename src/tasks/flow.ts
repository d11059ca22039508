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
import { placeOf, type StepPlan, stepPlanOf } from "../flow/payload.js";
import { isStepName, NODE_KINDS, type NodeKind, ROLE_OF, type StepName } from "../flow/steps.js";
import { unusedName } from "../names.js";
import { addTaskIn, namesLike } from "./add.js";
import { insertEdge } from "./graph.js";
import { selectTasks, type Task, type TaskRow, taskRow } from "./task.js";
import { transition } from "./transition.js";

/** The task of a step, and of the job that it belongs to, with what happened in it. */
export interface StepState {
  row: TaskRow;
  plan: StepPlan;
  flow: FlowStep;
}

const isNodeKind = (kind: string): kind is NodeKind => NODE_KINDS.includes(kind as NodeKind);

/** True for a task that a step of a job consists of. */
export const isNode = ({ kind, step, root_id }: Pick<RowOf<"tasks">, "kind" | "step" | "root_id">) =>
  root_id !== null && isStepName(step) && isNodeKind(kind);

const selectStepOf = statement((db, { node }: { node: number }) =>
  selectTasks(db)
    .innerJoin("task_edges as e", "e.blocked_id", "t.id")
    .where("e.blocker_id", "=", node)
    .where("t.kind", "=", "step")
    .orderBy("t.id")
    .limit(1),
);

const selectNodes = statement((db, { step, root }: { step: number; root: number | null }) =>
  db
    .selectFrom("tasks as t")
    .innerJoin("task_edges as e", "e.blocker_id", "t.id")
    .select(["t.name", "t.kind", "t.payload", "t.status", "t.outcome"])
    .where("e.blocked_id", "=", step)
    .where("t.root_id", "=", root)
    .where("t.kind", "in", NODE_KINDS)
    .orderBy("t.id"),
);

/** The step that a task is a part of; undefined for other tasks. */
export async function stepOfNode(db: Reader, node: Pick<RowOf<"tasks">, "id" | "kind" | "step" | "root_id">) {
  if (!isNode(node)) return undefined;
  const [row] = await selectStepOf(db, { node: node.id });
  return row && readStep(db, row);
}

/** A step with all its tasks; undefined if the row is none. */
export async function readStep(db: Reader, row: TaskRow): Promise<StepState | undefined> {
  if (row.kind !== "step" || !isStepName(row.step)) return undefined;
  const nodes = await selectNodes(db, { step: row.id, root: row.root_id });
  const plan = stepPlanOf(row.payload);
  const { limits, base } = plan;
  return { row, plan, flow: { step: row.step, limits, base, nodes: nodes.map(toNode) } };
}

type NodeRow = Awaited<ReturnType<typeof selectNodes>>[number];

function toNode({ name, kind, payload, status, outcome }: NodeRow): FlowNode {
  const state = status === "CLOSED" ? "done" : status === "REJECTED" ? "dropped" : "open";
  return { name, kind: kind as NodeKind, ...placeOf(payload), state, verdict: outcome };
}

/** Has the step of a task go on that has just been closed or given up; for the write that ends it. */
export async function goOnIn(
  tx: Tx,
  node: Pick<RowOf<"tasks">, "id" | "kind" | "step" | "root_id" | "payload">,
): Promise<void> {
  const at = await stepOfNode(tx.db, node);
  if (at === undefined || at.row.status !== "OPEN") return;
  const move = advanceStep(at.flow, { kind: node.kind as NodeKind, round: placeOf(node.payload).round });
  await moveIn(tx, at, move);
}

async function moveIn(tx: Tx, { row, plan }: StepState, move: Move): Promise<void> {
  const { close, hold, add } = move;
  await addNodesIn(tx, row, plan, add);
  if (close !== undefined) await closeStepIn(tx, row, close);
  if (hold === undefined) return;
  const held = { hold: "escalated", hold_reason: hold.reason, outcome: hold.outcome, updated_at: tx.now };
  await tx.patch("tasks", row.id, held, row);
  tx.addPayload({ step: row.name, outcome: hold.outcome });
}

async function closeStepIn(tx: Tx, row: TaskRow, outcome: string): Promise<void> {
  await transition(tx, row, "close", { outcome, hold: null, hold_reason: null });
  tx.addPayload({ step: row.name, outcome });
  if (row.step !== LAST_STEP || row.root === null) return;
  const job = await taskRow(tx.db, { workstream: row.workstream, name: row.root });
  const { work_to } = job;
  await transition(tx, job, "close", { outcome, work_to });
}

/** A job is done when this step is. */
const LAST_STEP: StepName = "report";

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
  const added: string[] = [];
  const taken = add.length === 0 ? undefined : await namesLike(tx.db, step.workstream_id, `${step.name}-`);
  for (const { kind, round, index, after } of add) {
    let n = 1;
    while (taken?.has(`${step.name}-${kind}-${n}`)) n++;
    const name = `${step.name}-${kind}-${n}`;
    taken?.add(name);
    const { role, run } = plan.nodes[kind] ?? { role: ROLE_OF[kind], run: {} };
    await addTaskIn(byMu(tx), workstream, {
      ...{ name, title: `${step.title}, ${kind} ${n}`, kind, role, step: step.step, root: step.root },
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

/** Has a step go on that is held or closed, with its maker or with its judges. */
export async function resumeStepIn(tx: Tx, { row, plan, flow }: StepState, from: "make" | "judge"): Promise<string[]> {
  const { base, add } = resumeStep(flow, from);
  const next: StepPlan = { ...plan, base };
  const columns = { hold: null, hold_reason: null, outcome: null, payload: JSON.stringify({ plan: next }) };
  const opened = await transition(tx, row, "open", columns);
  if (opened === undefined) await tx.patch("tasks", row.id, { ...columns, updated_at: tx.now }, row);
  return addNodesIn(tx, row, next, add);
}

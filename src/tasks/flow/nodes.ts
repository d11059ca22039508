import type { Reader } from "../../db/schema.js";
import { statement } from "../../db/statement.js";
import type { RowOf, Tx } from "../../db/write.js";
import type { FlowNode, NewNode } from "../../flow/advance.js";
import { INTAKE_STEP } from "../../flow/intake.js";
import { placeOf, type StepPlan } from "../../flow/payload.js";
import { isStepName, NODE_KINDS, type NodeKind, ROLE_OF } from "../../flow/steps.js";
import { addTaskIn, namesLike } from "../add.js";
import { insertEdge } from "../graph.js";
import { selectTasks, type TaskRow, taskRow } from "../task.js";

const isNodeKind = (kind: string): kind is NodeKind => NODE_KINDS.includes(kind as NodeKind);

/** True for a task that a step of a job, or an intake, consists of. */
export const isNode = ({ kind, step, root_id }: Pick<RowOf<"tasks">, "kind" | "step" | "root_id">) =>
  root_id !== null && (isStepName(step) || step === INTAKE_STEP) && isNodeKind(kind);

export const selectContainerOf = statement((db, { node }: { node: number }) =>
  selectTasks(db)
    .innerJoin("task_edges as e", "e.blocked_id", "t.id")
    .where("e.blocker_id", "=", node)
    .where("t.kind", "in", ["step", "intake"])
    .orderBy("t.id")
    .limit(1),
);

export const selectNodes = statement((db, { container, root }: { container: number; root: number | null }) =>
  db
    .selectFrom("tasks as t")
    .innerJoin("task_edges as e", "e.blocker_id", "t.id")
    .select(["t.name", "t.kind", "t.payload", "t.status", "t.outcome"])
    .where("e.blocked_id", "=", container)
    .where("t.root_id", "=", root)
    .where("t.kind", "in", NODE_KINDS)
    .orderBy("t.id"),
);

export async function containerOf(db: Reader, node: Pick<RowOf<"tasks">, "id" | "kind" | "step" | "root_id">) {
  return isNode(node) ? (await selectContainerOf(db, { node: node.id }))[0] : undefined;
}

type NodeRow = Awaited<ReturnType<typeof selectNodes>>[number];

export function toNode({ name, kind, payload, status, outcome }: NodeRow): FlowNode {
  const state = status === "CLOSED" ? "done" : status === "REJECTED" ? "dropped" : "open";
  return { name, kind: kind as NodeKind, ...placeOf(payload), state, verdict: outcome };
}

export async function holdIn(
  tx: Tx,
  row: TaskRow,
  { reason, outcome }: { reason: string; outcome: string },
): Promise<void> {
  const held = { hold: "escalated", hold_reason: reason, outcome, updated_at: tx.now };
  await tx.patch("tasks", row.id, held, row);
  tx.addPayload({ step: row.name, outcome });
}

/** What mu adds by itself does not count as the work of the run that ended just now. */
export const byMu = (tx: Tx): Tx => ({ ...tx, run: undefined });

export async function addNodesIn(tx: Tx, step: TaskRow, plan: StepPlan, add: readonly NewNode[]): Promise<string[]> {
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

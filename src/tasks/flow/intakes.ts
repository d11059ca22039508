import type { Reader } from "../../db/schema.js";
import type { Tx } from "../../db/write.js";
import {
  beginIntake,
  INTAKE_STEP,
  type IntakeFlow,
  type IntakeKind,
  type IntakeMove,
  isIntakeKind,
} from "../../flow/intake.js";
import { type StepPlan, stepPlanOf, valuesIn } from "../../flow/payload.js";
import { ROLE_OF } from "../../flow/steps.js";
import { addTaskIn } from "../add.js";
import { insertEdge } from "../graph.js";
import { type TaskRow, taskRow } from "../task.js";
import { transition } from "../transition.js";
import { addNodesIn, byMu, holdIn, selectContainerOf, selectNodes, toNode } from "./nodes.js";

/** An intake, likewise. */
export interface IntakeState {
  row: TaskRow;
  plan: StepPlan;
  flow: IntakeFlow;
}

/** An intake with all its tasks; undefined if the row is none. */
export async function readIntake(db: Reader, row: TaskRow): Promise<IntakeState | undefined> {
  if (row.kind !== "intake" || !isIntakeKind(row.step)) return undefined;
  const nodes = await selectNodes(db, { container: row.id, root: row.id });
  const plan = stepPlanOf(row.payload);
  return { row, plan, flow: { kind: row.step, limits: plan.limits, base: plan.base, nodes: nodes.map(toNode) } };
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

export async function moveIntakeIn(
  tx: Tx,
  { row, plan }: IntakeState,
  move: IntakeMove,
  node: { id: number },
): Promise<void> {
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
  const next = await addIntakeIn(tx, row.workstream, {
    ...{
      kind,
      title: row.title,
      payload: valuesIn(row.payload),
      description: [row.description, text].filter(Boolean).join("\n\n"),
    },
    plan: { ...plan, base: 0 },
  });
  await insertEdge(tx, next.id, row.id, "closed");
}

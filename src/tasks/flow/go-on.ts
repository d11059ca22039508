import type { RowOf, Tx } from "../../db/write.js";
import { advanceStep } from "../../flow/advance.js";
import { advanceIntake } from "../../flow/intake.js";
import { placeOf } from "../../flow/payload.js";
import type { NodeKind } from "../../flow/steps.js";
import type { TaskRow } from "../task.js";
import { transition } from "../transition.js";
import { moveIntakeIn, readIntake } from "./intakes.js";
import { containerOf } from "./nodes.js";
import { moveIn, readStep } from "./steps.js";

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

/** Gives up a task without which its step can go on, and has the step go on. */
export async function dropNodeIn(tx: Tx, node: TaskRow): Promise<void> {
  // A router that failed still ends: what waits for it begins.
  await transition(tx, node, node.kind === "route" ? "close" : "reject", { outcome: "failed" });
  tx.addPayload({ dropped: node.name });
  await goOnIn(tx, node);
}

import { findOpenAgent, insertAgentIn, RUN_CLI } from "../agents/agent.js";
import type { RowOf, Tx } from "../db/write.js";
import type { TaskRef } from "../names.js";
import { taskToChange } from "../tasks/change.js";
import { claimTaskIn } from "../tasks/claim.js";
import { NO_BILL } from "./bill.js";
import { micros, type RunRow } from "./run.js";
import { showSlot } from "./settle.js";
import { dayOf } from "./spend.js";

/** What a run is reserved as. */
export interface Reservation {
  role: string;
  /** The slot. */
  agent: string;
  cli: string;
  model: string | null;
  access: "full" | "read-only";
  writes: string | null;
  transport: "pane" | "child";
  reservedUsd: number;
  /** Identity of the process that starts it. */
  process: string;
}

/**
 * Claims the task for the slot, whose row is made where it is missing, and books the reservation. Faults as `claimTask`.
 */
export async function reserveRunIn(tx: Tx, ref: TaskRef, wanted: Reservation): Promise<RunRow> {
  const { id: task_id, workstream_id, attempts } = await taskToChange(tx.db, ref);
  const slot = await slotIn(tx, workstream_id, wanted);
  const { task } = await claimTaskIn(tx, ref, { agent: slot.name, incarnation: slot.id });
  const { role, cli, model, access, writes, transport, process } = wanted;
  const row = await tx.insert("runs", {
    ...NOTHING_YET,
    ...{ workstream_id, task_id, task: ref.name, agent_id: slot.id, agent: slot.name },
    ...{ role, cli, model, access, writes, transport, process },
    ...{ claim_generation: task.claimGeneration, attempt: attempts + 1, state: "reserved", day: dayOf(tx.now) },
    reserved_micros: micros(wanted.reservedUsd),
  });
  await showSlot(tx, slot.id, "busy", `run ${row.id}: ${ref.name}`);
  tx.addPayload({ run: row.id, agent: slot.name });
  return { ...row, workstream: ref.workstream };
}

async function slotIn(tx: Tx, workstream: number, { agent, role, access }: Reservation): Promise<RowOf<"agents">> {
  const open = await findOpenAgent(tx.db, workstream, agent);
  if (open === undefined)
    return insertAgentIn(tx, { workstream_id: workstream, name: agent, cli: RUN_CLI, role, access });
  // Of one role some runs may change files and others may not.
  return open.access === access ? open : tx.patch("agents", open.id, { access }, open);
}

export const NOTHING_YET = {
  ...NO_BILL,
  ...{ session_ref: null, exit_code: null, failure: null, reason: null, retry_at: null, verdict: null },
  ...{ answer: null, started_at: null, finished_at: null },
};

import type { Crew } from "../../agents/crew.js";
import type { Context } from "../../db/context.js";
import { impatient } from "../../db/store.js";
import { Fault } from "../../errors.js";
import { workstreamRow } from "../../workstreams/workstream.js";
import { type Prediction, predictConflicts } from "./predict.js";
import { recordPrediction } from "./record.js";

/**
 * Looks at all workspaces of a workstream and stores what collides, and what each changes. Faults
 * `workstream.not_found`.
 */
export async function lookAround(crew: Crew, workstream: string): Promise<Prediction> {
  const { id, name } = await workstreamRow(crew.context.store.db, workstream);
  const prediction = await predictConflicts(crew, { id, name });
  await recordPrediction(crew.context, prediction);
  return prediction;
}

/** What was seen is fresh for so long, in ms. */
const FRESH_MS = 15_000;
/** A look in passing may take so long before it is broken off, in ms. */
const PATIENCE_MS = 2_000;
/** And wait so long for another process's write. */
const LOCK_WAIT_MS = 200;

/**
 * Looks around in passing, where there are git workspaces and the last look is not fresh: it is broken
 * off after two seconds, and what was seen before stays. True when it looked to the end. `makeCrew` is only called for a look.
 */
export async function glanceAround(
  context: Context,
  workstream: string,
  makeCrew: () => Promise<Crew>,
  patienceMs = PATIENCE_MS,
): Promise<boolean> {
  if (!(await isDue(context, workstream))) return false;
  const crew = await makeCrew();
  const signal = AbortSignal.timeout(patienceMs);
  const exec: Crew["exec"] = (file, args, options) => crew.exec(file, args, { ...options, signal });
  try {
    const { id } = await workstreamRow(context.store.db, workstream);
    const prediction = await predictConflicts({ ...crew, exec }, { id, name: workstream });
    if (signal.aborted) return false;
    await recordPrediction({ ...context, store: impatient(context.store, LOCK_WAIT_MS) }, prediction);
    return true;
  } catch (error) {
    if (error instanceof Fault) return false;
    throw error;
  }
}

async function isDue({ store, clock }: Context, workstream: string): Promise<boolean> {
  const row = await store.db
    .selectFrom("workspaces as s")
    .innerJoin("workstreams as w", "w.id", "s.workstream_id")
    .leftJoin("workspace_changes as c", "c.workspace_id", "s.id")
    .select((e) => [e.fn.countAll().as("workspaces"), e.fn.max("c.seen_at").as("seenAt")])
    .where("w.name", "=", workstream)
    .where("s.backend", "=", "git")
    .where("s.state", "=", "ready")
    .where("s.freed_at", "is", null)
    .executeTakeFirstOrThrow();
  if (Number(row.workspaces) === 0) return false;
  return row.seenAt === null || clock.now().getTime() - Date.parse(row.seenAt) > FRESH_MS;
}

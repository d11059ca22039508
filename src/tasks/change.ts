import { sql } from "kysely";
import { type Claimant, openAgent, replaced } from "../agents/agent.js";
import type { Context } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import { type Tx, write } from "../db/write.js";
import { Fault } from "../errors.js";
import { counted, qualifiedName, type TaskRef } from "../names.js";
import { isBlocked } from "./edge.js";
import type { TaskColumns } from "./fields.js";
import { selectTasks, type TaskRow, taskNotFound } from "./task.js";

/** A verb about one task: `work` in a write of its own. */
export function taskVerb<Ref extends TaskRef, Rest extends unknown[], Result>(
  op: string,
  work: (tx: Tx, ref: Ref, ...rest: Rest) => Promise<Result>,
  payloadOf?: (first: Rest[0]) => Record<string, unknown>,
) {
  return (context: Context, ref: Ref, ...rest: Rest): Promise<Result> => {
    const spec = { op, scope: ref.workstream, subject: qualifiedName(ref), payload: payloadOf?.(rest[0]) ?? {} };
    return write(context, spec, (tx) => work(tx, ref, ...rest));
  };
}

/** The row of a task that is about to change, with what verbs check first. */
export interface TaskToChange extends TaskRow {
  /** 1 if a blocker is unsatisfied, else 0. */
  blocked: number;
  /** When the owner's row was closed; null if it is open, or if there is no owner. */
  owner_closed_at: string | null;
}

const selectToChange = statement((db, { workstream, name }: TaskRef) =>
  selectTasks(db)
    .select([sql<number>`case when ${isBlocked} then 1 else 0 end`.as("blocked"), "o.closed_at as owner_closed_at"])
    .where("w.name", "=", workstream)
    .where("t.name", "=", name),
);

/** The task that a verb is about to change; faults `workstream.not_found`, `task.not_found`. */
export async function taskToChange(db: Reader, ref: TaskRef): Promise<TaskToChange> {
  const [row] = await selectToChange(db, ref);
  return row ?? Promise.reject(await taskNotFound(db, ref));
}

export interface Authority {
  /** Also change what another agent is working on. */
  override?: boolean | undefined;
}

/**
 * Refuses to let an agent change what another open agent, or a person, is working on. People may.
 * Faults `task.not_owner`, `agent.not_found`, `agent.replaced`.
 */
export async function requireAuthority(
  db: Reader,
  row: Omit<TaskToChange, "blocked">,
  claimant: Claimant,
  { override }: Authority,
): Promise<void> {
  const actor = await actingAgent(db, row, claimant);
  if (actor === undefined || override) return;
  if (row.status !== "IN_PROGRESS" || row.owner_id === null || row.owner_id === actor) return;
  if (row.owner_closed_at !== null) return;
  throw new Fault("conflict", "task.not_owner", `${row.name} belongs to ${row.owner}, not to you.`, [
    { intent: "Leave the owner a note", command: `mu task note ${row.name} '…' -w ${row.workstream}` },
    { intent: "See its progress", command: `mu task show ${row.name} -w ${row.workstream}` },
  ]);
}

/** The task that `claimant` is about to change. Faults as `taskToChange` and `requireAuthority`. */
export async function ownTaskToChange(
  db: Reader,
  ref: TaskRef,
  claimant: Claimant,
  authority: Authority,
): Promise<TaskToChange> {
  const row = await taskToChange(db, ref);
  await requireAuthority(db, row, claimant, authority);
  return row;
}

const selectIncarnation = statement((db, { id, name }: { id: number; name: string }) =>
  db.selectFrom("agents").select("id").where("id", "=", id).where("name", "=", name).where("closed_at", "is", null),
);

/**
 * The row id of the acting agent, which may live in another workstream if its incarnation is known; undefined for a
 * person. Faults `agent.not_found`, `agent.replaced`.
 */
export async function actingAgent(
  db: Reader,
  task: { workstream: string },
  claimant: Claimant,
): Promise<number | undefined> {
  if ("person" in claimant) return undefined;
  const { agent, incarnation } = claimant;
  if (incarnation === undefined) {
    return (await openAgent(db, { workstream: task.workstream, name: agent })).id;
  }
  const [row] = await selectIncarnation(db, { id: incarnation, name: agent });
  if (row === undefined) throw replaced(agent);
  return row.id;
}

/** The name that notes and events carry for `claimant`. */
export function claimantName(claimant: Claimant): string {
  return "agent" in claimant ? claimant.agent : claimant.person;
}

/** The longest lease, in seconds: 30 days. */
const LONGEST_LEASE = 30 * 24 * 3600;

/** What every write to a task sets: the time and, if its owner is the writer, the end of the lease. */
export function touched(
  row: Pick<TaskRow, "owner" | "owner_id" | "lease_seconds" | "status">,
  writer: Claimant,
  now: string,
): TaskColumns {
  if (row.lease_seconds === null || row.status !== "IN_PROGRESS" || !isOwner(row, writer)) return { updated_at: now };
  return { updated_at: now, lease_until: after(now, row.lease_seconds) };
}

/** An agent is the owner by its incarnation: another workstream may have an agent of its name. */
function isOwner({ owner, owner_id }: Pick<TaskRow, "owner" | "owner_id">, writer: Claimant): boolean {
  if ("agent" in writer && writer.incarnation !== undefined) return owner_id === writer.incarnation;
  return owner === claimantName(writer);
}

/** Who writes, where a verb takes no claimant. */
export const writerOf = ({ actor, incarnation }: Tx): Claimant =>
  incarnation === undefined ? { person: actor } : { agent: actor, incarnation };

/** The columns of a lease of `seconds` from `now`; of no lease if it is undefined. Faults `task.invalid_lease`. */
export function lease(now: string, seconds: number | undefined) {
  if (seconds === undefined) return { lease_until: null, lease_seconds: null };
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= LONGEST_LEASE) {
    return { lease_until: after(now, seconds), lease_seconds: seconds };
  }
  throw new Fault(
    "usage",
    "task.invalid_lease",
    `A lease is 1 second to 30 days long, not ${counted(seconds, "second")}.`,
    [{ intent: "Claim a task for half an hour", command: "mu task claim --next --lease 30m" }],
  );
}

function after(now: string, seconds: number): string {
  return new Date(Date.parse(now) + seconds * 1000).toISOString();
}

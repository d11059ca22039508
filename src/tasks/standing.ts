import { sql } from "kysely";
import { type Claimant, openAgentRow, replaced } from "../agents/agent.js";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import { Fault } from "../errors.js";
import type { TaskRef } from "../names.js";
import { selectTasks, type TaskRow, taskNotFound } from "./task.js";

/** A task with all that a verb decides by. */
export interface Standing extends TaskRow {
  /** 1 when a blocker is unsatisfied, else 0. */
  blocked: number;
  /** When the owner's row was closed; null while the owner is there, or when there is none. */
  owner_closed_at: string | null;
}

/** True for an edge `e` from blocker `b` that still blocks. */
export const unsatisfied = sql<boolean>`(b.status <> 'CLOSED'
  or (e.until = 'verified' and b.level is null)
  or (e.until = 'landed' and (b.level is null or b.level <> 'landed')))`;

/** True for a task `t` with an unsatisfied blocker. */
export const isBlocked = sql<boolean>`exists (
  select 1 from task_edges e join tasks b on b.id = e.blocker_id where e.blocked_id = t.id and ${unsatisfied})`;

const selectStanding = statement((db, { workstream, name }: TaskRef) =>
  selectTasks(db)
    .select([sql<number>`case when ${isBlocked} then 1 else 0 end`.as("blocked"), "o.closed_at as owner_closed_at"])
    .where("w.name", "=", workstream)
    .where("t.name", "=", name),
);

/** The task as it stands; faults `workstream.not_found`, `task.not_found`. */
export async function taskStanding(db: Reader, ref: TaskRef): Promise<Standing> {
  const [row] = await selectStanding(db, ref);
  return row ?? Promise.reject(await taskNotFound(db, ref));
}

/** Who may do what to other agents' tasks. */
export interface Authority {
  /** Also touch what another agent is working on. */
  override?: boolean | undefined;
}

/**
 * Refuses an agent that would take away what another open agent, or a person, is working on; people may.
 * Faults `task.not_owner`, `agent.not_found`, `agent.replaced`.
 */
export async function requireAuthority(
  db: Reader,
  row: Standing,
  claimant: Claimant,
  { override }: Authority,
): Promise<void> {
  const actor = await actingAgent(db, row, claimant);
  if (actor === undefined || override) return;
  if (row.status !== "IN_PROGRESS" || row.owner_id === null || row.owner_id === actor) return;
  if (row.owner_closed_at !== null) return;
  throw new Fault("conflict", "task.not_owner", `${row.name} is ${row.owner}'s work, not yours.`, [
    { intent: "Tell the owner in a note", command: `mu task note ${row.name} '…' -w ${row.workstream}` },
    { intent: "See how it goes", command: `mu task show ${row.name} -w ${row.workstream}` },
  ]);
}

const selectIncarnation = statement((db, { id, name }: { id: number; name: string }) =>
  db.selectFrom("agents").select("id").where("id", "=", id).where("name", "=", name).where("closed_at", "is", null),
);

/**
 * The row id of the agent that acts, which may live in another workstream when its incarnation is known;
 * undefined for a person. Faults `agent.not_found`, `agent.replaced`.
 */
export async function actingAgent(
  db: Reader,
  task: { workstream_id: number; workstream: string },
  claimant: Claimant,
): Promise<number | undefined> {
  if ("person" in claimant) return undefined;
  const { agent, incarnation } = claimant;
  if (incarnation === undefined) {
    return (await openAgentRow(db, task.workstream_id, { workstream: task.workstream, name: agent })).id;
  }
  const [row] = await selectIncarnation(db, { id: incarnation, name: agent });
  if (row === undefined) throw replaced(agent);
  return row.id;
}

/** The name that notes and events carry for `claimant`. */
export function claimantName(claimant: Claimant): string {
  return "agent" in claimant ? claimant.agent : claimant.person;
}

import type { Reader } from "../../db/schema.js";

/** A task that somebody is at, and what it says that it touches. */
export interface WorkInProgress {
  task: string;
  agent: string;
  touches: string[];
  /** The commit that its work begins behind; null when nobody knows. */
  from: string | null;
}

/** All IN_PROGRESS tasks of a workstream, by name. */
export async function workInProgress(db: Reader, workstreamId: number): Promise<WorkInProgress[]> {
  const rows = await db
    .selectFrom("tasks as t")
    .innerJoin("agents as o", "o.id", "t.owner_id")
    .select(["t.name", "t.touches", "t.work_from", "o.name as agent"])
    .where("t.workstream_id", "=", workstreamId)
    .where("t.status", "=", "IN_PROGRESS")
    .orderBy("t.name")
    .execute();
  return rows.map((row) => ({
    task: row.name,
    agent: row.agent,
    touches: row.touches === null ? [] : JSON.parse(row.touches),
    from: row.work_from,
  }));
}

/** The commit that an agent's present work begins behind, for those that are at one task only: of two it is not clear. */
export async function startsOfWork(db: Reader, workstreamId: number): Promise<Map<string, string>> {
  const work = await workInProgress(db, workstreamId);
  const single = work.filter(({ agent }) => work.filter((other) => other.agent === agent).length === 1);
  return new Map(single.flatMap(({ agent, from }) => (from === null ? [] : [[agent, from]])));
}

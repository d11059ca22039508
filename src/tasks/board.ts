import { sql } from "kysely";
import type { Reader } from "../db/schema.js";
import { groupBy } from "../groups.js";
import { unsatisfied } from "./edge.js";
import { isReady } from "./ready.js";
import { levelOf, type TaskLevel, type TaskStatus } from "./task.js";

/** A task as a board shows it. */
export interface BoardTask {
  name: string;
  title: string;
  kind: string;
  status: TaskStatus;
  /** Null while it is not CLOSED. */
  level: TaskLevel | null;
  role: string | null;
  owner: string | null;
  hold: string | null;
  priority: number;
  /** It can be claimed now. */
  ready: boolean;
  /** All that it waits for directly, by name, done or not. */
  blockers: string[];
  /** Those of them that are not done, or not as far as it needs. */
  waitsFor: string[];
  updatedAt: string;
}

/** Every task of a workstream, given by row id, in the order of their names; thousands in two queries. */
export async function readBoard(db: Reader, workstreamId: number, now: string): Promise<BoardTask[]> {
  const rows = await db
    .selectFrom("tasks as t")
    .leftJoin("agents as o", "o.id", "t.owner_id")
    .select([
      "t.id",
      "t.name",
      "t.title",
      "t.kind",
      "t.status",
      "t.level",
      "t.role",
      "o.name as owner",
      "t.hold",
      "t.priority",
    ])
    .select(["t.updated_at as updatedAt", sql<number>`case when ${isReady(now)} then 1 else 0 end`.as("ready")])
    .where("t.workstream_id", "=", workstreamId)
    .orderBy("t.name")
    .execute();
  const edges = await db
    .selectFrom("task_edges as e")
    .innerJoin("tasks as b", "b.id", "e.blocker_id")
    .innerJoin("tasks as t", "t.id", "e.blocked_id")
    .select(["e.blocked_id as blocked", "b.name", sql<number>`case when ${unsatisfied} then 1 else 0 end`.as("open")])
    .where("t.workstream_id", "=", workstreamId)
    .orderBy("b.name")
    .execute();
  const into = groupBy(edges, ({ blocked }) => blocked);
  return rows.map(({ id, ready, status, level, ...row }) => {
    const blockers = into.get(id) ?? [];
    return {
      ...row,
      status: status as TaskStatus,
      level: levelOf({ status, level }),
      ready: Number(ready) === 1,
      blockers: blockers.map(({ name }) => name),
      waitsFor: blockers.filter(({ open }) => Number(open) === 1).map(({ name }) => name),
    };
  });
}

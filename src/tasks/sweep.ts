import { sql } from "kysely";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import type { TaskRef } from "../names.js";
import type { Standing } from "./standing.js";
import { selectTasks, type TaskStatus, taskRow } from "./task.js";

/** The live tasks that wait for a task, through live tasks: what waits for one that is over is not its business. */
const selectSweep = statement((db, { root }: { root: number }) =>
  selectTasks(db)
    .select([sql<number>`1`.as("blocked"), "o.closed_at as owner_closed_at"])
    .where(
      sql<boolean>`t.id in (
        with recursive sweep(id) as (
          select d.id from task_edges e join tasks d on d.id = e.blocked_id
          where e.blocker_id = ${root} and d.status in ('OPEN', 'IN_PROGRESS')
          union
          select d.id from sweep s join task_edges e on e.blocker_id = s.id join tasks d on d.id = e.blocked_id
          where d.status in ('OPEN', 'IN_PROGRESS'))
        select id from sweep)`,
    )
    .orderBy("t.name"),
);

/** The rows that a cascade from `id` takes along, by name, without `id` itself. */
export function sweepRows(db: Reader, id: number): Promise<Standing[]> {
  return selectSweep(db, { root: id });
}

/** What `cascade` would do: the task and every live task that waits for it. */
export interface SweepPreview {
  task: string;
  affected: { name: string; status: TaskStatus }[];
}

/** What rejecting or deferring `ref` with `cascade` would change. Faults `task.not_found`. */
export async function previewCascade(db: Reader, ref: TaskRef): Promise<SweepPreview> {
  const row = await taskRow(db, ref);
  const rows = [row, ...(await sweepRows(db, row.id))];
  return { task: row.name, affected: rows.map(({ name, status }) => ({ name, status: status as TaskStatus })) };
}

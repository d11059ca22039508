import { sql } from "kysely";

/** How many live tasks a task `t` blocks directly. */
export const unblocks = sql<number>`(
  select count(*) from task_edges e join tasks d on d.id = e.blocked_id
  where e.blocker_id = t.id and d.status in ('OPEN', 'IN_PROGRESS'))`;

/** The order in which ready tasks `t` are taken, everywhere: ends in a name, so that it is always the same. */
export const readyOrder = [
  sql`t.priority`,
  sql`t.impact / t.effort_days desc`,
  sql`${unblocks} desc`,
  sql`t.created_at`,
  sql`t.name`,
] as const;

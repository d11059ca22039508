import type { Reader } from "../db/schema.js";
import { workstreamRow } from "../workstreams/workstream.js";

/** Finished tasks that an earlier landing took and did not bring to the branch: it was cut off or refused. */
export async function unfinishedTasks(db: Reader, workstream: string): Promise<string[]> {
  const { id } = await workstreamRow(db, workstream);
  const rows = await db
    .selectFrom("landings as l")
    .innerJoin("tasks as t", "t.id", "l.task_id")
    .select("t.name")
    .where("l.workstream_id", "=", id)
    .where("l.state", "in", ["taken", "stacked", "dropped"])
    .where("l.id", "=", (e) =>
      e
        .selectFrom("landings as newest")
        .select((f) => f.fn.max("newest.id").as("id"))
        .whereRef("newest.task_id", "=", "l.task_id"),
    )
    .where("t.status", "=", "CLOSED")
    .where((e) => e.or([e("t.level", "is", null), e("t.level", "<>", "landed")]))
    .orderBy("t.name")
    .execute();
  return rows.map(({ name }) => name);
}

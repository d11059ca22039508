import fc from "fast-check";
import type { Context } from "../../src/db/context.js";
import { write } from "../../src/db/write.js";
import { patchTask, putEdge, putNote, putTask } from "./history.js";

/** One random act on a small graph; numbers are taken modulo what there is. */
export type Act =
  | { act: "add"; workstream: number }
  | { act: "title"; task: number; title: string }
  | { act: "status"; task: number; status: string }
  | { act: "note"; task: number; text: string }
  | { act: "edge"; a: number; b: number }
  | { act: "drop"; edge: number };

const some = fc.nat({ max: 50 });

export const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ act: fc.constant("add" as const), workstream: fc.nat({ max: 2 }) }),
  fc.record({ act: fc.constant("title" as const), task: some, title: fc.string({ unit: "binary", maxLength: 12 }) }),
  fc.record({
    act: fc.constant("status" as const),
    task: some,
    status: fc.constantFrom("OPEN", "CLOSED", "REJECTED", "DEFERRED"),
  }),
  fc.record({ act: fc.constant("note" as const), task: some, text: fc.string({ unit: "binary" }) }),
  fc.record({ act: fc.constant("edge" as const), a: some, b: some }),
  fc.record({ act: fc.constant("drop" as const), edge: some }),
);

/** Carries out an act; one that makes no sense now is left out. */
export async function perform(context: Context, doing: Act): Promise<void> {
  if (doing.act === "add") {
    const workstream = `w${doing.workstream}`;
    const count = await context.store.db.selectFrom("events").select("id").execute();
    await putTask(context, workstream, `t${count.length}`);
    return;
  }
  if (doing.act === "drop") return dropEdge(context, doing.edge);
  const tasks = await context.store.db
    .selectFrom("tasks as t")
    .innerJoin("workstreams as w", "w.id", "t.workstream_id")
    .select(["t.id", "w.name as workstream"])
    .orderBy("t.id")
    .execute();
  const pick = (at: number) => tasks[at % Math.max(1, tasks.length)];
  if (doing.act === "edge") {
    const [a, b] = [pick(doing.a), pick(doing.b)];
    if (a === undefined || b === undefined || a.id >= b.id) return;
    const known = await context.store.db
      .selectFrom("task_edges")
      .select("id")
      .where("blocker_id", "=", a.id)
      .where("blocked_id", "=", b.id)
      .execute();
    if (known.length === 0) await putEdge(context, a.workstream, a.id, b.id);
    return;
  }
  const task = pick(doing.task);
  if (task === undefined) return;
  if (doing.act === "title") await patchTask(context, task.workstream, task.id, { title: doing.title });
  if (doing.act === "status") await patchTask(context, task.workstream, task.id, { status: doing.status });
  if (doing.act === "note") await putNote(context, task.workstream, task.id, doing.text);
}

async function dropEdge(context: Context, at: number): Promise<void> {
  const edges = await context.store.db.selectFrom("task_edges").select("id").orderBy("id").execute();
  const edge = edges[at % Math.max(1, edges.length)];
  if (edge === undefined) return;
  await write(context, { op: "task.unblock", scope: "w0", subject: "w0" }, (tx) => tx.remove("task_edges", edge.id));
}

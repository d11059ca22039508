import fc from "fast-check";
import type { Context } from "../../src/context.js";
import { type NewRow, write } from "../../src/db/write.js";
import { initWorkstream } from "../../src/workstreams.js";

/** A task's row with everything at its default. */
export function taskOf(workstream: number, name: string, at: string): NewRow<"tasks"> {
  return {
    workstream_id: workstream,
    name,
    title: `Title of ${name}`,
    description: null,
    kind: "task",
    role: null,
    status: "OPEN",
    hold: null,
    hold_reason: null,
    impact: 50,
    effort_days: 1,
    priority: 5,
    owner_id: null,
    root_id: null,
    step: null,
    payload: null,
    tags: null,
    touches: null,
    attempts: 0,
    max_retries: 3,
    not_before: null,
    outcome: null,
    external_ref: null,
    claim_generation: 0,
    lease_until: null,
    lease_seconds: null,
    updated_at: at,
    closed_at: null,
  };
}

/** Makes the workstream and gives its row id. */
export async function workstreamId(context: Context, name: string): Promise<number> {
  await initWorkstream(context, name);
  const { id } = await context.store.db
    .selectFrom("workstreams")
    .select("id")
    .where("name", "=", name)
    .executeTakeFirstOrThrow();
  return id;
}

/** Adds a task in a write of its own and gives its row id. */
export async function putTask(context: Context, workstream: string, name: string): Promise<number> {
  const id = await workstreamId(context, workstream);
  return write(context, { op: "task.add", scope: workstream, subject: `${workstream}/${name}` }, async (tx) => {
    const task = await tx.insert("tasks", taskOf(id, name, tx.now));
    return task.id;
  });
}

/** Sets columns of a task in a write of its own. */
export function patchTask(
  context: Context,
  workstream: string,
  id: number,
  columns: Partial<NewRow<"tasks">>,
  op = "task.update",
): Promise<unknown> {
  return write(context, { op, scope: workstream, subject: `${workstream}/task` }, (tx) =>
    tx.patch("tasks", id, { ...columns, updated_at: tx.now }),
  );
}

/** Adds an edge in a write of its own and gives its row id. */
export function putEdge(context: Context, workstream: string, blocker: number, blocked: number): Promise<number> {
  return write(context, { op: "task.block", scope: workstream, subject: workstream }, async (tx) => {
    const edge = await tx.insert("task_edges", { blocker_id: blocker, blocked_id: blocked, until: "closed" });
    return edge.id;
  });
}

/** Adds a note in a write of its own and gives its row id. */
export function putNote(context: Context, workstream: string, task: number, text: string): Promise<number> {
  return write(context, { op: "task.note", scope: workstream, subject: `${workstream}/task` }, async (tx) => {
    const note = { task_id: task, author: context.actor, kind: "note", text, rationale: null };
    return (await tx.insert("task_notes", note)).id;
  });
}

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

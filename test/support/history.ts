import type { Context } from "../../src/db/context.js";
import { type NewRow, write } from "../../src/db/write.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";

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
    max_checks: null,
    budget_usd: null,
    from_run: null,
    depth: 0,
    not_before: null,
    outcome: null,
    external_ref: null,
    claim_generation: 0,
    lease_until: null,
    lease_seconds: null,
    updated_at: at,
    closed_at: null,
    level: null,
    work_agent: null,
    work_root: null,
    work_from: null,
    work_to: null,
    landed_commit: null,
    approved_commit: null,
    approved_from: null,
    approved_by: null,
    pull_request: null,
    former_owner: null,
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

/** The row of a note. */
export function noteOf(task: number, author: string, text: string): NewRow<"task_notes"> {
  const plain = { round: null, file: null, line: null, handled_at: null, handled_by: null };
  return { task_id: task, author, kind: "note", text, rationale: null, ...plain };
}

/** Adds a note in a write of its own and gives its row id. */
export function putNote(context: Context, workstream: string, task: number, text: string): Promise<number> {
  return write(context, { op: "task.note", scope: workstream, subject: `${workstream}/task` }, async (tx) => {
    const note = noteOf(task, context.actor, text);
    return (await tx.insert("task_notes", note)).id;
  });
}

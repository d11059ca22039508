import type { Context } from "../../src/db/context.js";
import { write } from "../../src/db/write.js";
import { addTask, type NewTask } from "../../src/tasks/add.js";
import { initWorkstream, workstreamRow } from "../../src/workstreams/workstream.js";
import { agentRow } from "./agent-row.js";

/** The workstream that task stories play in. */
export const DEMO = "demo";

/** A reference to a task of the demo workstream. */
export const at = (name: string) => ({ workstream: DEMO, name });

/** Makes the demo workstream with the tasks, each `[name, ...blockers]`. */
export async function plan(context: Context, ...tasks: string[][]): Promise<void> {
  await initWorkstream(context, DEMO);
  for (const [name = "", ...blockedBy] of tasks) await add(context, { name, title: name, blockedBy });
}

/** Adds a task to the demo workstream. */
export const add = (context: Context, task: NewTask) => addTask(context, DEMO, task);

/** Opens an agent without a pane, in the demo workstream or another one, and gives its incarnation. */
export function spawn(context: Context, name: string, role: string | null = null, workstream = DEMO): Promise<number> {
  return write(context, { op: "agent.spawn", scope: workstream, subject: `${workstream}/${name}` }, async (tx) => {
    const { id } = await workstreamRow(tx.db, workstream);
    const row = agentRow({ workstream_id: id, name, role, cli: "pi", spawned_at: tx.now });
    return (await tx.insert("agents", row)).id;
  });
}

/** Closes an agent's incarnation; its tasks stay as they are. */
export function closeAgent(context: Context, incarnation: number): Promise<unknown> {
  return write(context, { op: "agent.close", scope: DEMO, subject: DEMO }, (tx) =>
    tx.patch("agents", incarnation, { closed_at: tx.now }),
  );
}

/** The operations of the demo workstream's chain, oldest first. */
export async function ops(context: Context): Promise<string[]> {
  const events = await context.store.db
    .selectFrom("events")
    .select("op")
    .where("scope", "=", DEMO)
    .orderBy("n")
    .execute();
  return events.map((event) => event.op);
}

/** A context whose clock stands `ms` later. */
export function later(context: Context, ms: number): Context {
  const now = () => new Date(context.clock.now().getTime() + ms);
  return { ...context, clock: { ...context.clock, now } };
}

import type { Tx } from "../db/write.js";
import { columnsOf } from "./lifecycle.js";
import { insertNote } from "./notes.js";

/**
 * Gives back what the agent with row id `owner` is working on, each task with a note that says why; for the write
 * that closes the row. Gives the names of the tasks.
 */
export async function releaseOwned(tx: Tx, owner: number, note: { author: string; text: string }): Promise<string[]> {
  const tasks = await ownedTasks(tx, owner);
  for (const task of tasks) {
    await tx.patch("tasks", task.id, columnsOf("release", tx.now), task);
    await insertNote(tx, task.id, note.author, { text: note.text });
  }
  return tasks.map(({ name }) => name);
}

/** Lets another incarnation go on with what the agent with row id `from` is working on. Gives the tasks' names. */
export async function passOn(tx: Tx, from: number, to: number): Promise<string[]> {
  const tasks = await ownedTasks(tx, from);
  for (const task of tasks) await tx.patch("tasks", task.id, { owner_id: to, updated_at: tx.now }, task);
  return tasks.map(({ name }) => name);
}

function ownedTasks(tx: Tx, owner: number) {
  return tx.db
    .selectFrom("tasks")
    .selectAll()
    .where("owner_id", "=", owner)
    .where("status", "=", "IN_PROGRESS")
    .orderBy("id")
    .execute();
}

import { statSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { systemClock } from "../src/clock.js";
import { openSqlite } from "../src/db/sqlite/sqlite.js";
import { addTask } from "../src/tasks/add.js";
import { claimTask } from "../src/tasks/claim.js";
import { closeTask } from "../src/tasks/lifecycle.js";
import { addNote } from "../src/tasks/notes.js";
import { initWorkstream } from "../src/workstreams/workstream.js";
import { count, type Figure, inFolder } from "./measure.js";

const TASKS = 2_000;
const BAR = 6 * 1024;

/** What the whole life of a task leaves in the database, events included. */
export async function size(): Promise<Figure[]> {
  return inFolder(async (folder) => {
    const path = join(folder, "mu.db");
    const store = await openSqlite(path, { missing: "create", synchronous: "NORMAL" });
    const context = { store, clock: systemClock, actor: "ann" };
    const ann = { person: "ann" };
    await initWorkstream(context, "w");
    const before = sizeOf(path);
    for (let n = 0; n < TASKS; n++) {
      const task = { workstream: "w", name: `task_${n}` };
      await addTask(context, "w", { name: task.name, title: `Task number ${n} of the graph` });
      await claimTask(context, task, ann);
      for (const letter of "ab") await addNote(context, task, ann, { text: letter.repeat(200) });
      await closeTask(context, task, ann);
    }
    const bytes = (sizeOf(path) - before) / TASKS;
    await store.close();
    return [
      {
        what: "database per task after add, claim, two notes of 200 bytes, close",
        floor: "–",
        figure: `${count(bytes)} bytes`,
        bar: `≤ ${count(BAR)} bytes`,
        met: bytes <= BAR,
      },
    ];
  });
}

function sizeOf(path: string): number {
  const db = new Database(path);
  db.pragma("wal_checkpoint(TRUNCATE)");
  db.close();
  return statSync(path).size;
}

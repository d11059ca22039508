import { readSync, writeSync } from "node:fs";
import { systemClock } from "../../src/clock.js";
import { openSqlite } from "../../src/db/sqlite/sqlite.js";
import type { Store } from "../../src/db/store.js";
import { write } from "../../src/db/write.js";
import { noteOf, taskOf } from "./history.js";

const [path = "", name = ""] = process.argv.slice(2);

/** Says where a write is, so that it is known however suddenly the process ends: `writeSync` waits for the pipe. */
const mark = (phase: string) => writeSync(1, `${phase}\n`);

/** A store that marks what is between BEGIN and COMMIT. */
function marked(store: Store): Store {
  return {
    ...store,
    write: (work) =>
      store.write((db) => {
        mark("began");
        return work(db);
      }),
  };
}

const store = marked(await openSqlite(path, { missing: "create" }));
const context = { store, clock: systemClock, actor: name };
mark("ready");
readSync(0, Buffer.alloc(1));

/** Each write makes a task with a note and an edge to the task before, and is acknowledged when it has returned. */
let before: number | undefined;
for (let n = 0; ; n++) {
  mark("write");
  const start = process.hrtime.bigint();
  before = await write(context, { op: "task.add", scope: "demo", subject: `demo/${name}_${n}` }, async (tx) => {
    const task = await tx.insert("tasks", taskOf(1, `${name}_${n}`, tx.now));
    await tx.insert("task_notes", noteOf(task.id, name, "x".repeat(200)));
    if (before !== undefined) {
      await tx.insert("task_edges", { blocker_id: before, blocked_id: task.id, until: "closed" });
    }
    return task.id;
  });
  mark(`done ${name}_${n} ${process.hrtime.bigint() - start}`);
}

import { systemClock } from "../../src/clock.js";
import { openSqlite } from "../../src/db/sqlite/sqlite.js";
import { Fault } from "../../src/errors.js";
import { initWorkstream, listWorkstreams } from "../../src/workstreams/workstream.js";

const [path = "", task = ""] = process.argv.slice(2);

/** Makes a workstream in the database, or counts those that are there; says the fault's code when it cannot. */
async function main(): Promise<string> {
  const store = await openSqlite(path, { missing: task === "read" ? "empty" : "create" });
  try {
    if (task === "read") return `${(await listWorkstreams(store.db)).length} workstreams`;
    await initWorkstream({ store, clock: systemClock, actor: "child" }, task);
    return "done";
  } finally {
    await store.close();
  }
}

process.stdout.write(await main().catch((error) => (error instanceof Fault ? error.code : String(error.stack))));

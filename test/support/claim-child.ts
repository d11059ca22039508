import { systemClock } from "../../src/clock.js";
import { openSqlite } from "../../src/db/sqlite/sqlite.js";
import { Fault } from "../../src/errors.js";
import { claimNext } from "../../src/tasks/claim.js";

/** A process that claims until nothing is ready, then prints what it got: `<database> <workstream> <person>`. */
const [path = "", workstream = "", person = ""] = process.argv.slice(2);
const store = await openSqlite(path, { missing: "create", synchronous: "NORMAL" });
const context = { store, clock: systemClock, actor: person };
const got: string[] = [];
for (;;) {
  const claim = await claimNext(context, workstream, { person }).catch((error) => {
    if (error instanceof Fault && error.code === "task.none_ready") return undefined;
    throw error;
  });
  if (claim === undefined) break;
  got.push(claim.task.name);
}
process.stdout.write(JSON.stringify(got));
await store.close();

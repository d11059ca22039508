import { systemClock } from "../../src/clock.js";
import { openSqlite } from "../../src/db/sqlite/sqlite.js";
import { leasePorts } from "../../src/workspaces/setup/ports.js";

// Leases ports in a process of its own: `<database> <workspace id>... <count>`; prints them as JSON.
const [database = "", ...numbers] = process.argv.slice(2);
const count = Number(numbers.pop());
const store = await openSqlite(database, { missing: "create", synchronous: "NORMAL" });
const world = { context: { store, clock: systemClock, actor: "child" }, env: process.env };
const leased: number[] = [];
for (const id of numbers) leased.push(...(await leasePorts(world, Number(id), count)));
await store.close();
process.stdout.write(JSON.stringify(leased));

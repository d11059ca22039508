import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

/**
 * Restores a database, and kills itself at a step: right before or right after one of its calls that change files. Prints
 * the number of steps if it lives to its end.
 */
const [database = "", source = "", step = "", killing = ""] = process.argv.slice(2);

let steps = 0;

function counted<T extends object>(module: T, name: keyof T): void {
  const real = module[name] as (...given: unknown[]) => unknown;
  const isPromise = module === (fs.promises as unknown);
  const end = () => process.kill(process.pid, "SIGKILL");
  module[name] = ((...given: unknown[]) => {
    const isHere = ++steps === Number(step);
    if (isHere && killing === "before") end();
    const result = real.apply(module, given);
    if (!isHere || killing !== "after") return result;
    return isPromise ? (result as Promise<unknown>).then(end) : end();
  }) as T[keyof T];
}

for (const name of ["renameSync", "rmSync", "openSync"] as const) counted(fs, name);
for (const name of ["link", "rename", "open", "mkdir"] as const) counted(fs.promises, name);
syncBuiltinESMExports();

const { restoreDatabase } = await import("../../src/backup/restore.js");
const { systemClock } = await import("../../src/clock.js");
const { fileAt } = await import("../../src/db/sqlite/gate.js");
const present = fileAt(database);
await restoreDatabase(database, { source, name: "kept", clock: systemClock, actor: "ann", present, waitMs: 5_000 });
process.stdout.write(String(steps));

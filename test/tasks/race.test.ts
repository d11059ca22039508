import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it, onTestFinished } from "vitest";
import { openSqlite } from "../../src/db/sqlite/sqlite.js";
import { listTasks } from "../../src/tasks/task.js";
import { contextOn, temporaryFolder } from "../support/database.js";
import { DEMO, ops, plan } from "../support/tasks.js";

const run = promisify(execFile);
const claimer = fileURLToPath(new URL("../support/claimer.ts", import.meta.url));

it("eight processes that take the next task until none is left share sixty tasks without a conflict", async () => {
  const folder = temporaryFolder();
  const path = join(folder.path, "mu.db");
  const store = await openSqlite(path, { missing: "create", synchronous: "NORMAL" });
  onTestFinished(() => store.close().finally(folder.remove));
  const context = contextOn(store);
  await plan(context, ...Array.from({ length: 60 }, (_, n) => [`t${n}`]));

  const people = Array.from({ length: 8 }, (_, n) => `p${n}`);
  const outputs = await Promise.all(
    people.map((person) => run(process.execPath, ["--import", "tsx", claimer, path, DEMO, person])),
  );
  const claimed = outputs.map(({ stdout }) => JSON.parse(stdout) as string[]);
  expect(outputs.map(({ stderr }) => stderr).join("")).toBe("");
  expect(claimed.flat()).toHaveLength(60);
  expect(new Set(claimed.flat()).size).toBe(60);
  for (const task of await listTasks(store.db)) {
    expect(claimed[people.indexOf(task.owner ?? "")]).toContain(task.name);
    expect(task.claimGeneration).toBe(1);
  }
  expect((await ops(context)).filter((op) => op === "task.claim")).toHaveLength(60);
});

import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { listTasks } from "../../src/tasks/task.js";
import { bundleChild, runChild } from "../support/child.js";
import { contextOn, openTestStore, temporaryFolder } from "../support/database.js";
import { DEMO, ops, plan } from "../support/tasks.js";

it("eight processes that take the next task until none is left share sixty tasks without a conflict", async () => {
  const folder = temporaryFolder();
  const path = join(folder.path, "mu.db");
  const store = await openTestStore(path);
  onTestFinished(() => store.close().finally(folder.remove));
  const context = contextOn(store);
  await plan(context, ...Array.from({ length: 60 }, (_, n) => [`t${n}`]));

  const people = Array.from({ length: 8 }, (_, n) => `p${n}`);
  const claimer = await bundleChild(folder.path, "claim-child");
  const outputs = await Promise.all(people.map((person) => runChild(claimer, [path, DEMO, person])));
  const claimed = outputs.map((output) => JSON.parse(output) as string[]);
  expect(claimed.flat()).toHaveLength(60);
  expect(new Set(claimed.flat()).size).toBe(60);
  for (const task of await listTasks(store.db)) {
    expect(claimed[people.indexOf(task.owner ?? "")]).toContain(task.name);
    expect(task.claimGeneration).toBe(1);
  }
  expect((await ops(context)).filter((op) => op === "task.claim")).toHaveLength(60);
});

import fc from "fast-check";
import { expect, it } from "vitest";
import type { Context } from "../../src/db/context.js";
import { write } from "../../src/db/write.js";
import { compareTables } from "../../src/journal/replay.js";
import { claimTask } from "../../src/tasks/claim.js";
import { type KeptTask, readKept, restoreKeptIn } from "../../src/tasks/kept.js";
import { addNote } from "../../src/tasks/notes.js";
import { initWorkstream, workstreamRow } from "../../src/workstreams/workstream.js";
import { dialect, onEachDialect } from "../support/database.js";
import { KEPT_TASKS } from "../support/kept.js";
import { add, at, DEMO, spawn } from "../support/tasks.js";

const restore = (context: Context, workstream: string, tasks: readonly Partial<KeptTask>[]) =>
  write(context, { op: "workstream.import", scope: workstream, subject: workstream }, async (tx) =>
    restoreKeptIn(tx, (await workstreamRow(tx.db, workstream)).id, tasks as KeptTask[]),
  );

const idOf = async ({ store }: Context, workstream: string) => (await workstreamRow(store.db, workstream)).id;

onEachDialect("a task outside of its workstream", (bench) => {
  it("comes back as it was, whatever is in it", async () => {
    const { context } = bench;
    let run = 0;
    await fc.assert(
      fc.asyncProperty(KEPT_TASKS, async (tasks) => {
        run++;
        const [first, second] = [`first-${run}`, `second-${run}`];
        for (const name of [first, second]) await initWorkstream(context, name);
        await restore(context, first, tasks);
        const kept = await readKept(context.store.db, await idOf(context, first));
        expect(kept).toMatchObject(tasks.map(({ payload, ...task }) => task));
        expect(kept.map(({ payload }) => payload)).toEqual(tasks.map(({ payload }) => payload));
        await restore(context, second, kept);
        expect(await readKept(context.store.db, await idOf(context, second))).toEqual(kept);
      }),
      { numRuns: dialect === "sqlite" ? 20 : 3 },
    );
    expect(await compareTables(context.store.db)).toEqual([]);
  });

  it("has nobody's name but as text, and is OPEN where it was IN_PROGRESS", async () => {
    const { context } = bench;
    await initWorkstream(context, DEMO);
    await add(context, { name: "build", title: "Build" });
    await spawn(context, "ada");
    await claimTask(context, at("build"), { agent: "ada" });
    await addNote(context, at("build"), { person: "ann" }, { text: "Start small." });
    const kept = await readKept(context.store.db, await idOf(context, DEMO));
    expect(kept).toMatchObject([{ status: "IN_PROGRESS", owner: "ada", notes: [{ text: "Start small." }] }]);
    await initWorkstream(context, "again");
    await restore(context, "again", kept);
    const rows = await context.store.db.selectFrom("tasks").selectAll().where("status", "=", "OPEN").execute();
    expect(rows).toMatchObject([{ name: "build", owner_id: null, former_owner: "ada" }]);
  });

  it("is refused with a name, a word, a number or a moment that is none, and with a circle; what is missing is named", async () => {
    const { context } = bench;
    await initWorkstream(context, DEMO);
    await add(context, { name: "a", title: "A" });
    const [a] = (await readKept(context.store.db, await idOf(context, DEMO))) as [KeptTask];
    await initWorkstream(context, "again");
    const fault = (change: Partial<KeptTask>) => restore(context, "again", [{ ...a, ...change }]);
    await expect(fault({ name: "No name" })).rejects.toMatchObject({ code: "task.invalid_name" });
    await expect(fault({ status: "DONE" as never })).rejects.toMatchObject({ code: "task.invalid_field" });
    await expect(fault({ impact: 1000 })).rejects.toMatchObject({ code: "task.invalid_field" });
    await expect(fault({ createdAt: "yesterday" })).rejects.toMatchObject({ code: "task.invalid_field" });
    await expect(fault({ blockedBy: ["a"] })).rejects.toMatchObject({ code: "task.cycle" });
    expect((await readKept(context.store.db, await idOf(context, "again"))).length).toBe(0);
    expect(await fault({ blockedBy: ["gone"], root: "job" })).toMatchObject({
      left: ["a waited for gone, which is not there", "a belonged to job, which is not there"],
    });
  });
});

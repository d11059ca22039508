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
import { add, at, DEMO, spawn } from "../support/tasks.js";

const MOMENT = fc
  .date({ min: new Date("2020-01-01"), max: new Date("2030-01-01"), noInvalidDate: true })
  .map((date) => date.toISOString());
const TEXT = fc.string({ minLength: 1, unit: "grapheme" }).filter((text) => text.trim() !== "" && !text.includes("\0"));
const OR_NULL = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null });

const NOTE = fc.record({
  author: TEXT,
  kind: fc.constantFrom("note" as const, "decision" as const, "evidence" as const),
  text: TEXT,
  rationale: OR_NULL(TEXT),
  createdAt: MOMENT,
  round: OR_NULL(fc.nat(9)),
  file: OR_NULL(TEXT),
  line: OR_NULL(fc.nat(999)),
  handledAt: OR_NULL(MOMENT),
  handledBy: OR_NULL(TEXT),
});

/** Tasks in which each waits only for earlier ones. */
const TASKS: fc.Arbitrary<Partial<KeptTask>[]> = fc
  .array(
    fc.record({
      title: TEXT.map((text) => text.trim().slice(0, 100)),
      description: OR_NULL(TEXT),
      status: fc.constantFrom("OPEN" as const, "CLOSED" as const, "REJECTED" as const, "DEFERRED" as const),
      owner: OR_NULL(TEXT),
      payload: OR_NULL(fc.jsonValue().filter((value) => value !== null)),
      tags: fc.uniqueArray(fc.stringMatching(/^[a-z]{1,8}$/), { maxLength: 3 }),
      notes: fc.array(NOTE, { maxLength: 3 }),
      createdAt: MOMENT,
      updatedAt: MOMENT,
      blockers: fc.array(fc.tuple(fc.nat(), fc.constantFrom("", "@landed", "@verified")), { maxLength: 3 }),
      root: OR_NULL(fc.nat()),
    }),
    { maxLength: 12 },
  )
  .map((tasks) =>
    tasks.map(({ blockers, root, ...task }, index) => ({
      ...task,
      name: `t${String(index).padStart(2, "0")}`,
      payload: task.payload === null ? null : JSON.parse(JSON.stringify(task.payload)),
      root: root === null || index === 0 ? null : `t${String(root % index).padStart(2, "0")}`,
      blockedBy: [
        ...new Map(
          blockers.flatMap(([of, level]): [number, string][] =>
            index === 0 ? [] : [[of % index, `t${String(of % index).padStart(2, "0")}${level}`]],
          ),
        ).values(),
      ].sort(),
    })),
  );

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
      fc.asyncProperty(TASKS, async (tasks) => {
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

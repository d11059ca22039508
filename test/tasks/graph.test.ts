import fc from "fast-check";
import { expect, it } from "vitest";
import { write } from "../../src/db/write.js";
import { addTask } from "../../src/tasks/add.js";
import {
  blockersOf,
  blockTask,
  deadEndWarnings,
  dependentsOf,
  reparentTask,
  unblockTask,
} from "../../src/tasks/graph.js";
import { closeTask } from "../../src/tasks/lifecycle.js";
import { listTasks, taskRow } from "../../src/tasks/task.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";
import { onEachDialect } from "../support/database.js";
import { at, ops, plan } from "../support/tasks.js";

onEachDialect("edges", (bench) => {
  it("are added and removed once", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b"]);
    expect(await blockTask(context, at("b"), at("a"))).toMatchObject({ changed: true, blocker: "a" });
    expect(await blockTask(context, at("b"), at("a"))).toMatchObject({ changed: false });
    expect(await blockersOf(context.store.db, at("b"))).toEqual([
      { name: "a", status: "OPEN", until: "closed", satisfied: false },
    ]);
    await closeTask(context, at("a"), { person: "ann" });
    expect(await dependentsOf(context.store.db, at("a"))).toEqual([
      { name: "b", status: "OPEN", until: "closed", satisfied: true },
    ]);
    expect(await unblockTask(context, at("b"), at("a"))).toMatchObject({ changed: true });
    expect(await unblockTask(context, at("b"), at("a"))).toMatchObject({ changed: false });
    expect((await ops(context)).slice(3)).toEqual(["task.block", "task.close", "task.unblock"]);
  });

  it("never close a cycle, and the fault names it", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b", "a"], ["c", "b"], ["d", "a", "c"]);
    await expect(blockTask(context, at("a"), at("a"))).rejects.toMatchObject({ details: { path: ["a", "a"] } });
    await expect(blockTask(context, at("a"), at("c"))).rejects.toMatchObject({
      kind: "conflict",
      code: "task.cycle",
      details: { path: ["a", "c", "b", "a"] },
      nextSteps: [{ intent: "See what it waits for", command: "mu task tree a -w demo" }],
    });
    await expect(blockTask(context, at("a"), at("d"))).rejects.toMatchObject({ details: { path: ["a", "d", "a"] } });
  });

  it("stay in their workstream, even if names repeat elsewhere", async () => {
    const { context } = bench;
    await initWorkstream(context, "aaa");
    await addTask(context, "aaa", { name: "foo", title: "foo" });
    await plan(context, ["foo"], ["bar"]);
    await blockTask(context, at("bar"), at("foo"));
    expect(await dependentsOf(context.store.db, at("foo"))).toHaveLength(1);
    await expect(blockTask(context, at("bar"), { workstream: "aaa", name: "foo" })).rejects.toMatchObject({
      kind: "usage",
      code: "task.cross_workstream",
      message: "aaa/foo cannot block demo/bar: edges cannot cross workstreams.",
      nextSteps: [{ intent: "Move it here", command: "mu task move foo --to demo -w aaa" }],
    });
    await expect(reparentTask(context, at("bar"), ["aaa/foo"])).rejects.toMatchObject({
      code: "task.cross_workstream",
    });
  });

  it("are replaced as a set, or not at all", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b"], ["c", "a"], ["d", "c"]);
    expect(await reparentTask(context, at("c"), ["b", "a", "b"])).toMatchObject({
      blockers: ["a", "b"],
      added: ["b"],
      removed: [],
      changed: true,
    });
    expect(await reparentTask(context, at("c"), ["a", "b"])).toMatchObject({ changed: false });
    await expect(reparentTask(context, at("c"), ["d"])).rejects.toMatchObject({ code: "task.cycle" });
    await expect(reparentTask(context, at("c"), ["a", "zz"])).rejects.toMatchObject({ code: "task.not_found" });
    expect((await blockersOf(context.store.db, at("c"))).map((task) => task.name)).toEqual(["a", "b"]);
    expect(await reparentTask(context, at("c"), [])).toMatchObject({
      blockers: [],
      removed: ["a", "b"],
      changed: true,
      task: { status: "OPEN" },
    });
    expect(await blockersOf(context.store.db, at("c"))).toEqual([]);
    expect(await reparentTask(context, at("c"), [])).toMatchObject({ removed: [], changed: false });
  });

  it("warn of blockers that nobody will do", async () => {
    const { context } = bench;
    const { db } = context.store;
    await plan(
      context,
      ["no"],
      ["later"],
      ["done"],
      ["b", "later", "no", "done"],
      ["a", "no"],
      ["over", "no"],
      ["c", "no"],
    );
    await closeTask(context, at("done"), { person: "ann" });
    await closeTask(context, at("over"), { person: "ann" });
    expect(await deadEndWarnings(db, "demo", ["a", "b"])).toEqual([]);
    for (const [name, status] of [
      ["no", "REJECTED"],
      ["later", "DEFERRED"],
    ] as const) {
      const row = await taskRow(db, at(name));
      await write(context, { op: "sql.write", scope: "demo", subject: "" }, (tx) =>
        tx.patch("tasks", row.id, { status }),
      );
    }
    const found = await deadEndWarnings(db, "demo", ["b", "a", "over"]);
    expect(found.map(({ code }) => code)).toEqual(["dead_end", "dead_end", "dead_end"]);
    expect(found.map(({ message }) => message)).toEqual([
      "a waits for no, which is REJECTED: nobody will do it.",
      "b waits for later, which is DEFERRED: nobody will do it.",
      "b waits for no, which is REJECTED: nobody will do it.",
    ]);
    expect(await deadEndWarnings(db, "other", ["a", "b"])).toEqual([]);
  });

  it("move what is blocked up the list of recent changes", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b"]);
    const before = (await listTasks(context.store.db)).map((task) => task.updatedAt);
    const now = new Date(Date.now() + 5_000);
    await blockTask({ ...context, clock: { ...context.clock, now: () => now } }, at("a"), at("b"));
    const after = (await listTasks(context.store.db)).map((task) => task.updatedAt);
    expect(after).toEqual([now.toISOString(), before[1]]);
  });

  it("never make the graph cyclic", async () => {
    const names = ["a", "b", "c", "d", "e", "f"];
    const name = fc.constantFrom(...names);
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ verb: fc.constant("block" as const), task: name, by: name }) },
      fc.record({ verb: fc.constant("unblock" as const), task: name, by: name }),
      fc.record({ verb: fc.constant("reparent" as const), task: name, set: fc.array(name, { maxLength: 4 }) }),
    );
    const { context } = bench;
    await plan(context, ...names.map((one) => [one]));
    const property = fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      for (const one of steps) {
        const run =
          one.verb === "reparent"
            ? reparentTask(context, at(one.task), one.set)
            : (one.verb === "block" ? blockTask : unblockTask)(context, at(one.task), at(one.by));
        await run.catch((fault) => expect(fault.code).toBe("task.cycle"));
        const edges = await context.store.db.selectFrom("task_edges").select(["blocker_id", "blocked_id"]).execute();
        expect(leftInLoops(edges)).toEqual([]);
      }
    });
    await fc.assert(property, { numRuns: context.store.dialect === "sqlite" ? 60 : 8 });
  });
});

/** The edges that remain when tasks without blockers are taken away again and again. */
function leftInLoops(edges: { blocker_id: number; blocked_id: number }[]) {
  let left = edges;
  for (;;) {
    const blocked = new Set(left.map((edge) => edge.blocked_id));
    const next = left.filter((edge) => blocked.has(edge.blocker_id));
    if (next.length === left.length) return left;
    left = next;
  }
}

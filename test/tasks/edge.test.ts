import fc from "fast-check";
import { expect, it } from "vitest";
import type { Context } from "../../src/db/context.js";
import { write } from "../../src/db/write.js";
import { readState } from "../../src/state.js";
import { claimTask } from "../../src/tasks/claim.js";
import { EDGE_LEVELS, parseAwaited } from "../../src/tasks/edge.js";
import { newTaskRow } from "../../src/tasks/fields.js";
import { blockersOf, blockTask, dependentsOf, reparentTask } from "../../src/tasks/graph.js";
import { closeTask, openTask } from "../../src/tasks/lifecycle.js";
import { applyPlan } from "../../src/tasks/plan.js";
import { listReady } from "../../src/tasks/ready.js";
import { getTask, TASK_STATUSES } from "../../src/tasks/task.js";
import { drawTree, taskTree } from "../../src/tasks/tree.js";
import { waitForTasks } from "../../src/tasks/wait.js";
import { listTracks } from "../../src/tracks.js";
import { initWorkstream, workstreamRow } from "../../src/workstreams/workstream.js";
import { describeOnce, onEachDialect } from "../support/database.js";
import { add, at, DEMO, plan } from "../support/tasks.js";

const ANN = { person: "ann" };
const NOW = "9999-01-01T00:00:00.000Z";

/** Lets a CLOSED task be proved so far. */
const prove = (context: Context, name: string, level: "verified" | "landed") =>
  write(context, { op: "test.prove", scope: DEMO, subject: name }, async (tx) => {
    const row = await tx.db.selectFrom("tasks").selectAll().where("name", "=", name).executeTakeFirstOrThrow();
    await tx.patch("tasks", row.id, { level }, row);
  });

onEachDialect("edges that require a level", (bench) => {
  const db = () => bench.context.store.db;
  // Sorted by name: two tasks may be made in the same millisecond.
  const ready = async () => (await listReady(db(), undefined, { now: NOW })).map((task) => task.name).sort();

  it("block until the blocker has their level, and no longer", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    await add(context, { title: "docs", blockedBy: ["build"] });
    await add(context, { title: "check", blockedBy: ["build@verified"] });
    await add(context, { title: "ship", blockedBy: ["build"], until: "landed" });
    expect(await ready()).toEqual(["build"]);
    await claimTask(context, at("build"), ANN);
    await closeTask(context, at("build"), ANN);
    expect((await getTask(db(), at("build"))).level).toBe("claimed");
    expect(await ready()).toEqual(["docs"]);
    await expect(claimTask(context, at("ship"), ANN)).rejects.toMatchObject({
      code: "task.blocked",
      message: "ship is blocked by build@landed.",
    });
    await prove(context, "build", "verified");
    expect(await ready()).toEqual(["check", "docs"]);
    await prove(context, "build", "landed");
    expect(await ready()).toEqual(["check", "docs", "ship"]);
    await openTask(context, at("build"), ANN);
    expect(await ready()).toEqual(["build"]);
  });

  it("are reported as what holds up a track without ready work", async () => {
    const { context } = bench;
    await plan(context, ["build"], ["docs"]);
    await add(context, { title: "ship", blockedBy: ["build@landed"] });
    await add(context, { title: "sell", blockedBy: ["ship"] });
    const waits = async () => (await listTracks(db(), DEMO, NOW)).map(({ goals, waitsFor }) => [goals[0], waitsFor]);
    expect(await waits()).toEqual([
      ["docs", []],
      ["sell", []],
    ]);
    await closeTask(context, at("build"), ANN);
    expect(await waits()).toEqual([
      ["docs", []],
      ["sell", ["build@landed"]],
    ]);
    const state = await readState(db(), DEMO, { now: NOW });
    expect(state.blocked.items.map((task) => [task.name, task.blockedBy])).toEqual([
      ["sell", ["ship"]],
      ["ship", ["build@landed"]],
    ]);
    expect(drawTree(await taskTree(db(), at("ship")))).toEqual([
      "ship [OPEN] ship",
      "└── build [CLOSED] build (until landed)",
    ]);
    await prove(context, "build", "landed");
    expect(await waits()).toEqual([
      ["docs", []],
      ["sell", []],
    ]);
  });

  it("take a given level, and otherwise keep theirs", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b"], ["c"]);
    const untils = async () => (await blockersOf(db(), at("c"))).map(({ name, until }) => `${name} ${until}`);
    expect(await blockTask(context, at("c"), at("a"), "landed")).toMatchObject({ changed: true, until: "landed" });
    expect(await blockTask(context, at("c"), at("a"))).toMatchObject({ changed: false, until: "landed" });
    expect(await blockTask(context, at("c"), at("a"), "verified")).toMatchObject({ changed: true, until: "verified" });
    expect(await reparentTask(context, at("c"), ["a", "b@landed"])).toMatchObject({
      blockers: ["a@verified", "b@landed"],
      added: ["b"],
      changed: true,
    });
    expect(await reparentTask(context, at("c"), ["a@closed", "b"])).toMatchObject({ blockers: ["a", "b@landed"] });
    expect(await reparentTask(context, at("c"), ["b", "a"])).toMatchObject({ changed: false });
    expect(await reparentTask(context, at("c"), ["a", "b"], "landed")).toMatchObject({ changed: true });
    expect(await untils()).toEqual(["a landed", "b landed"]);
    await expect(reparentTask(context, at("c"), ["a@done"])).rejects.toMatchObject({ code: "task.invalid_level" });
    await expect(add(context, { title: "d", blockedBy: ["a@"] })).rejects.toMatchObject({ code: "task.invalid_level" });
  });

  it("are written in a plan as design@landed", async () => {
    const { context } = bench;
    await initWorkstream(context, DEMO);
    const apply = (blockedBy: string[]) =>
      applyPlan(context, DEMO, { tasks: [{ title: "design" }, { title: "build", blockedBy }] });
    expect(await apply(["design@landed"])).toMatchObject({ created: 2, edgesAdded: 1 });
    expect(await blockersOf(db(), at("build"))).toMatchObject([{ name: "design", until: "landed" }]);
    expect(await apply(["design"])).toMatchObject({ unchanged: 2 });
    expect(await apply(["demo/design@verified"])).toMatchObject({ unchanged: 1, updated: 1, edgesAdded: 0 });
    expect(await blockersOf(db(), at("build"))).toMatchObject([{ until: "verified" }]);
    await expect(apply(["design@soon"])).rejects.toMatchObject({
      code: "task.invalid_level",
      message: expect.stringContaining("tasks[1].blockedBy[0]"),
    });
  });

  it("can be waited for", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b"]);
    await closeTask(context, at("a"), ANN);
    await closeTask(context, at("b"), ANN);
    const wait = async (level: "closed" | "verified" | "landed") =>
      (await waitForTasks(context, [{ ...at("a"), until: "closed" }, at("b")], { level, timeoutMs: 1 })).outcome;
    expect(await wait("closed")).toBe("reached");
    expect(await wait("verified")).toBe("timeout");
    await prove(context, "b", "landed");
    expect(await wait("verified")).toBe("reached");
    expect(await wait("landed")).toBe("reached");
  });

  it("mean the same in queries, views and functions, in any graph", async () => {
    const { context } = bench;
    const size = 6;
    const task = fc.record({
      status: fc.constantFrom(...TASK_STATUSES),
      level: fc.constantFrom(null, "verified", "landed"),
    });
    const edge = fc.record({ from: fc.nat(size - 1), to: fc.nat(size - 1), until: fc.constantFrom(...EDGE_LEVELS) });
    let round = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(task, { minLength: size, maxLength: size }),
        fc.uniqueArray(edge, { maxLength: 10, selector: ({ from, to }) => `${from} ${to}` }),
        async (tasks, edges) => {
          const workstream = `w${round++}`;
          const ref = (index: number) => ({ workstream, name: `t${index}` });
          await initWorkstream(context, workstream);
          await write(context, { op: "test.graph", scope: workstream, subject: workstream }, async (tx) => {
            const { id } = await workstreamRow(tx.db, workstream);
            const ids: number[] = [];
            for (const [index, { status, level }] of tasks.entries()) {
              const row = { ...newTaskRow(id, `t${index}`, { title: "-" }, tx.now), status, level };
              ids.push((await tx.insert("tasks", row)).id);
            }
            for (const { from, to, until } of edges) {
              if (from >= to) continue;
              await tx.insert("task_edges", { blocker_id: ids[from] ?? 0, blocked_id: ids[to] ?? 0, until });
            }
          });
          const view = async (name: "ready" | "blocked") =>
            (
              await db()
                .selectFrom(`${name} as t` as "tasks as t")
                .innerJoin("workstreams as w", "w.id", "t.workstream_id")
                .select("t.name")
                .where("w.name", "=", workstream)
                .orderBy("t.name")
                .execute()
            ).map((row) => row.name);
          const open = tasks.flatMap((known, index) => (known.status === "OPEN" ? [index] : []));
          const free: string[] = [];
          const held: string[] = [];
          for (const index of open) {
            const blockers = await blockersOf(db(), ref(index));
            (blockers.every((blocker) => blocker.satisfied) ? free : held).push(`t${index}`);
          }
          expect(await view("ready")).toEqual(free);
          expect(await view("blocked")).toEqual(held);
          expect((await listReady(db(), workstream, { now: NOW })).map((known) => known.name).sort()).toEqual(free);
          expect((await readState(db(), workstream, { now: NOW })).blocked.items.map((known) => known.name)).toEqual(
            held,
          );
          for (let index = 0; index < size; index++) {
            const seen = (await dependentsOf(db(), ref(index))).map(({ name, satisfied }) => ({ name, satisfied }));
            for (const { name, satisfied } of seen) {
              const back = (await blockersOf(db(), { workstream, name })).find((one) => one.name === `t${index}`);
              expect(back?.satisfied).toBe(satisfied);
            }
          }
        },
      ),
      { numRuns: 25 },
    );
  });
});

describeOnce("a blocker", () => {
  it("is parsed as a name with a level after the last @", () => {
    expect(parseAwaited("build")).toEqual({ task: "build" });
    expect(parseAwaited("shop/build@landed", "verified")).toEqual({ task: "shop/build", until: "landed" });
    expect(parseAwaited("build", "verified")).toEqual({ task: "build", until: "verified" });
  });
});

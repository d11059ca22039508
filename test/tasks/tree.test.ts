import { expect, it } from "vitest";
import { write } from "../../src/db/write.js";
import { newTaskRow } from "../../src/tasks/fields.js";
import { blockTask, insertEdge } from "../../src/tasks/graph.js";
import { drawTree, taskTree } from "../../src/tasks/tree.js";
import { workstreamRow } from "../../src/workstreams/workstream.js";
import { onEachDialect } from "../support/database.js";
import { at, DEMO, plan } from "../support/tasks.js";

onEachDialect("a tree", (bench) => {
  it("shows blockers, and expands a shared one once", async () => {
    const { context } = bench;
    await plan(context, ["root"], ["left", "root"], ["right", "root"], ["top", "left", "right"], ["alone"]);
    const tree = await taskTree(context.store.db, at("top"));
    expect(tree).toMatchObject({ direction: "blockers", root: "top", count: 5 });
    expect(tree.items.map(({ name, depth, parent, repeated }) => [name, depth, parent, repeated])).toEqual([
      ["top", 0, null, false],
      ["left", 1, "top", false],
      ["root", 2, "left", false],
      ["right", 1, "top", false],
      ["root", 2, "right", true],
    ]);
    expect(drawTree(tree)).toEqual([
      "top [OPEN] top",
      "├── left [OPEN] left",
      "│   └── root [OPEN] root",
      "└── right [OPEN] right",
      "    └── root [OPEN] root (↻ shown above)",
    ]);
  });

  it("shows dependents, down to a given depth", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b", "a"], ["c", "b"]);
    await blockTask(context, at("c"), at("a"));
    const down = await taskTree(context.store.db, at("a"), { direction: "dependents" });
    expect(drawTree(down).map((line) => line.split(" [")[0])).toEqual(["a", "├── b", "│   └── c", "└── c"]);
    const cut = await taskTree(context.store.db, at("a"), { direction: "dependents", depth: 1 });
    expect(cut.items.map((item) => [item.name, item.repeated])).toEqual([
      ["a", false],
      ["b", false],
      ["c", false],
    ]);
    expect((await taskTree(context.store.db, at("a"), { depth: 0 })).count).toBe(1);
  });

  it("expands a task at its first whole showing, not where the depth cut it off", async () => {
    const { context } = bench;
    await plan(context, ["leaf"], ["shared", "leaf"], ["a", "shared"], ["top", "a", "shared"]);
    const tree = await taskTree(context.store.db, at("top"), { depth: 2 });
    expect(tree.items.map((item) => [item.name, item.depth, item.repeated])).toEqual([
      ["top", 0, false],
      ["a", 1, false],
      ["shared", 2, false],
      ["shared", 1, false],
      ["leaf", 2, false],
    ]);
  });

  it("may be a very long chain", async () => {
    const { context } = bench;
    await plan(context);
    const length = context.store.dialect === "sqlite" ? 20_000 : 300;
    await write(context, { op: "task.apply", scope: DEMO, subject: DEMO }, async (tx) => {
      const { id } = await workstreamRow(tx.db, DEMO);
      let above = 0;
      for (let n = 0; n < length; n++) {
        const row = await tx.insert("tasks", newTaskRow(id, `t${n}`, { title: `Task ${n}` }, tx.now));
        if (n > 0) await insertEdge(tx, above, row.id);
        above = row.id;
      }
    });
    const tree = await taskTree(context.store.db, at(`t${length - 1}`));
    const lines = drawTree(tree);
    expect(tree.count).toBe(length);
    expect(lines[32]).toBe(`${" ".repeat(4 * 31)}└── t${length - 33} [OPEN] Task ${length - 33}`);
    expect(lines[33]).toBe(`33 t${length - 34} [OPEN] Task ${length - 34}`);
    expect(lines.at(-1)).toBe(`${length - 1} t0 [OPEN] Task 0`);
  });
});

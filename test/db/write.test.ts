import { expect, it } from "vitest";
import type { Change } from "../../src/db/events.js";
import { write } from "../../src/db/write.js";
import { verifyChains } from "../../src/journal/audit.js";
import { compareTables } from "../../src/journal/replay.js";
import { onEachDialect } from "../support/database.js";
import { putNote, putTask, taskOf, workstreamId } from "../support/history.js";

onEachDialect("what a write records", (bench) => {
  const events = async () => {
    const rows = await bench.context.store.db.selectFrom("events").selectAll().orderBy("id").execute();
    return rows.map((row) => ({ ...row, payload: JSON.parse(row.payload), changes: JSON.parse(row.changes) }));
  };
  const ops = async () => (await events()).map(({ op }) => op);
  const chains = async () => {
    const rows = await bench.context.store.db.selectFrom("chains").select("scope").orderBy("id").execute();
    return rows.map(({ scope }) => scope);
  };
  const update = { op: "task.update", scope: "demo", subject: "demo" };

  it("is the columns that changed, who it was about, and the payloads together", async () => {
    const { context } = bench;
    const id = await putTask(context, "demo", "build");
    const spec = { ...update, payload: { why: "late", by: "ann" } };
    const result = await write(context, spec, async (tx) => {
      tx.addPayload({ by: "bob" });
      tx.about("demo/build");
      return tx.patch("tasks", id, { title: "Build it", impact: 50, role: null, priority: 1 });
    });
    expect(result).toMatchObject({ id, name: "build", title: "Build it", impact: 50, priority: 1 });
    const { subject, payload, changes } = (await events()).at(-1) ?? {};
    expect({ subject, payload, changes }).toEqual({
      subject: "demo/build",
      payload: { why: "late", by: "bob" },
      changes: [{ table: "tasks", id, patch: { title: ["Title of build", "Build it"], priority: [5, 1] } }],
    });
  });

  it("is of the columns that each call names, whatever was changed before", async () => {
    const { context } = bench;
    const id = await putTask(context, "demo", "build");
    await write(context, update, async (tx) => {
      await tx.patch("tasks", id, { title: "Build it", priority: 1 });
      await tx.patch("tasks", id, { impact: 9 });
    });
    const task = await context.store.db.selectFrom("tasks").selectAll().executeTakeFirstOrThrow();
    expect(task).toMatchObject({ title: "Build it", priority: 1, impact: 9 });
    expect(await compareTables(context.store.db)).toEqual([]);
  });

  it("is nothing where nothing changed, unless there is more to say", async () => {
    const { context } = bench;
    const id = await putTask(context, "demo", "build");
    const before = await ops();
    await write(context, { ...update, payload: { why: "late" } }, (tx) => tx.patch("tasks", id, { impact: 50 }));
    expect(await ops()).toEqual(before);
    await write(context, update, async (tx) => tx.addPayload({ seen: true }));
    expect((await events()).at(-1)).toMatchObject({ op: "task.update", payload: { seen: true }, changes: [] });
  });

  it("is nothing where a row is not there, and then no row changes", async () => {
    const { context } = bench;
    const id = await putTask(context, "demo", "build");
    const before = await ops();
    for (const verb of ["patch", "remove"] as const) {
      const failing = write(context, update, async (tx) => {
        await tx.patch("tasks", id, { title: "Half done" });
        await (verb === "patch" ? tx.patch("tasks", 99, { title: "?" }) : tx.remove("tasks", 99));
      });
      await expect(failing).rejects.toThrow("tasks has no row 99");
    }
    expect(await ops()).toEqual(before);
    expect(await compareTables(context.store.db)).toEqual([]);
  });

  it("of many rows is several events of one group, and their ids come in the order of the rows", async () => {
    const { context } = bench;
    const workstream = await workstreamId(context, "demo");
    const names = Array.from({ length: 501 }, (_, n) => `t${n}`);
    const ids = await write(context, update, (tx) =>
      tx.insertAll(
        "tasks",
        names.map((name) => taskOf(workstream, name, tx.now)),
      ),
    );
    const rows = await context.store.db.selectFrom("tasks").select(["id", "name"]).execute();
    const nameOf = new Map(rows.map(({ id, name }) => [id, name]));
    expect(ids.map((id) => nameOf.get(id))).toEqual(names);
    const [, ...parts] = await events();
    expect(parts.map(({ changes }) => changes.length)).toEqual([500, 1]);
    expect(new Set(parts.map(({ group_id }) => group_id)).size).toBe(1);
    expect(await compareTables(context.store.db)).toEqual([]);
    expect(await verifyChains(context.store.db)).toMatchObject([{ ok: true, n: 3 }]);
    expect(await write(context, update, (tx) => tx.insertAll("tasks", []))).toEqual([]);
  });

  it("is the text that the row has, however many rows are inserted at once", async () => {
    const { context } = bench;
    const workstream = await workstreamId(context, "demo");
    await write(context, update, (tx) =>
      tx.insertAll(
        "tasks",
        ["a\ud83d", "b\0"].map((title, n) => ({ ...taskOf(workstream, `t${n}`, tx.now), title })),
      ),
    );
    const rows = await context.store.db.selectFrom("tasks").select("title").orderBy("id").execute();
    expect(rows.map(({ title }) => title)).toEqual(["a\ufffd", "b\ufffd"]);
    expect(await compareTables(context.store.db)).toEqual([]);
  });

  it("of several chains is in the first, the others mention it; all take them in one order", async () => {
    const { context } = bench;
    const id = await putTask(context, "demo", "build");
    const scope = ["two", "one", "two", "demo"];
    await write(context, { ...update, scope }, (tx) => tx.patch("tasks", id, { title: "Build it" }));
    const found = (await events()).filter(({ op }) => op === "task.update");
    expect(found.map(({ scope, changes }) => [scope, changes.length])).toEqual([
      ["two", 1],
      ["one", 0],
      ["demo", 0],
    ]);
    expect(new Set(found.map(({ group_id }) => group_id)).size).toBe(1);
    // A chain's row is made when it is taken: two writers that take them in one order never wait for each other.
    expect(await chains()).toEqual(["demo", "one", "two"]);
  });

  it("is in the chains that its changes decide, and touches no other", async () => {
    const { context } = bench;
    const id = await putTask(context, "demo", "build");
    const asked: (readonly Change[])[] = [];
    const scope = async (_: unknown, changes: readonly Change[]) => {
      asked.push(changes);
      return ["late"];
    };
    await write(context, { ...update, scope }, async () => {});
    expect(asked).toEqual([]);
    await write(context, { ...update, scope }, (tx) => tx.remove("tasks", id));
    expect(asked).toMatchObject([[{ table: "tasks", id, remove: { name: "build" } }]]);
    expect((await events()).at(-1)).toMatchObject({ scope: "late", n: 1, changes: asked[0] });
    expect(await chains()).toEqual(["demo", "late"]);
  });

  it("lets a row that was removed come back as it was", async () => {
    const { context } = bench;
    const task = await putTask(context, "demo", "build");
    const id = await putNote(context, "demo", task, "hello");
    const removed = await write(context, update, (tx) => tx.remove("task_notes", id));
    await write(context, update, (tx) => tx.restore("task_notes", removed));
    expect(await context.store.db.selectFrom("task_notes").selectAll().execute()).toEqual([removed]);
    expect(await compareTables(context.store.db)).toEqual([]);
  });
});

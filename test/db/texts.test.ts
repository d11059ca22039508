import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import type { Context } from "../../src/db/context.js";
import { write } from "../../src/db/write.js";
import { verifyChains } from "../../src/journal/audit.js";
import { readLog } from "../../src/journal/log.js";
import { compareTables } from "../../src/journal/replay.js";
import { writeSql } from "../../src/journal/sql.js";
import { previewUndo, undoGroup } from "../../src/journal/undo/undo.js";
import { insertCheck } from "../../src/tasks/checks.js";
import { deleteTask } from "../../src/tasks/delete.js";
import { taskHistory } from "../../src/tasks/history.js";
import { addNote } from "../../src/tasks/notes.js";
import { getTask, taskRow } from "../../src/tasks/task.js";
import { updateTask } from "../../src/tasks/update.js";
import { onEachDialect } from "../support/database.js";
import { at, plan } from "../support/tasks.js";

const long = (start: string) => `${start} ${"é".repeat(300_000)}`;
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

const newest = (context: Context) =>
  context.store.db.selectFrom("events").selectAll().orderBy("id", "desc").executeTakeFirstOrThrow();

const kept = async (context: Context) =>
  (await context.store.db.selectFrom("texts").select("hash").orderBy("id").execute()).map(({ hash }) => hash);

const description = async (context: Context) => (await getTask(context.store.db, at("build"))).description;

onEachDialect("a large text", (bench) => {
  it("is in the chain by its hash, and in the database once", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    const [first, second] = [long("first"), long("second")];
    await updateTask(context, at("build"), { description: first });
    expect(await kept(context)).toEqual([]);
    await updateTask(context, at("build"), { description: second });
    await updateTask(context, at("build"), { description: first });
    expect(await kept(context)).toEqual([sha256(first), sha256(second)]);

    const { changes } = await newest(context);
    expect(changes.length).toBeLessThan(2_000);
    const [before, after] = JSON.parse(changes)[0].patch.description;
    expect([before.sha256, after.sha256]).toEqual([sha256(second), sha256(first)]);
    expect(after).toMatchObject({ bytes: Buffer.byteLength(first), start: first.slice(0, 160) });
    expect(await compareTables(context.store.db)).toEqual([]);
    expect(await verifyChains(context.store.db)).toMatchObject([{ ok: true, byHash: 5 }]);
  });

  it("comes back whole by undo, with its row too, and the undo can be undone", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    const [first, second] = [long("first"), long("second")];
    await updateTask(context, at("build"), { description: first });
    await updateTask(context, at("build"), { description: second });
    const { group_id } = await newest(context);
    expect((await previewUndo(context.store.db, group_id)).superseded).toEqual([]);
    const { undoGroup: undone } = await undoGroup(context, group_id);
    expect(await description(context)).toBe(first);
    await undoGroup(context, undone);
    expect(await description(context)).toBe(second);

    await addNote(context, at("build"), { person: "tester" }, { text: long("note") });
    await deleteTask(context, at("build"), { person: "tester" });
    await undoGroup(context, (await newest(context)).group_id);
    expect(await description(context)).toBe(second);
    const [note] = await context.store.db.selectFrom("task_notes").select("text").execute();
    expect(note?.text).toBe(long("note"));
    expect(await compareTables(context.store.db)).toEqual([]);
  });

  it("is in the way of an undo when it was changed again", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    await updateTask(context, at("build"), { description: long("first") });
    const { group_id } = await newest(context);
    await context.store.db
      .updateTable("tasks")
      .set({ description: long("second") })
      .execute();
    expect((await previewUndo(context.store.db, group_id)).superseded).toMatchObject([{ column: "description" }]);
  });

  it("is missed when it was edited or deleted outside mu", async () => {
    const { context } = bench;
    const { db } = context.store;
    await plan(context, ["build"]);
    const first = long("first");
    await updateTask(context, at("build"), { description: first });
    await updateTask(context, at("build"), { description: "short" });
    const { group_id } = await newest(context);

    await db.updateTable("texts").set({ text: "forged" }).execute();
    expect(await compareTables(db)).toMatchObject([{ table: "texts", problem: "changed" }]);
    await expect(undoGroup(context, group_id)).rejects.toMatchObject({ code: "undo.text_not_kept", kind: "conflict" });
    await db.deleteFrom("texts").execute();
    expect(await compareTables(db)).toMatchObject([{ table: "texts", problem: "missing" }]);
    await expect(previewUndo(db, group_id)).rejects.toMatchObject({ code: "undo.text_not_kept" });

    await db.updateTable("tasks").set({ description: first }).execute();
    expect(await compareTables(db)).toMatchObject([{ table: "tasks", columns: ["description"] }, { table: "texts" }]);
  });

  it("shows its start in the log and in the history", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    await addNote(context, at("build"), { person: "tester" }, { text: long("a long story") });
    const [entry] = (await readLog(context.store.db, { limit: 1 })) ?? [];
    expect(entry?.text).toMatch(/^noted on build: a long story é/);
    await updateTask(context, at("build"), { description: long("first") });
    const history = await taskHistory(context.store.db, at("build"));
    expect(history.at(-2)?.changes).toMatchObject([
      { field: "note", after: expect.stringMatching(/^a long story .*…$/) },
    ]);
    expect(history.at(-1)?.text).toMatch(/description – → first é/);
  });

  it("of a check's output is by hash long before others", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    const { id } = await taskRow(context.store.db, at("build"));
    const tail = "not ok 1\n".repeat(30);
    const check = { author: "ann", command: "make", exit_code: 1, seconds: 1, commit_id: null, tree: null, tail };
    await write(context, { op: "task.check", scope: "demo", subject: "demo/build" }, (tx) =>
      insertCheck(tx, id, check),
    );
    expect(JSON.parse((await newest(context)).changes)[0].insert.tail).toMatchObject({ sha256: sha256(tail) });
    expect(await compareTables(context.store.db)).toEqual([]);
    expect((await taskHistory(context.store.db, at("build"))).at(-1)?.changes).toEqual([
      { field: "check", before: null, after: "make" },
    ]);
  });

  it("in an event of an older mu is compared and put back as before", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    const { db, dialect } = context.store;
    const { id } = await taskRow(db, at("build"));
    const { appendEvent, takeHead } = await import("../../src/db/events.js");
    const [first, second] = [long("first"), long("second")];
    const patch = (before: string | null, after: string) => ({
      scope: "demo",
      group_id: `old-${after.slice(0, 5)}`,
      at: "2026-01-01T00:00:00.000Z",
      actor: "ann",
      op: "task.update",
      subject: "demo/build",
      payload: {},
      changes: [{ table: "tasks", id, patch: { description: [before, after] as [unknown, unknown] } }],
    });
    await context.store.write(async (tx) => {
      const head = await appendEvent(tx, await takeHead(tx, dialect, "demo"), patch(null, first));
      await appendEvent(tx, head, patch(first, second));
      await tx.updateTable("tasks").set({ description: second }).where("id", "=", id).execute();
    });
    expect(await compareTables(db)).toEqual([]);
    await undoGroup(context, "old-secon");
    expect(await description(context)).toBe(first);
    expect(await compareTables(db)).toEqual([]);
    expect((await context.store.read((reader) => verifyChains(reader))).every(({ ok }) => ok)).toBe(true);
  });

  it("that hand-written SQL replaces is kept too", async () => {
    const { context } = bench;
    if (context.store.dialect === "postgres") return;
    await plan(context, ["build"]);
    await updateTask(context, at("build"), { description: long("first") });
    await writeSql(context, "update tasks set description = 'short'");
    await undoGroup(context, (await newest(context)).group_id);
    expect(await description(context)).toBe(long("first"));
    expect(await compareTables(context.store.db)).toEqual([]);
  });
});

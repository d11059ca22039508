import { expect, it } from "vitest";
import { claimTask } from "../../src/tasks/claim.js";
import { deleteTask, previewDelete } from "../../src/tasks/delete.js";
import { blockTask } from "../../src/tasks/graph.js";
import { closeTask, deferTask, openTask, previewCascade, rejectTask, releaseTask } from "../../src/tasks/lifecycle.js";
import { addNote, listNotes } from "../../src/tasks/notes.js";
import { getTask, listTasks } from "../../src/tasks/task.js";
import { onEachDialect } from "../support/database.js";
import { add, at, closeAgent, ops, plan, spawn } from "../support/tasks.js";

const ann = { person: "ann" };

onEachDialect("the life of a task", (bench) => {
  it("is claimed, released, closed and reopened", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    await claimTask(context, at("build"), ann, { leaseSeconds: 60 });
    expect(await releaseTask(context, at("build"), ann)).toMatchObject({
      changed: true,
      previousStatus: "IN_PROGRESS",
      previousOwner: "ann",
      task: { status: "OPEN", owner: null, leaseUntil: null },
    });
    expect(await releaseTask(context, at("build"), ann)).toMatchObject({ changed: false });
    await claimTask(context, at("build"), ann);
    const closed = await closeTask(context, at("build"), ann);
    expect(closed.task).toMatchObject({ status: "CLOSED", owner: "ann" });
    expect(closed.task.closedAt).toBe(closed.task.updatedAt);
    expect(await releaseTask(context, at("build"), ann)).toMatchObject({ changed: false, task: { owner: "ann" } });
    expect((await releaseTask(context, at("build"), ann, { reopen: true })).task).toMatchObject({
      status: "OPEN",
      owner: null,
      closedAt: null,
    });
    expect(await openTask(context, at("build"), ann)).toMatchObject({ changed: false });
    expect((await ops(context)).slice(2)).toEqual([
      "task.claim",
      "task.release",
      "task.claim",
      "task.close",
      "task.release",
    ]);
  });

  it("keeps evidence in the event of the close", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    await closeTask(context, at("build"), ann, { evidence: "12 tests pass" });
    expect(await listNotes(context.store.db, at("build"))).toMatchObject([
      { author: "ann", kind: "evidence", text: "12 tests pass" },
    ]);
    expect(await ops(context)).toEqual(["workstream.init", "task.add", "task.close"]);
    const again = await closeTask(context, at("build"), ann, { evidence: "and the linter" });
    expect(again).toMatchObject({ changed: true, previousStatus: "CLOSED", task: { status: "CLOSED" } });
  });

  it("closes a blocked task, unless ifReady is set", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b", "a"]);
    expect(await closeTask(context, at("b"), ann, { ifReady: true, evidence: "none" })).toMatchObject({
      changed: false,
      skipped: "not_ready",
      blockers: ["a"],
      task: { status: "OPEN" },
    });
    expect(await ops(context)).toHaveLength(3);
    expect((await closeTask(context, at("b"), ann)).task.status).toBe("CLOSED");
  });

  it("strands no dependents: a reject or defer cascades, or is refused", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b", "a"], ["c", "b"], ["done", "a"], ["after", "done"]);
    await closeTask(context, at("done"), ann);
    await expect(rejectTask(context, at("a"), ann)).rejects.toMatchObject({
      code: "task.has_open_dependents",
      details: { dependents: ["b", "c"] },
    });
    expect(await previewCascade(context.store.db, at("a"))).toEqual({
      task: "a",
      affected: ["a", "b", "c"].map((name) => ({ name, status: "OPEN" })),
    });
    expect(await deferTask(context, at("a"), ann, { cascade: true })).toMatchObject({
      changed: true,
      affected: ["a", "b", "c"],
      task: { status: "DEFERRED", closedAt: null },
    });
    expect((await listTasks(context.store.db)).map((task) => [task.name, task.status])).toEqual([
      ["a", "DEFERRED"],
      ["after", "OPEN"],
      ["b", "DEFERRED"],
      ["c", "DEFERRED"],
      ["done", "CLOSED"],
    ]);
    expect(await rejectTask(context, at("c"), ann)).toMatchObject({ affected: ["c"], task: { status: "REJECTED" } });
    expect(await rejectTask(context, at("c"), ann)).toMatchObject({ affected: [], changed: false });
  });

  it("keeps agents from other owners' tasks; people may change them", async () => {
    const { context } = bench;
    await plan(context, ["build"], ["test", "build"]);
    const first = await spawn(context, "worker-1");
    await spawn(context, "worker-2");
    const owner = { agent: "worker-1", incarnation: first };
    const other = { agent: "worker-2" };
    await claimTask(context, at("build"), owner);
    const refused = { code: "task.not_owner" };
    await expect(closeTask(context, at("build"), other)).rejects.toMatchObject(refused);
    await expect(releaseTask(context, at("build"), other)).rejects.toMatchObject(refused);
    await expect(openTask(context, at("build"), other)).rejects.toMatchObject(refused);
    await expect(rejectTask(context, at("build"), other, { cascade: true })).rejects.toMatchObject(refused);
    await expect(deleteTask(context, at("build"), other)).rejects.toMatchObject(refused);
    expect((await releaseTask(context, at("build"), ann)).changed).toBe(true);
    await claimTask(context, at("build"), owner);
    expect((await releaseTask(context, at("build"), other, { override: true })).changed).toBe(true);
    await claimTask(context, at("build"), owner);
    await closeAgent(context, first);
    await expect(closeTask(context, at("build"), owner)).rejects.toMatchObject({ code: "agent.replaced" });
    expect((await closeTask(context, at("build"), other)).task).toMatchObject({ status: "CLOSED", owner: "worker-1" });
  });

  it("does not cascade to a task that another agent owns", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b"]);
    await spawn(context, "worker-1");
    await spawn(context, "worker-2");
    await claimTask(context, at("b"), { agent: "worker-1" });
    await blockTask(context, at("b"), at("a"));
    await expect(deferTask(context, at("a"), { agent: "worker-2" }, { cascade: true })).rejects.toMatchObject({
      code: "task.not_owner",
    });
    expect((await getTask(context.store.db, at("a"))).status).toBe("OPEN");
  });
});

onEachDialect("deleting a task", (bench) => {
  it("deletes edges and notes, too, and previews that", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b", "a"], ["c", "b"]);
    await addNote(context, at("b"), ann, { text: "hm" });
    const preview = await previewDelete(context.store.db, at("b"));
    expect(preview).toMatchObject({ task: { name: "b" }, edges: 2, notes: 1, dependents: ["c"] });
    expect(await deleteTask(context, at("b"), ann)).toEqual(preview);
    expect(await context.store.db.selectFrom("task_edges").select("id").execute()).toEqual([]);
    await expect(deleteTask(context, at("b"), ann)).rejects.toMatchObject({ code: "task.not_found" });
  });

  it("refuses while others belong to it", async () => {
    const { context } = bench;
    await plan(context, ["job"]);
    await add(context, { title: "step", root: "job" });
    await expect(deleteTask(context, at("job"), ann)).rejects.toMatchObject({
      code: "task.is_root",
      details: { members: ["step"] },
    });
  });
});

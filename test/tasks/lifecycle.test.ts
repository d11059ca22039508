import { expect, it } from "vitest";
import { type Tx, write } from "../../src/db/write.js";
import { lastCheck } from "../../src/tasks/checks.js";
import { claimTask } from "../../src/tasks/claim.js";
import { deleteTask, previewDelete } from "../../src/tasks/delete.js";
import { blockTask } from "../../src/tasks/graph.js";
import {
  closeTask,
  deferTask,
  type Finding,
  openTask,
  passOn,
  previewCascade,
  rejectTask,
  releaseOwned,
  releaseTask,
  resumeTask,
} from "../../src/tasks/lifecycle.js";
import { addNote, listNotes } from "../../src/tasks/notes.js";
import { getTask, listTasks, taskRow } from "../../src/tasks/task.js";
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
    expect(await closeTask(context, at("build"), ann)).toMatchObject({ changed: false, task: closed.task });
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

  it("says who would be stranded, and what to do", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b", "a"]);
    const refusal = (verb: typeof rejectTask) => verb(context, at("a"), ann).then(String, (fault) => fault.toJSON());
    const look = { intent: "See what waits for it", command: "mu task tree a --down -w demo" };
    expect(await refusal(rejectTask)).toMatchObject({
      error: "conflict",
      message: "b would wait for a forever.",
      nextSteps: [{ intent: "Reject them too", command: "mu task reject a --cascade -w demo" }, look],
    });
    expect(await refusal(deferTask)).toMatchObject({
      nextSteps: [{ intent: "Defer them too", command: "mu task defer a --cascade -w demo" }, look],
    });
  });

  it("lets a task be rejected twice, and its dependents later", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b"]);
    await rejectTask(context, at("a"), ann);
    await blockTask(context, at("b"), at("a"));
    expect(await rejectTask(context, at("a"), ann)).toMatchObject({ changed: false, affected: [] });
    expect(await rejectTask(context, at("a"), ann, { cascade: true })).toMatchObject({
      changed: true,
      affected: ["b"],
    });
  });

  it("opens what is closed, with evidence", async () => {
    const { context } = bench;
    await plan(context, ["a"]);
    expect((await closeTask(context, at("a"), ann, { ifReady: true })).task.status).toBe("CLOSED");
    expect((await openTask(context, at("a"), ann, { evidence: "the tests fail" })).task.status).toBe("OPEN");
    expect(await listNotes(context.store.db, at("a"))).toMatchObject([{ kind: "evidence", text: "the tests fail" }]);
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

onEachDialect("the proof that a task is done", (bench) => {
  const green = {
    author: "ann",
    command: "npm test",
    exit_code: 0,
    seconds: 2,
    commit_id: "c2",
    tree: "t2",
    tail: "ok",
  };
  const work = { work_agent: "ann", work_root: "/shop", work_from: "c1", work_to: "c2" };
  const rowOf = (name: string) => taskRow(bench.context.store.db, at(name));
  const close = async (finding: Omit<Finding, "before">) =>
    closeTask(bench.context, at("build"), ann, { finding: { before: await rowOf("build"), ...finding } });

  it("is its check and its commits, and can come after the close", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    await claimTask(context, at("build"), ann);
    expect((await close({})).task).toMatchObject({ status: "CLOSED", level: "claimed" });
    const late = { ...context, clock: { ...context.clock, now: () => new Date("2999-01-01T00:00:00Z") } };
    const before = await rowOf("build");
    const verified = await closeTask(late, at("build"), ann, {
      finding: { before, work, check: green, level: "verified" },
    });
    expect(verified).toMatchObject({
      changed: true,
      task: { status: "CLOSED", level: "verified", landedCommit: null, updatedAt: "2999-01-01T00:00:00.000Z" },
      check: { command: "npm test", green: true, commit: "c2" },
    });
    expect(await rowOf("build")).toMatchObject(work);
    expect(await lastCheck(context.store.db, before.id)).toEqual(verified.check);
    const landed = await close({ work: { ...work, work_to: "c3" }, level: "landed" });
    expect(landed.task).toMatchObject({ level: "landed", landedCommit: "c3" });
    expect(landed.check).toBeUndefined();
    expect((await close({ level: "verified" })).task).toMatchObject({ level: "landed", landedCommit: "c3" });
    expect((await close({ level: "landed" })).task).toMatchObject({ level: "landed", landedCommit: "c3" });
    expect(await close({ check: green })).toMatchObject({ changed: true, task: { level: "landed" } });
  });

  it("is of one claim only", async () => {
    const { context } = bench;
    await plan(context, ["build"], ["free"]);
    await claimTask(context, at("build"), ann);
    const finding = { before: await rowOf("build") };
    await releaseTask(context, at("build"), ann);
    const refusal = () => closeTask(context, at("build"), ann, { finding }).then(String, (fault) => fault.toJSON());
    const why = "it changed while its work was examined, so it was not closed.";
    expect(await refusal()).toMatchObject({
      error: "conflict",
      code: "task.claim_changed",
      message: `build is now OPEN: ${why}`,
      nextSteps: [{ intent: "Look at it", command: "mu task show build -w demo" }],
    });
    await claimTask(context, at("build"), ann);
    expect(await refusal()).toMatchObject({ message: `build is now IN_PROGRESS by ann: ${why}` });
  });

  it("ends with every way back", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    await claimTask(context, at("build"), ann);
    await close({ work, level: "landed" });
    const { task } = await openTask(context, at("build"), ann);
    expect(task).toMatchObject({ status: "OPEN", owner: null, level: null, landedCommit: null, closedAt: null });
    expect(await rowOf("build")).toMatchObject({ level: null, work_from: "c1", work_to: null });
  });
});

onEachDialect("the tasks of an agent", (bench) => {
  const inWrite = <T>(work: (tx: Tx) => Promise<T>) =>
    write(bench.context, { op: "agent.reap", scope: "demo", subject: "demo/worker-1" }, work);
  const states = async () =>
    (await listTasks(bench.context.store.db)).map(({ name, status, owner }) => [name, status, owner]);

  it("are released with a note, passed on and resumed, the live ones only", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b"], ["done"], ["other"]);
    const first = await spawn(context, "worker-1");
    const owner = { agent: "worker-1", incarnation: first };
    for (const name of ["done", "b", "a"]) await claimTask(context, at(name), owner);
    await closeTask(context, at("done"), owner);
    await claimTask(context, at("other"), ann);
    await closeAgent(context, first);
    const second = await spawn(context, "worker-1");

    expect(await inWrite((tx) => passOn(tx, first, second))).toEqual(["a", "b"]);
    expect((await taskRow(context.store.db, at("a"))).owner_id).toBe(second);
    expect((await taskRow(context.store.db, at("done"))).owner_id).toBe(first);
    expect(await inWrite((tx) => passOn(tx, first, second))).toEqual([]);

    expect(await inWrite((tx) => releaseOwned(tx, second, { author: "mu", text: "its pane is gone" }))).toEqual([
      "a",
      "b",
    ]);
    expect(await states()).toEqual([
      ["a", "OPEN", null],
      ["b", "OPEN", null],
      ["done", "CLOSED", "worker-1"],
      ["other", "IN_PROGRESS", "ann"],
    ]);
    expect(await listNotes(context.store.db, at("b"))).toMatchObject([{ author: "mu", text: "its pane is gone" }]);

    const row = await taskRow(context.store.db, at("a"));
    await inWrite((tx) => resumeTask(tx, row, second));
    const { status, owner_id, claim_generation } = await taskRow(context.store.db, at("a"));
    expect([status, owner_id, claim_generation]).toEqual(["IN_PROGRESS", second, row.claim_generation + 1]);
    const done = await taskRow(context.store.db, at("done"));
    expect(await inWrite((tx) => resumeTask(tx, done, second))).toBeUndefined();
  });

  it("can be put off by others once it is closed", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b"]);
    const first = await spawn(context, "worker-1");
    await spawn(context, "worker-2");
    await claimTask(context, at("b"), { agent: "worker-1", incarnation: first });
    await blockTask(context, at("b"), at("a"));
    await closeAgent(context, first);
    expect(await deferTask(context, at("a"), { agent: "worker-2" }, { cascade: true })).toMatchObject({
      affected: ["a", "b"],
    });
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

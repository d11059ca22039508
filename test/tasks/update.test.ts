import { expect, it } from "vitest";
import { addTask } from "../../src/tasks/add.js";
import { claimTask } from "../../src/tasks/claim.js";
import { blockTask, unblockTask } from "../../src/tasks/graph.js";
import { openTask } from "../../src/tasks/lifecycle.js";
import { moveTask } from "../../src/tasks/move.js";
import { addNote, listNotes } from "../../src/tasks/notes.js";
import { updateTask } from "../../src/tasks/update.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";
import { onEachDialect } from "../support/database.js";
import { at, later, ops, plan } from "../support/tasks.js";

onEachDialect("updating a task", (bench) => {
  it("sets fields, and reports which changed", async () => {
    const { context } = bench;
    await plan(context, ["build"], ["job"]);
    const { task, changedFields } = await updateTask(context, at("build"), {
      title: "Build",
      impact: 50,
      effortDays: 2,
      tags: ["a", "b"],
      payload: [1],
      root: "job",
      notBefore: "2030-01-01",
    });
    expect(changedFields).toEqual(["title", "effortDays", "notBefore", "tags", "payload", "root"]);
    expect(task).toMatchObject({ title: "Build", tags: ["a", "b"], payload: [1], root: "job", effortDays: 2 });
    expect(await updateTask(context, at("build"), { title: "Build", payload: [1] })).toMatchObject({
      changedFields: [],
    });
    expect((await ops(context)).slice(3)).toEqual(["task.update"]);
  });

  it("adds and removes tags", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    const tags = async (update: object) => (await updateTask(context, at("build"), update)).task.tags;
    expect(await tags({ addTags: ["a", "b"] })).toEqual(["a", "b"]);
    expect(await tags({ addTags: ["a", "c"], removeTags: ["b", "zz"] })).toEqual(["a", "c"]);
    expect(await tags({ tags: [] })).toEqual([]);
  });

  it("sets and clears a hold with its reason", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    const held = await updateTask(context, at("build"), { hold: "review", holdReason: "look first" });
    expect(held.changedFields).toEqual(["hold", "holdReason"]);
    const free = await updateTask(context, at("build"), { hold: null });
    expect(free).toMatchObject({ changedFields: ["hold", "holdReason"], task: { hold: null, holdReason: null } });
  });

  it("refuses nothing, nonsense and itself as root", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    const code = (update: object) => updateTask(context, at("build"), update).then(String, (fault) => fault.code);
    expect(await code({})).toBe("task.nothing_to_update");
    expect(await code({ title: undefined })).toBe("task.nothing_to_update");
    expect(await code({ priority: 10 })).toBe("task.invalid_field");
    expect(await code({ payload: () => 1 })).toBe("task.invalid_field");
    expect(await code({ root: "build" })).toBe("task.invalid_root");
    expect(await code({ root: "nope" })).toBe("task.not_found");
  });

  it("by the owner renews the lease", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    const { task } = await claimTask(context, at("build"), { person: "tester" }, { leaseSeconds: 60 });
    const after = await updateTask(later(context, 10_000), at("build"), { impact: 1 });
    expect(String(after.task.leaseUntil) > String(task.leaseUntil)).toBe(true);
  });
});

onEachDialect("moving a task", (bench) => {
  it("leaves one event in each chain, in one group, and keeps the notes", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    await initWorkstream(context, "other");
    await addNote(context, at("build"), { person: "ann" }, { text: "hm" });
    const { task, changed } = await moveTask(context, at("build"), "other");
    expect({ changed, workstream: task.workstream }).toEqual({ changed: true, workstream: "other" });
    expect(await listNotes(context.store.db, { workstream: "other", name: "build" })).toHaveLength(1);
    const events = await context.store.db.selectFrom("events").selectAll().where("op", "=", "task.move").execute();
    expect(events.map((event) => [event.scope, JSON.parse(event.changes).length])).toEqual([
      ["demo", 1],
      ["other", 0],
    ]);
    expect(new Set(events.map((event) => event.group_id)).size).toBe(1);
    expect((await moveTask(context, { workstream: "other", name: "build" }, "other")).changed).toBe(false);
  });

  it("refuses a task with edges, an owner, a root or members", async () => {
    const { context } = bench;
    await plan(context, ["build"], ["test"], ["job"]);
    await initWorkstream(context, "other");
    const code = (to: string) => moveTask(context, at("build"), to).then(String, (fault) => fault.code);
    expect(await code("nope")).toBe("workstream.not_found");
    await blockTask(context, at("test"), at("build"));
    expect(await code("other")).toBe("task.has_edges");
    await unblockTask(context, at("test"), at("build"));
    await claimTask(context, at("build"), { person: "ann" });
    expect(await code("other")).toBe("task.owned");
    await openTask(context, at("build"), { person: "ann" });
    await updateTask(context, at("build"), { root: "job" });
    expect(await code("other")).toBe("task.has_root");
    await updateTask(context, at("build"), { root: null });
    await updateTask(context, at("job"), { root: "build" });
    expect(await code("other")).toBe("task.is_root");
    await updateTask(context, at("job"), { root: null });
    await addTask(context, "other", { name: "build", title: "another" });
    expect(await code("other")).toBe("task.exists");
  });
});

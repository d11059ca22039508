import { expect, it } from "vitest";
import { listNotes } from "../../src/tasks/notes.js";
import { getTask } from "../../src/tasks/task.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";
import { onEachDialect } from "../support/database.js";
import { add, at, ops, plan } from "../support/tasks.js";

onEachDialect("adding a task", (bench) => {
  it("stores and returns every field", async () => {
    const { context } = bench;
    await plan(context, ["design"], ["job"]);
    const { task, blockers } = await add(context, {
      name: "build",
      title: "Build it",
      description: "All of it\n",
      kind: "feature",
      role: "coder",
      impact: 80,
      effortDays: 0.5,
      priority: 1,
      tags: ["ui", "ui", "core"],
      touches: ["src/**"],
      payload: { a: [1, null] },
      hold: "review",
      holdReason: "wait for the review",
      notBefore: "2030-01-01T02:00:00+02:00",
      maxRetries: 0,
      externalRef: "LIN-1",
      root: "job",
      step: "work",
      blockedBy: ["design", "demo/design"],
      notes: ["first", { text: "we use it", kind: "decision", rationale: "it is there" }],
    });
    expect(blockers).toEqual(["design"]);
    expect(task).toEqual(await getTask(context.store.db, at("build")));
    expect(task).toMatchObject({
      roi: 160,
      tags: ["ui", "core"],
      payload: { a: [1, null] },
      notBefore: "2030-01-01T00:00:00.000Z",
      root: "job",
      status: "OPEN",
      owner: null,
    });
    const notes = await listNotes(context.store.db, at("build"));
    expect(notes.map(({ author, kind, text }) => [author, kind, text])).toEqual([
      ["tester", "note", "first"],
      ["tester", "decision", "we use it"],
    ]);
    expect(await ops(context)).toEqual(["workstream.init", "task.add", "task.add", "task.add"]);
  });

  it("derives the name from the title, and reports if it was cut", async () => {
    const { context } = bench;
    await initWorkstream(context, "demo");
    const long = "Do not delete the production database when the tests are over";
    expect((await add(context, { title: "Fix: the Login!" })).task.name).toBe("fix_the_login");
    expect((await add(context, { title: "fix the login" })).task.name).toBe("fix_the_login_2");
    expect((await add(context, { title: "fixxthe login" })).task.name).toBe("fixxthe_login");
    expect(await add(context, { title: long })).toMatchObject({
      task: { name: "do_not_delete_the_production_database" },
      truncated: "do_not_delete_the_production_database_when_the_tests_are_over",
    });
    expect(await add(context, { name: "short", title: long })).not.toHaveProperty("truncated");
  });

  it.each([
    ["Über größe änderung", "uber_grosse_anderung"],
    ["ÜBER GRÖSSE", "uber_grosse"],
    ["Smørrebrød & Œuvre", "smorrebrod_oeuvre"],
    ["Łódź þing Ðakovo", "lodz_thing_dakovo"],
    ["İstanbul ığdır naïve ﬁnish ②", "istanbul_igdir_naive_finish_2"],
    ["Đà Nẵng", "da_nang"],
  ])("spells %s with the letters of a name", async (title, name) => {
    await initWorkstream(bench.context, "demo");
    expect((await add(bench.context, { title })).task.name).toBe(name);
  });

  it.each([
    [{ name: "build", title: "again" }, "task.exists"],
    [{ title: "…" }, "task.invalid_name"],
    [{ name: "Build", title: "x" }, "task.invalid_name"],
    [{ title: "  ", name: "x" }, "task.invalid_field"],
    [{ title: "x", impact: 0 }, "task.invalid_field"],
    [{ title: "x", effortDays: Number.POSITIVE_INFINITY }, "task.invalid_field"],
    [{ title: "x", priority: 1.5 }, "task.invalid_field"],
    [{ title: "x", notBefore: "soon" }, "task.invalid_field"],
    [{ title: "x", description: "a\0b" }, "task.invalid_field"],
    [{ title: "x", tags: ["a\nb"] }, "task.invalid_field"],
    [{ title: "x", notes: [" "] }, "task.invalid_note"],
    [{ title: "x", blockedBy: ["biuld"] }, "task.not_found"],
    [{ title: "x", blockedBy: ["other/build"] }, "task.cross_workstream"],
    [{ title: "x", root: "nowhere" }, "task.not_found"],
  ])("refuses %j and changes nothing", async (task, code) => {
    const { context } = bench;
    await plan(context, ["build"]);
    await expect(add(context, task)).rejects.toMatchObject({ code });
    expect(await ops(context)).toHaveLength(2);
  });

  it("does not create a workstream", async () => {
    await expect(add(bench.context, { title: "x" })).rejects.toMatchObject({ code: "workstream.not_found" });
    expect(await bench.context.store.db.selectFrom("chains").selectAll().execute()).toEqual([]);
  });

  it("stores half a surrogate pair as the replacement character, in the row and in the event", async () => {
    const { context } = bench;
    await initWorkstream(context, "demo");
    const { task } = await add(context, { name: "x", title: "a\ud800b" });
    expect(task.title).toBe("a\ufffdb");
    const event = await context.store.db
      .selectFrom("events")
      .select("changes")
      .orderBy("id", "desc")
      .executeTakeFirstOrThrow();
    expect(JSON.parse(event.changes)[0].insert.title).toBe("a\ufffdb");
  });
});

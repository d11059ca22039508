import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Crew } from "../../../src/agents/crew.js";
import type { Context } from "../../../src/db/context.js";
import { execProgram } from "../../../src/exec.js";
import { readState } from "../../../src/state.js";
import { claimNext, claimTask } from "../../../src/tasks/claim.js";
import { createWorkspace } from "../../../src/workspaces/create.js";
import { driftOf, predictConflicts, workInProgress } from "../../../src/workspaces/radar/predict.js";
import { readRadar, refreshRadar, refreshRadarIfStale, storePrediction } from "../../../src/workspaces/radar/radar.js";
import { workspaceRow } from "../../../src/workspaces/workspace.js";
import { destroyWorkstream, workstreamRow } from "../../../src/workstreams/workstream.js";
import { itOnce, onEachDialect } from "../../support/database.js";
import { newRepository, type Repository } from "../../support/repository.js";
import { add, at, DEMO, later, plan, spawn } from "../../support/tasks.js";

onEachDialect("the radar", (bench) => {
  let repository: Repository;
  let crew: Crew;
  const places: Record<string, string> = {};

  beforeEach(async () => {
    repository = await newRepository({ "a.txt": "1\n2\n3\n", "b.txt": "1\n2\n3\n", "src/c.txt": "1\n" });
    const stateDir = join(repository.dir, "state");
    const { env } = repository;
    const world = { exec: execProgram, stateDir, env, databaseEnv: {} };
    crew = { ...world, context: bench.context, tmux: {} as Crew["tmux"] };
    await plan(bench.context);
    for (const name of ["ann", "bob"]) await workspace(name);
  });
  afterEach(() => repository.end());

  const workspace = async (name: string) => {
    const made = await createWorkspace(crew, { workstream: DEMO, name }, { projectRoot: repository.root });
    places[name] = made.path;
  };
  const change = (agent: string, files: Record<string, string>) => repository.write(files, places[agent] ?? "");
  const sight = async () => readRadar(bench.context.store.db, (await workstreamRow(bench.context.store.db, DEMO)).id);
  const collisions = async () => (await sight()).collisions.map(({ a, b, paths }) => [a, b, ...paths]);
  /** The record of a landing in this repository, of whatever workstream. */
  const landed = (context: Context) =>
    context.store.write((db) => {
      const at = context.clock.now().toISOString();
      const task = { workstream_id: 0, task_id: 0, batch: "b", root: repository.root, branch: "main", scratch: "" };
      const end = { state: "landed", onto: null, tip: null, process: "1 1", reason: null };
      return db
        .insertInto("landings")
        .values({ ...task, ...end, created_at: at, updated_at: at })
        .execute();
    });
  const afterMinutes = (minutes: number): Crew => ({ ...crew, context: later(crew.context, minutes * 60_000) });

  it("stores who collides with whom, and how each stands", async () => {
    await repository.commit({ "b.txt": "landed\n" });
    change("ann", { "a.txt": "ann\n", "b.txt": "ann\n" });
    change("bob", { "a.txt": "bob\n" });
    const { skipped } = await refreshRadar(crew, DEMO);
    expect(skipped).toEqual([]);
    expect(await collisions()).toEqual([
      ["ann", null, "b.txt"],
      ["ann", "bob", "a.txt"],
    ]);
    const { workspaces } = await sight();
    expect(workspaces).toMatchObject([
      { agent: "ann", behind: 1, ahead: 0, dirty: 2, branch: "main" },
      { agent: "bob", behind: 1, ahead: 0, dirty: 1, branch: "main" },
    ]);
  });

  it("is looked at by several at once, and not after its workstream is gone", async () => {
    change("ann", { "a.txt": "ann\n" });
    change("bob", { "a.txt": "bob\n" });
    const { db } = bench.context.store;
    const { id } = await workstreamRow(db, DEMO);
    const prediction = await predictConflicts(crew, { id, name: DEMO });
    await Promise.all(Array.from({ length: 6 }, () => storePrediction(bench.context, prediction)));
    expect(await collisions()).toEqual([["ann", "bob", "a.txt"]]);
    await destroyWorkstream(bench.context, DEMO);
    await storePrediction(bench.context, prediction);
    expect(await db.selectFrom("collisions").select("id").execute()).toEqual([]);
    expect(await db.selectFrom("workspace_changes").select("id").execute()).toEqual([]);
  });

  it("remembers since when, as long as one path goes on colliding", async () => {
    const since = async () => (await sight()).collisions.find(({ b }) => b === "bob")?.since;
    change("ann", { "a.txt": "ann\n", "b.txt": "ann\n" });
    change("bob", { "a.txt": "bob\n" });
    await refreshRadar(crew, DEMO);
    const first = await since();
    change("bob", { "b.txt": "bob\n" });
    await refreshRadar(afterMinutes(5), DEMO);
    change("bob", { "a.txt": "1\n2\n3\n" });
    await refreshRadar(afterMinutes(10), DEMO);
    expect(await collisions()).toEqual([["ann", "bob", "b.txt"]]);
    expect(await since()).toBe(first);
    change("bob", { "a.txt": "bob\n", "b.txt": "1\n2\n3\n" });
    await refreshRadar(afterMinutes(15), DEMO);
    expect((await since()) ?? "").not.toBe(first);
    change("bob", { "a.txt": "1\n2\n3\n" });
    await refreshRadar(afterMinutes(20), DEMO);
    expect(await collisions()).toEqual([]);
  });

  itOnce("names what it does not compare, and compares the rest", async () => {
    for (const name of ["cyd", "dan", "eve", "fay"]) await workspace(name);
    const set = async (agent: string, columns: Record<string, string | null>) => {
      const { id } = await workspaceRow(bench.context.store.db, { workstream: DEMO, name: agent });
      await bench.context.store.write((db) =>
        db.updateTable("workspaces").set(columns).where("id", "=", id).executeTakeFirst(),
      );
    };
    await set("cyd", { backend: "jj" });
    await set("dan", { state: "creating" });
    await set("eve", { branch: "gone" });
    rmSync(places["fay"] ?? "", { recursive: true });
    change("ann", { "new.txt": "ann\n" });
    change("bob", { "new.txt": "bob\n" });
    const { skipped, changed } = await refreshRadar(crew, DEMO);
    expect(skipped.map(({ agent }) => agent)).toEqual(["cyd", "dan", "eve", "fay"]);
    expect(skipped[0]?.reason).toContain("git only");
    expect(changed.map(({ agent }) => agent)).toEqual(["ann", "bob"]);
    expect(await collisions()).toEqual([["ann", "bob", "new.txt"]]);
  });

  it("looks in passing at most every 15 seconds, and shows in the state what it saw", async () => {
    change("ann", { "a.txt": "ann\n" });
    change("bob", { "a.txt": "bob\n" });
    const glance = (minutes: number) => {
      const context = later(bench.context, minutes * 60_000);
      return refreshRadarIfStale(context, DEMO, async () => ({ ...crew, context }), 60_000);
    };
    expect(await glance(0)).toBe(true);
    expect(await glance(0.2)).toBe(false);
    expect(await glance(1)).toBe(true);
    expect(await glance(1.1)).toBe(false);
    await landed(later(bench.context, 61_000));
    expect(await glance(1.1)).toBe(true);
    expect(await glance(1.1)).toBe(false);
    const state = await readState(bench.context.store.db, DEMO, { now: new Date().toISOString() });
    expect(state.collisions).toMatchObject({ total: 1, items: [{ a: "ann", b: "bob", branch: "main" }] });
    expect(state.collisions.seenAt).not.toBeNull();
    expect(state.workspaces.map(({ agent, dirty }) => [agent, dirty])).toEqual([
      ["ann", 1],
      ["bob", 1],
    ]);
  });

  itOnce("keeps what it saw when a look in passing takes too long", async () => {
    change("ann", { "a.txt": "ann\n" });
    change("bob", { "a.txt": "bob\n" });
    await refreshRadar(crew, DEMO);
    const context = later(bench.context, 60_000);
    expect(await refreshRadarIfStale(context, DEMO, async () => ({ ...crew, context }), 1)).toBe(false);
    expect(await collisions()).toEqual([["ann", "bob", "a.txt"]]);
  });

  itOnce("tells who changes what its tasks do not declare", async () => {
    for (const name of ["ann", "bob"]) await spawn(bench.context, name);
    await add(bench.context, { name: "one", title: "One", touches: ["src/**", "b.txt"] });
    await add(bench.context, { name: "two", title: "Two" });
    await claimTask(bench.context, at("one"), { agent: "ann" });
    await claimTask(bench.context, at("two"), { agent: "bob" });
    change("ann", { "src/c.txt": "ann\n", "src/new.txt": "ann\n", "a.txt": "ann\n" });
    change("bob", { "b.txt": "bob\n" });
    const { changed, workstreamId } = await refreshRadar(crew, DEMO);
    expect(driftOf(changed, await workInProgress(bench.context.store.db, workstreamId))).toEqual([
      { agent: "ann", tasks: ["one"], declared: ["src/**", "b.txt"], paths: ["a.txt"] },
    ]);
  });

  itOnce("counts as drift only what was changed since the task was taken", async () => {
    await spawn(bench.context, "ann");
    await repository.commit({ "a.txt": "earlier work\n" }, "earlier", places["ann"]);
    await add(bench.context, { name: "one", title: "One", touches: ["src"] });
    await claimTask(bench.context, at("one"), { agent: "ann" });
    const from = await repository.gitIn(places["ann"] ?? "", "rev-parse", "HEAD");
    await bench.context.store.write((db) => db.updateTable("tasks").set({ work_from: from }).executeTakeFirst());
    change("ann", { "src/c.txt": "ann\n" });
    const look = await refreshRadar(crew, DEMO);
    expect(look.changed[0]?.paths).toEqual(["a.txt", "src/c.txt"]);
    expect(driftOf(look.changed, await workInProgress(bench.context.store.db, look.workstreamId))).toEqual([]);
  });

  it("passes over a task whose files are changed elsewhere, when another is as good", async () => {
    await spawn(bench.context, "bob");
    await add(bench.context, { name: "first", title: "First", touches: ["src/**"] });
    await add(bench.context, { name: "second", title: "Second", touches: ["b.txt"] });
    change("ann", { "src/c.txt": "ann\n" });
    await refreshRadar(crew, DEMO);
    const { task, passedOver } = await claimNext(bench.context, DEMO, { agent: "bob" });
    expect(task.name).toBe("second");
    expect(passedOver).toEqual([{ task: "first", agent: "ann", by: null, paths: ["src/c.txt"] }]);
    const event = await bench.context.store.db
      .selectFrom("events")
      .select("payload")
      .orderBy("id", "desc")
      .limit(1)
      .executeTakeFirstOrThrow();
    expect(JSON.parse(event.payload)).toEqual({ owner: "bob", passedOver });
    expect((await claimNext(bench.context, DEMO, { agent: "bob" })).task.name).toBe("first");
  });

  it("lets whoever is changing the files take the task", async () => {
    await spawn(bench.context, "ann");
    await add(bench.context, { name: "first", title: "First", touches: ["src/**"] });
    await add(bench.context, { name: "second", title: "Second" });
    change("ann", { "src/c.txt": "ann\n" });
    await refreshRadar(crew, DEMO);
    expect(await claimNext(bench.context, DEMO, { agent: "ann" })).toMatchObject({
      task: { name: "first" },
      passedOver: [],
    });
  });
});

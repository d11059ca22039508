import { expect, it } from "vitest";
import type { Context } from "../src/db/context.js";
import { write } from "../src/db/write.js";
import { readState, type State, type StateOptions } from "../src/state.js";
import { addTask } from "../src/tasks/add.js";
import { claimTask } from "../src/tasks/claim.js";
import { closeTask, deferTask } from "../src/tasks/lifecycle.js";
import { listReady } from "../src/tasks/ready.js";
import { listTasks } from "../src/tasks/task.js";
import { listTracks } from "../src/tracks.js";
import { initWorkstream, workstreamRow } from "../src/workstreams/workstream.js";
import { agentRow } from "./support/agent-row.js";
import { onEachDialect } from "./support/database.js";

const ann = { person: "ann" };
const ref = (name: string) => ({ workstream: "demo", name });

function stateOf({ store, clock }: Context, options: Partial<StateOptions> = {}): Promise<State> {
  return store.read((db) => readState(db, "demo", { now: clock.now().toISOString(), ...options }));
}

const countsOf = (some: Partial<State["counts"]>): State["counts"] => ({
  ...{ total: 0, ready: 0, inProgress: 0, blocked: 0, held: 0, notDue: 0, containers: 0 },
  ...{ closed: 0, rejected: 0, deferred: 0, ...some },
});

async function addAgent(context: Context, name: string): Promise<number> {
  const { id } = await write(context, { op: "agent.spawn", scope: "demo", subject: `demo/${name}` }, async (tx) => {
    const workstream = await workstreamRow(tx.db, "demo");
    return tx.insert("agents", agentRow({ workstream_id: workstream.id, name, command: "sh", spawned_at: tx.now }));
  });
  return id;
}

onEachDialect("the state of a workstream", (bench) => {
  it("of one that is empty says so", async () => {
    await initWorkstream(bench.context, "demo");
    const none = { items: [], total: 0 };
    expect(await stateOf(bench.context)).toEqual({
      ...{ workstream: "demo", under: null, counts: countsOf({ total: 0 }), missingRoles: [] },
      agents: [],
      orphans: [],
      tracks: { ...none, withReady: 0 },
      ready: none,
      inProgress: none,
      blocked: none,
      recentlyClosed: none,
      waitingToLand: [],
      workspaces: [],
      collisions: { ...none, seenAt: null },
      events: [
        expect.objectContaining({ n: 1, op: "workstream.init", actor: "tester", payload: {}, text: "created demo" }),
      ],
    });
  });

  it("shows every task where it belongs, and what the blocked ones wait for", async () => {
    const { context } = bench;
    await initWorkstream(context, "demo");
    for (const name of ["done", "given_up", "design"]) await addTask(context, "demo", { name, title: name });
    await addTask(context, "demo", { name: "build", title: "Build", blockedBy: ["given_up", "done", "design"] });
    await addTask(context, "demo", { name: "held", title: "Held", hold: "escalated" });
    await addTask(context, "demo", { name: "easy", title: "Easy" });
    await closeTask(context, ref("done"), ann);
    await deferTask(context, ref("given_up"), ann, { cascade: true });
    await claimTask(context, ref("design"), ann);
    const state = await stateOf(context);
    expect(state.ready).toMatchObject({ items: [{ name: "easy", unblocks: 0 }], total: 1 });
    expect(state.inProgress).toMatchObject({ items: [{ name: "design", owner: "ann" }], total: 1 });
    expect(state.recentlyClosed).toMatchObject({ items: [{ name: "done" }], total: 1 });
    expect(state.agents).toEqual([]);
    expect(state.tracks.withReady).toBe(1);
    const places = { ready: 1, inProgress: 1, blocked: 0, held: 1, closed: 1, deferred: 2 };
    expect(state.counts).toEqual(countsOf({ total: 6, ...places }));
  });

  it("shows the agents with the status they were last seen in, or none", async () => {
    const { context } = bench;
    await initWorkstream(context, "demo");
    await addAgent(context, "bob");
    const id = await addAgent(context, "cleo");
    const seen = { agent_id: id, status: "idle", reason: null, by: "screen", rule: null, spool_offset: "" };
    const at = context.clock.now().toISOString();
    await context.store.write((db) =>
      db
        .insertInto("agent_status")
        .values({ ...seen, at, seen_at: at })
        .execute(),
    );
    expect((await stateOf(context)).agents).toEqual([
      { name: "bob", cli: "shell", role: null, status: null, statusSince: null, tasks: [], idleAssigned: false },
      { name: "cleo", cli: "shell", role: null, status: "idle", statusSince: at, tasks: [], idleAssigned: false },
    ]);
  });

  it("names the unsatisfied blockers, deferred ones too", async () => {
    const { context } = bench;
    await initWorkstream(context, "demo");
    for (const name of ["done", "later", "design"]) await addTask(context, "demo", { name, title: name });
    await closeTask(context, ref("done"), ann);
    await deferTask(context, ref("later"), ann);
    await addTask(context, "demo", { name: "build", title: "Build", blockedBy: ["later", "done", "design"] });
    const { blocked, ready, tracks } = await stateOf(context);
    expect(blocked).toMatchObject({ items: [{ name: "build", blockedBy: ["design", "later"] }], total: 1 });
    expect(ready.items).toMatchObject([{ name: "design", unblocks: 1 }]);
    expect(tracks.items).toMatchObject([{ goals: ["build"], tasks: ["build", "design"], ready: ["design"] }]);
  });

  it("cuts its lists at the limit and still counts them", async () => {
    const { context } = bench;
    await initWorkstream(context, "demo");
    for (let n = 0; n < 5; n++) await addTask(context, "demo", { name: `t${n}`, title: `Task ${n}`, priority: 9 - n });
    const cut = await stateOf(context, { limit: 2, events: 3 });
    expect(cut.ready.items.map((task) => task.name)).toEqual(["t4", "t3"]);
    expect(cut.ready.total).toBe(5);
    expect(cut.tracks).toMatchObject({ total: 5, withReady: 5 });
    expect(cut.tracks.items).toHaveLength(2);
    expect(cut.events.map((event) => event.n)).toEqual([4, 5, 6]);
    expect((await stateOf(context, { limit: 0 })).ready.items).toHaveLength(5);
  });

  it("counts every task in one place, whatever else is true of it", async () => {
    const { context } = bench;
    await initWorkstream(context, "demo");
    const later = { notBefore: "2999-01-01T00:00:00.000Z" };
    await addTask(context, "demo", { name: "now", title: "Now" });
    await addTask(context, "demo", { name: "later", title: "Later", ...later });
    await addTask(context, "demo", { name: "held", title: "Held", hold: "mine", ...later });
    await addTask(context, "demo", { name: "epic", title: "Epic", kind: "container" });
    await addTask(context, "demo", { name: "after", title: "After", blockedBy: ["now"], hold: "mine", ...later });
    const { counts, ready, blocked } = await stateOf(context, { limit: 1 });
    const places = { ready: 1, notDue: 1, held: 1, containers: 1, blocked: 1 };
    expect(counts).toEqual(countsOf({ total: 5, ...places }));
    expect([ready.total, blocked.total]).toEqual([1, 1]);
  });

  it("says which roles of ready tasks nobody has, unless a dispatcher has them", async () => {
    const { context } = bench;
    await initWorkstream(context, "demo");
    for (const name of ["a", "b"]) await addTask(context, "demo", { name, title: name, role: "qa" });
    await addTask(context, "demo", { name: "c", title: "c", role: "code" });
    await addTask(context, "demo", { name: "d", title: "d", role: "docs", blockedBy: ["a"] });
    const id = await addAgent(context, "bob");
    await context.store.write((db) => db.updateTable("agents").set({ role: "code" }).where("id", "=", id).execute());
    expect((await stateOf(context)).missingRoles).toEqual([{ role: "qa", ready: 2 }]);
    const row = { process: "1 1 -@-/-@-", stop: null, created_at: context.clock.now().toISOString() };
    const { id: workstream_id } = await workstreamRow(context.store.db, "demo");
    await context.store.write((db) =>
      db
        .insertInto("dispatchers")
        .values({ workstream_id, ...row })
        .execute(),
    );
    expect((await stateOf(context)).missingRoles).toEqual([]);
  });

  it("is of one goal, and so are the lists: of what it waits for and of what belongs to it", async () => {
    const { context } = bench;
    const { db } = context.store;
    await initWorkstream(context, "demo");
    for (const name of ["design", "other", "gone"]) await addTask(context, "demo", { name, title: name });
    await addTask(context, "demo", { name: "build", title: "Build", blockedBy: ["design", "gone"] });
    await addTask(context, "demo", { name: "both", title: "Both", blockedBy: ["build", "other"] });
    await addTask(context, "demo", { name: "job", title: "Job", kind: "job", blockedBy: ["build"] });
    await addTask(context, "demo", { name: "step", title: "Step", root: "job" });
    await closeTask(context, ref("gone"), ann);
    const under = ref("job");
    const names = (items: readonly { name: string }[]) => items.map(({ name }) => name);
    const state = await stateOf(context, { under });
    expect(state).toMatchObject({
      under: "job",
      counts: countsOf({ total: 5, ready: 2, blocked: 1, containers: 1, closed: 1 }),
    });
    expect(names(state.ready.items)).toEqual(["design", "step"]);
    expect(names(state.blocked.items)).toEqual(["build"]);
    expect(state.tracks.items.map(({ goals, tasks }) => [goals, tasks])).toEqual([
      [["job"], ["build", "design", "job"]],
      [["step"], ["step"]],
    ]);
    expect(names(await listTasks(db, { under }))).toEqual(["build", "design", "gone", "job", "step"]);
    const now = context.clock.now().toISOString();
    expect(names(await listReady(db, "demo", { under, now, limit: 1 }))).toEqual(["design"]);
    expect(await listTracks(db, "demo", now, under)).toEqual(state.tracks.items);
    const unknown = { under: ref("nothing"), now };
    for (const list of [listTasks(db, unknown), listReady(db, "demo", unknown)].map((one) =>
      one.catch((error) => error),
    ))
      expect(await list).toMatchObject({ code: "task.not_found" });
  });

  it("of an unknown workstream is a fault", async () => {
    await expect(stateOf(bench.context)).rejects.toMatchObject({ code: "workstream.not_found" });
  });
});

import { expect, it } from "vitest";
import type { Context } from "../../src/db/context.js";
import { write } from "../../src/db/write.js";
import { claimNext, claimTask, type WorkBegun } from "../../src/tasks/claim.js";
import { closeTask, deferTask, releaseTask } from "../../src/tasks/lifecycle.js";
import { listNotes } from "../../src/tasks/notes.js";
import { listReady } from "../../src/tasks/ready.js";
import { getTask, listTasks, taskRow } from "../../src/tasks/task.js";
import { updateTask } from "../../src/tasks/update.js";
import { onEachDialect } from "../support/database.js";
import { add, at, closeAgent, later, ops, plan, spawn } from "../support/tasks.js";

const ann = { person: "ann" };
const bob = { person: "bob" };

/** What the claims say of themselves, in their order. */
async function payloads({ store }: Context): Promise<unknown[]> {
  const events = await store.db
    .selectFrom("events")
    .select("payload")
    .where("op", "=", "task.claim")
    .orderBy("id")
    .execute();
  return events.map((event) => JSON.parse(event.payload));
}

onEachDialect("claiming", (bench) => {
  it("takes an open task, and claiming it again changes nothing", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    const { task } = await claimTask(context, at("build"), ann);
    expect(task).toMatchObject({ status: "IN_PROGRESS", owner: "ann", claimGeneration: 1, leaseUntil: null });
    expect(await claimTask(context, at("build"), ann)).toMatchObject({ changed: false, previousOwner: "ann" });
    expect(await ops(context)).toEqual(["workstream.init", "task.add", "task.claim"]);
  });

  it("says why a task cannot be taken", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b", "a"], ["c", "b"], ["held"], ["later"], ["job"], ["taken"]);
    await updateTask(context, at("held"), { hold: "escalated", holdReason: "three crashes" });
    await updateTask(context, at("later"), { notBefore: "2999-01-01T00:00:00Z" });
    await updateTask(context, at("job"), { kind: "container" });
    await claimTask(context, at("taken"), bob);
    await deferTask(context, at("a"), ann, { cascade: true });
    const codeOf = (name: string) => claimTask(context, at(name), ann).then(String, (fault) => fault.code);
    expect(await codeOf("a")).toBe("task.not_open");
    expect(await codeOf("held")).toBe("task.held");
    expect(await codeOf("later")).toBe("task.not_before");
    expect(await codeOf("job")).toBe("task.container");
    expect(await codeOf("taken")).toBe("task.already_claimed");
    expect(await codeOf("nothing")).toBe("task.not_found");
  });

  it("says it in words, and what to do instead", async () => {
    const { context } = bench;
    await plan(context, ["held"], ["later"], ["taken"], ["leased"], ["a"], ["b", "a"]);
    await updateTask(context, at("held"), { hold: "escalated", holdReason: "three crashes" });
    await updateTask(context, at("later"), { notBefore: "2999-01-01T00:00:00Z" });
    await claimTask(context, at("taken"), bob);
    await claimTask(context, at("leased"), bob, { leaseSeconds: 60 });
    const refusal = (name: string, options = {}) =>
      claimTask(context, at(name), ann, options).then(String, (fault) => fault.toJSON());
    const another = { intent: "Claim another one", command: "mu task claim --next -w demo" };
    expect(await refusal("held")).toMatchObject({
      error: "conflict",
      message: expect.stringMatching(/^held is held \(escalated\): three crashes/),
      nextSteps: [{ command: expect.stringContaining("mu task show") }, another],
    });
    expect(await refusal("later")).toMatchObject({
      message: expect.stringMatching(/^later may not start before 2999-01-01/),
      notBefore: "2999-01-01T00:00:00.000Z",
    });
    expect(await refusal("b")).toMatchObject({ message: "b is blocked by a.", blockers: ["a"] });
    expect(await refusal("taken")).toMatchObject({
      error: "conflict",
      message: "taken is IN_PROGRESS by bob.",
      owner: "bob",
      nextSteps: [another, { command: expect.stringContaining("mu task show") }],
    });
    expect(await refusal("leased", { steal: "expired" })).toMatchObject({
      error: "conflict",
      message: expect.stringMatching(/^leased is leased by bob until .*\. Retry after that\.$/),
      owner: "bob",
      leaseUntil: expect.any(String),
      nextSteps: [another],
    });
  });

  it("says what stands in the way where there is no more to say", async () => {
    const { context } = bench;
    await plan(context, ["put-off"], ["held"], ["job"], ["nobodys"]);
    await deferTask(context, at("put-off"), ann);
    await updateTask(context, at("held"), { hold: "escalated" });
    await updateTask(context, at("job"), { kind: "container" });
    await claimTask(context, at("nobodys"), bob);
    const row = await taskRow(context.store.db, at("nobodys"));
    await write(context, { op: "sql.write", scope: "demo", subject: "" }, (tx) =>
      tx.patch("tasks", row.id, { owner_id: null }),
    );
    const refusal = (name: string) => claimTask(context, at(name), ann).then(String, (fault) => fault.toJSON());
    expect(await refusal("put-off")).toMatchObject({ message: "put-off is DEFERRED. Open it first." });
    expect(await refusal("held")).toMatchObject({
      message: "held is held (escalated).",
      nextSteps: [{ intent: "Look at it", command: "mu task show held -w demo" }, expect.anything()],
    });
    expect(await refusal("job")).toMatchObject({ message: "job is a container. Claim a task in it." });
    expect(await refusal("nobodys")).toMatchObject({ message: "nobodys is IN_PROGRESS by nobody." });
    expect((await claimTask(context, at("nobodys"), ann, { steal: "expired" })).task.owner).toBe("ann");
  });

  it("is possible from the moment on that the task may start at", async () => {
    const { context } = bench;
    await plan(context, ["now"], ["past"], ["soon"]);
    const moment = new Date("2030-01-31T09:00:00Z");
    const then = { ...context, clock: { ...context.clock, now: () => moment } };
    await updateTask(context, at("now"), { notBefore: "2030-01-31T09:00:00Z" });
    await updateTask(context, at("past"), { notBefore: "2030-01-31T08:59:59Z" });
    await updateTask(context, at("soon"), { notBefore: "2030-01-31T09:00:00.001Z" });
    expect((await claimTask(then, at("now"), ann)).changed).toBe(true);
    expect((await claimTask(then, at("past"), ann, { leaseSeconds: 60 })).changed).toBe(true);
    await expect(claimTask(then, at("soon"), ann)).rejects.toMatchObject({ code: "task.not_before" });
    const end = { ...then, clock: { ...then.clock, now: () => new Date("2030-01-31T09:01:00Z") } };
    expect((await claimTask(end, at("past"), bob, { steal: "expired" })).task.owner).toBe("bob");
  });

  it("is of open tasks, also by who had them before or may steal", async () => {
    const { context } = bench;
    await plan(context, ["done"], ["open"]);
    await claimTask(context, at("done"), ann);
    await closeTask(context, at("done"), ann);
    await expect(claimTask(context, at("done"), ann)).rejects.toMatchObject({ code: "task.not_open" });
    expect((await claimTask(context, at("open"), ann, { steal: "expired" })).task.status).toBe("IN_PROGRESS");
    expect(await payloads(context)).toEqual([{ owner: "ann" }, { owner: "ann" }]);
  });

  it("keeps evidence, also when it is repeated, and then its lease", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    await claimTask(context, at("build"), ann, { evidence: "the design is done", leaseSeconds: 60 });
    const { leaseUntil } = await getTask(context.store.db, at("build"));
    const again = await claimTask(later(context, 5_000), at("build"), ann, { evidence: "so is the review" });
    expect(again).toMatchObject({ changed: true, previousOwner: "ann", task: { leaseUntil, claimGeneration: 1 } });
    expect(again.task.updatedAt > again.task.createdAt).toBe(true);
    const renewed = await claimTask(later(context, 9_000), at("build"), ann, { leaseSeconds: 60 });
    expect(renewed.task.leaseUntil).toBe((await getTask(context.store.db, at("build"))).leaseUntil);
    expect(renewed.task.leaseUntil).not.toBe(leaseUntil);
    expect(await listNotes(context.store.db, at("build"))).toMatchObject([
      { author: "ann", kind: "evidence", text: "the design is done" },
      { author: "ann", kind: "evidence", text: "so is the review" },
    ]);
  });

  it("records where the work begins, and goes on from there as long as the workspace still has it", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    const begin = async (who: string, work?: WorkBegun) => {
      await claimTask(context, at("build"), { person: who }, { work });
      const { work_agent, work_root, work_from } = await taskRow(context.store.db, at("build"));
      await releaseTask(context, at("build"), { person: who });
      return [work_agent, work_root, work_from];
    };
    const place = (head: string | null, root = "/shop", continues: string[] = []): WorkBegun => ({
      agent: "ann",
      root,
      head,
      continues: new Set(continues),
    });
    expect(await begin("ann")).toEqual([null, null, null]);
    expect(await begin("ann", place("c1"))).toEqual(["ann", "/shop", "c1"]);
    expect(await begin("ann", place("c2", "/shop", ["c1"]))).toEqual(["ann", "/shop", "c1"]);
    expect(await begin("ann", place("c3", "/shop", ["c2"]))).toEqual(["ann", "/shop", "c3"]);
    expect(await begin("ann", place("c4", "/other", ["c3"]))).toEqual(["ann", "/other", "c4"]);
    expect(await begin("ann", place(null, "/other"))).toEqual(["ann", "/other", null]);
    expect(await begin("ann", place("c5", "/other", ["c4"]))).toEqual(["ann", "/other", "c5"]);
    expect(await begin("bob", { ...place("c6", "/other", ["c5"]), agent: "bob" })).toEqual(["bob", "/other", "c6"]);
    expect(await begin("bob", place("c7", "/other"))).toEqual([null, null, null]);
  });

  it("says in one sentence why nothing is ready", async () => {
    const { context } = bench;
    await plan(context, ["a"]);
    const sentence = () => claimNext(context, "demo", ann).then(String, (fault) => fault.message);
    await closeTask(context, at("a"), ann);
    expect(await sentence()).toBe("Nothing is ready in demo. All work is done.");
    await plan(context, ["b"], ["c", "b"], ["held"], ["later"]);
    await claimTask(context, at("b"), bob);
    await updateTask(context, at("held"), { hold: "escalated" });
    await updateTask(context, at("later"), { notBefore: "2999-01-01T00:00:00Z" });
    expect(await sentence()).toBe("Nothing is ready in demo. 1 blocked, 1 held, 1 not due yet, 1 in progress.");
    await deferTask(context, at("held"), ann);
    await deferTask(context, at("later"), ann);
    expect(await sentence()).toBe("Nothing is ready in demo. 1 blocked, 1 in progress.");
    await add(context, { name: "review", title: "review", role: "reviewer" });
    expect(await sentence()).toBe(
      "Nothing is ready in demo for agents without a role. 1 ready for other roles, 1 blocked, 1 in progress.",
    );
    await expect(claimNext(context, "demo", ann, { role: "coder" })).rejects.toMatchObject({
      message: "Nothing is ready in demo for the role coder. 1 ready for other roles, 1 blocked, 1 in progress.",
    });
    await expect(claimNext(context, "demo", ann)).rejects.toMatchObject({
      kind: "missing",
      nextSteps: [
        { intent: "See what there is", command: "mu state -w demo" },
        { intent: "Add a task", command: "mu task add 'What to do next' -w demo" },
      ],
    });
  });

  it("names the blockers, and only CLOSED ones stop blocking", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b"], ["c", "a", "b"]);
    await closeTask(context, at("b"), ann);
    await expect(claimTask(context, at("c"), ann)).rejects.toMatchObject({
      code: "task.blocked",
      details: { blockers: ["a"] },
    });
    await closeTask(context, at("a"), ann);
    expect((await claimTask(context, at("c"), ann)).task.status).toBe("IN_PROGRESS");
  });

  it("keeps a lease, renews it, and lets others steal it once it has expired", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    await claimTask(context, at("build"), ann, { leaseSeconds: 60 });
    const steal = (ms: number) => claimTask(later(context, ms), at("build"), bob, { steal: "expired" });
    await expect(steal(0)).rejects.toMatchObject({ code: "task.lease_active" });
    await claimTask(later(context, 30_000), at("build"), ann, { leaseSeconds: 60 });
    await expect(steal(70_000)).rejects.toMatchObject({ code: "task.lease_active" });
    expect(await steal(100_000)).toMatchObject({
      previousOwner: "ann",
      previousStatus: "IN_PROGRESS",
      task: { owner: "bob", claimGeneration: 2, leaseUntil: null },
    });
    expect((await payloads(context)).at(-1)).toEqual({ owner: "bob", stolenFrom: "ann" });
    await expect(steal(0).then(() => claimTask(context, at("build"), ann, { steal: "expired" }))).rejects.toMatchObject(
      {
        code: "task.already_claimed",
      },
    );
    await expect(claimTask(context, at("build"), bob, { leaseSeconds: 0 })).rejects.toMatchObject({
      code: "task.invalid_lease",
    });
  });

  it("lets others steal the task of a closed agent, and refuses a replaced incarnation", async () => {
    const { context } = bench;
    await plan(context, ["build"], ["test"]);
    const first = await spawn(context, "worker-1");
    await claimTask(context, at("build"), { agent: "worker-1", incarnation: first });
    await closeAgent(context, first);
    const second = await spawn(context, "worker-1");
    await expect(claimTask(context, at("test"), { agent: "worker-1", incarnation: first })).rejects.toMatchObject({
      code: "agent.replaced",
    });
    const mine = { agent: "worker-1", incarnation: second };
    await expect(claimTask(context, at("build"), mine)).rejects.toMatchObject({ code: "task.already_claimed" });
    expect((await claimTask(context, at("build"), mine, { steal: "expired" })).changed).toBe(true);
    await expect(claimTask(context, at("test"), { agent: "nobody" })).rejects.toMatchObject({
      code: "agent.not_found",
    });
  });

  it("has one winner among many", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    const claims = Array.from({ length: 12 }, (_, n) => claimTask(context, at("build"), { person: `p${n}` }));
    const results = await Promise.allSettled(claims);
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
    const codes = results.flatMap((result) => (result.status === "rejected" ? [result.reason.code] : []));
    expect(new Set(codes)).toEqual(new Set(["task.already_claimed"]));
  });
});

onEachDialect("the next task", (bench) => {
  it("is the best ready one: priority, return, what it unblocks, age, name", async () => {
    const { context } = bench;
    await plan(context, ["zed"], ["plain"], ["unblocker"], ["x", "unblocker"], ["y", "x", "unblocker"]);
    await add(context, { name: "rich", title: "rich", impact: 90 });
    await add(context, { name: "urgent", title: "urgent", priority: 1, impact: 1 });
    const order = (await listReady(context.store.db, "demo", { now: context.clock.now().toISOString() })).map(
      (task) => [task.name, task.unblocks],
    );
    expect(order.slice(0, 3)).toEqual([
      ["urgent", 0],
      ["rich", 0],
      ["unblocker", 2],
    ]);
    expect((await listTasks(context.store.db, { sort: "ready" })).map((task) => task.name).slice(0, 3)).toEqual([
      "urgent",
      "rich",
      "unblocker",
    ]);
    const taken = [];
    for (let n = 0; n < 5; n++) taken.push((await claimNext(context, "demo", ann)).task.name);
    expect(taken).toEqual(order.map(([name]) => name));
    await expect(claimNext(context, "demo", ann)).rejects.toMatchObject({
      kind: "missing",
      code: "task.none_ready",
      details: { ready: 0, blocked: 2, held: 0, waiting: 0, inProgress: 5, open: 2 },
    });
  });

  it("fits the claimant's role, or the given one", async () => {
    const { context } = bench;
    await plan(context);
    await add(context, { name: "review", title: "review", role: "reviewer", priority: 1 });
    await add(context, { name: "code", title: "code", role: "coder" });
    await add(context, { name: "any", title: "any", priority: 9 });
    await spawn(context, "coder-1", "coder");
    const me = { agent: "coder-1" };
    expect((await claimNext(context, "demo", me)).task.name).toBe("code");
    expect((await claimNext(context, "demo", me)).task.name).toBe("any");
    await expect(claimNext(context, "demo", me)).rejects.toMatchObject({ details: { ready: 1 } });
    expect((await claimNext(context, "demo", me, { role: "reviewer", leaseSeconds: 60 })).task).toMatchObject({
      name: "review",
      owner: "coder-1",
    });
  });

  it("is one that nobody is in the way of, and says which were passed over", async () => {
    const { context } = bench;
    await plan(context);
    await add(context, { name: "a", title: "a", touches: ["src/cart/**"] });
    await add(context, { name: "b", title: "b", touches: ["src/cart/total.ts"] });
    await add(context, { name: "c", title: "c", touches: ["docs/**"] });
    expect(await claimNext(context, "demo", bob)).toMatchObject({ task: { name: "a" }, passedOver: [] });
    const passedOver = [{ task: "b", agent: "bob", by: "a", paths: ["src/cart/**"] }];
    expect(await claimNext(context, "demo", ann)).toMatchObject({ task: { name: "c" }, passedOver });
    expect(await payloads(context)).toEqual([{ owner: "bob" }, { owner: "ann", passedOver }]);
    expect(await claimNext(context, "demo", ann)).toMatchObject({ task: { name: "b" }, passedOver: [] });
  });

  it("is never given to two claimants", async () => {
    const { context } = bench;
    await plan(context, ...Array.from({ length: 10 }, (_, n) => [`t${n}`]));
    const claims = await Promise.all(
      Array.from({ length: 10 }, (_, n) => claimNext(context, "demo", { person: `p${n}` })),
    );
    expect(new Set(claims.map((claim) => claim.task.name)).size).toBe(10);
    const subjects = await context.store.db
      .selectFrom("events")
      .select("subject")
      .where("op", "=", "task.claim")
      .execute();
    expect(new Set(subjects.map((event) => event.subject)).size).toBe(10);
  });

  it("needs a known workstream", async () => {
    const { context } = bench;
    const now = context.clock.now().toISOString();
    await expect(listReady(context.store.db, "nope", { now })).rejects.toMatchObject({ code: "workstream.not_found" });
    expect(await listReady(context.store.db, undefined, { now })).toEqual([]);
    await expect(claimNext(context, "nope", ann)).rejects.toMatchObject({ code: "workstream.not_found" });
  });
});

import { expect, it } from "vitest";
import { claimNext, claimTask } from "../../src/tasks/claim.js";
import { closeTask, deferTask } from "../../src/tasks/lifecycle.js";
import { listReady } from "../../src/tasks/ready.js";
import { listTasks } from "../../src/tasks/task.js";
import { updateTask } from "../../src/tasks/update.js";
import { onEachDialect } from "../support/database.js";
import { add, at, closeAgent, later, ops, plan, spawn } from "../support/tasks.js";

const ann = { person: "ann" };
const bob = { person: "bob" };

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

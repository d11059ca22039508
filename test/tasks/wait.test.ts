import { expect, it } from "vitest";
import type { Context } from "../../src/db/context.js";
import { write } from "../../src/db/write.js";
import { claimTask } from "../../src/tasks/claim.js";
import { deleteTask } from "../../src/tasks/delete.js";
import { closeTask, deferTask, rejectTask, releaseTask } from "../../src/tasks/lifecycle.js";
import { taskRow } from "../../src/tasks/task.js";
import { type WaitOptions, waitForTasks } from "../../src/tasks/wait.js";
import { onEachDialect } from "../support/database.js";
import { at, closeAgent, DEMO, plan, spawn } from "../support/tasks.js";

const ann = { person: "ann" };

/** A context in which every sleep does the next thing and takes as long as it was to. */
function scripted(context: Context, ...script: ((context: Context) => Promise<unknown>)[]): Context {
  let now = context.clock.now().getTime();
  const clock = {
    now: () => new Date(now),
    sleep: async (ms: number) => {
      now += ms;
      await script.shift()?.(playing);
    },
  };
  const playing: Context = { ...context, clock };
  return playing;
}

/** Gives a task back as a reaper does. */
const reap = (name: string) => (context: Context) =>
  write(context, { op: "reconcile", scope: DEMO, subject: DEMO }, async (tx) => {
    const row = await taskRow(tx.db, at(name));
    await tx.patch("tasks", row.id, { status: "OPEN", owner_id: null, updated_at: tx.now });
  });

const close = (name: string) => (context: Context) => closeTask(context, at(name), ann);

/** Sets what an agent was last seen doing. */
const see = ({ clock, store }: Context, agent: number, status: string) =>
  store.write(async (db) => {
    const at = clock.now().toISOString();
    await db.deleteFrom("agent_status").where("agent_id", "=", agent).execute();
    const seen = { agent_id: agent, status, by: "hook", at, seen_at: at, spool_offset: "" };
    await db.insertInto("agent_status").values(seen).execute();
  });

const nothing = async () => {};

onEachDialect("a wait", (bench) => {
  it("ends when all tasks, or one of them, reach the goal", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b"], ["c"]);
    const all = await waitForTasks(scripted(context, close("b"), nothing, close("a")), [at("a"), at("b")]);
    expect(all).toMatchObject({ outcome: "reached", firing: null, timedOut: [] });
    expect(all.all.map((task) => [task.qualifiedName, task.reached])).toEqual([
      ["demo/a", true],
      ["demo/b", true],
    ]);
    const first = await waitForTasks(scripted(context), [at("c"), at("a"), at("b")], { mode: "first" });
    expect(first).toMatchObject({ outcome: "reached", firing: { name: "b" }, elapsedMs: 0 });
    const parked = scripted(context, (playing) => deferTask(playing, at("c"), ann));
    expect(await waitForTasks(parked, [at("c")], { status: "DEFERRED" })).toMatchObject({ outcome: "reached" });
  });

  it("ends on timeout or signal, and lists the tasks that are missing", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b"]);
    const late = await waitForTasks(scripted(context, close("a")), [at("a"), at("b")], { timeoutMs: 3_500 });
    expect(late).toMatchObject({ outcome: "timeout", firing: null, elapsedMs: 3_500 });
    expect(late.timedOut.map((task) => task.name)).toEqual(["b"]);
    const ended = await waitForTasks(scripted(context), [at("b")], { signal: AbortSignal.abort() });
    expect(ended).toMatchObject({ outcome: "interrupted", timedOut: [{ name: "b" }] });
  });

  it("ends when a watched task's owner died, not when it was released", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b"]);
    await claimTask(context, at("a"), ann);
    await claimTask(context, at("b"), ann);
    const script = [(playing: Context) => releaseTask(playing, at("a"), ann), reap("b")];
    expect(await waitForTasks(scripted(context, ...script), [at("a"), at("b")])).toMatchObject({
      outcome: "reaped",
      firing: { name: "b", status: "OPEN", owner: null },
    });
    expect(await waitForTasks(scripted(context), [at("b")], { status: "OPEN" })).toMatchObject({ outcome: "reached" });
    await claimTask(context, at("b"), ann);
    const other = scripted(context, reap("b"), close("a"));
    expect(await waitForTasks(other, [at("a")])).toMatchObject({ outcome: "reached" });
  });

  it("warns once of a stuck task, or ends", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b"]);
    await claimTask(context, at("a"), ann);
    const stuck: string[] = [];
    const options = { stuckAfterMs: 2_500, onStuck: (task: { name: string }) => stuck.push(task.name) };
    const quiet = [nothing, nothing, nothing, nothing, close("b"), close("a")];
    const warned = await waitForTasks(scripted(context, ...quiet), [at("a"), at("b")], options);
    expect(warned.outcome).toBe("reached");
    expect(stuck).toEqual(["a"]);
    await plan(context, ["c"]);
    await claimTask(context, at("c"), ann);
    expect(await waitForTasks(scripted(context), [at("c")], { stuckAfterMs: 2_500, onStall: "exit" })).toMatchObject({
      outcome: "stalled",
      firing: { name: "c", stuck: true },
    });
  });

  it("counts a task as stuck only while its owner is idle, waits for input or is gone", async () => {
    const { context } = bench;
    await plan(context, ["a"]);
    const incarnation = await spawn(context, "w1");
    await claimTask(context, at("a"), { agent: "w1", incarnation });
    const seen = (status: string) => (playing: Context) => see(playing, incarnation, status);
    const wait = (...script: ((playing: Context) => Promise<unknown>)[]) =>
      waitForTasks(scripted(context, ...script), [at("a")], { stuckAfterMs: 2_000, onStall: "exit", timeoutMs: 9_000 });
    expect(await wait(seen("busy"))).toMatchObject({
      outcome: "timeout",
      all: [{ ownerStatus: "busy", stuck: false }],
    });
    for (const status of ["idle", "free", "needs_input", "needs_permission", "unreachable", "terminated"]) {
      expect(await wait(seen(status))).toMatchObject({ outcome: "stalled", firing: { ownerStatus: status } });
      await seen("busy")(context);
    }
    await closeAgent(context, incarnation);
    expect(await wait()).toMatchObject({ outcome: "stalled", firing: { ownerStatus: "terminated" } });
  });

  it("ends when a task is rejected, deferred or deleted, unless that is the goal or another can still be reached", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b"], ["c"], ["d"]);
    const reject = (name: string) => (playing: Context) => rejectTask(playing, at(name), ann);
    const remove = (name: string) => (playing: Context) => deleteTask(playing, at(name), ann);
    const wait = (names: string[], options: WaitOptions, ...script: ((playing: Context) => Promise<unknown>)[]) =>
      waitForTasks(scripted(context, ...script), names.map(at), { timeoutMs: 9_000, ...options });
    expect(await wait(["a", "b"], {}, reject("a"))).toMatchObject({ outcome: "rejected", firing: { name: "a" } });
    expect(await wait(["a"], {})).toMatchObject({ outcome: "rejected", elapsedMs: 0 });
    expect(await wait(["a"], { status: "REJECTED" })).toMatchObject({ outcome: "reached" });
    expect(await wait(["a"], { status: "OPEN" })).toMatchObject({ outcome: "timeout" });
    expect(await wait(["a", "b"], { mode: "any" }, close("b"))).toMatchObject({ outcome: "reached" });
    const parked = (playing: Context) => deferTask(playing, at("c"), ann);
    expect(await wait(["a", "c"], { mode: "any" }, parked)).toMatchObject({ outcome: "rejected" });
    expect(await wait(["c"], {})).toMatchObject({ outcome: "deferred", firing: { name: "c" } });
    expect(await wait(["d"], {}, remove("d"))).toMatchObject({ outcome: "deleted", firing: { name: "d" } });
    expect(await wait(["a"], { status: "OPEN" }, remove("a"))).toMatchObject({ outcome: "deleted" });
    expect(await wait(["b", "c"], { mode: "any" }, remove("b"))).toMatchObject({ outcome: "reached" });
  });

  it("faults for an unknown task", async () => {
    const { context } = bench;
    await plan(context, ["a"]);
    await expect(waitForTasks(scripted(context), [at("zz")])).rejects.toMatchObject({ code: "task.not_found" });
  });

  it("runs beforeLook before every look", async () => {
    const { context } = bench;
    await plan(context, ["a"]);
    let looks = 0;
    const beforeLook = async () => {
      looks += 1;
      if (looks === 3) await close("a")(context);
    };
    expect(await waitForTasks(scripted(context), [at("a")], { beforeLook })).toMatchObject({ outcome: "reached" });
    expect(looks).toBe(3);
  });
});

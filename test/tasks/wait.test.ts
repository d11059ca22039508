import { expect, it } from "vitest";
import type { Context } from "../../src/db/context.js";
import { write } from "../../src/db/write.js";
import { claimTask } from "../../src/tasks/claim.js";
import { deleteTask } from "../../src/tasks/delete.js";
import { closeTask, deferTask, releaseTask } from "../../src/tasks/lifecycle.js";
import { taskRow } from "../../src/tasks/task.js";
import { waitForTasks } from "../../src/tasks/wait.js";
import { onEachDialect } from "../support/database.js";
import { at, DEMO, plan } from "../support/tasks.js";

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

  it("faults for an unknown or deleted task", async () => {
    const { context } = bench;
    await plan(context, ["a"]);
    const missing = { code: "task.not_found" };
    await expect(waitForTasks(scripted(context), [at("zz")])).rejects.toMatchObject(missing);
    const gone = scripted(context, (playing) => deleteTask(playing, at("a"), ann));
    await expect(waitForTasks(gone, [at("a")])).rejects.toMatchObject(missing);
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

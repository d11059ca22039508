import { expect, it } from "vitest";
import { claimant, identify, requireActiveRun } from "../../src/agents/identity.js";
import type { Clock } from "../../src/clock.js";
import { systemClock } from "../../src/clock.js";
import type { Reader } from "../../src/db/schema.js";
import { beat, type DispatchWorld, explain } from "../../src/dispatch/dispatch.js";
import type { Scene } from "../../src/dispatch/facts.js";
import { Fault } from "../../src/errors.js";
import { execProgram } from "../../src/exec.js";
import { DEFAULT_ROLE, DEFAULT_SETTINGS } from "../../src/project/settings.js";
import { NO_BILL } from "../../src/runs/bill.js";
import { cancelRun } from "../../src/runs/cancel.js";
import { takeOver } from "../../src/runs/perform.js";
import { activeRuns, listRuns, type RunRow } from "../../src/runs/run.js";
import { settleRun } from "../../src/runs/settle.js";
import { addTask } from "../../src/tasks/add.js";
import { addNote, listNotes } from "../../src/tasks/notes.js";
import { getTask } from "../../src/tasks/task.js";
import { initWorkstream, workstreamRow } from "../../src/workstreams/workstream.js";
import { type Bench, onEachDialect, temporaryFolder } from "../support/database.js";

const REF = { workstream: "demo", name: "build" };

/** A dispatcher of one task, whose runs are started by `launch`. */
async function worldOf(bench: Bench, launch: DispatchWorld["launch"]): Promise<DispatchWorld & { end(): void }> {
  const { path: stateDir, remove: end } = temporaryFolder();
  await initWorkstream(bench.context, "demo");
  await addTask(bench.context, "demo", { name: "build", title: "Build it", role: "qa" });
  const { id, name, root } = await workstreamRow(bench.context.store.db, "demo");
  const role = { ...DEFAULT_ROLE, name: "qa", cli: "command" as const, access: "read-only" as const };
  const scene: Scene = {
    ...{ workstream: { id, name, root }, stateDir, max: 9 },
    settings: { ...DEFAULT_SETTINGS, roles: { qa: role } },
  };
  const host = { context: bench.context, exec: execProgram, env: { MU_RETRY_BACKOFF: "0" }, stateDir, databaseEnv: {} };
  return { ...host, tmux: undefined as never, transport: "child", scene: async () => scene, launch, end };
}

onEachDialect("a beat", (bench) => {
  const runs = () => listRuns(bench.context.store.db, "demo");

  it("that cannot start a run counts it as an attempt that failed, and goes on", async () => {
    const world = await worldOf(bench, () => Promise.reject(new Fault("unavailable", "tmux.failed", "no pane")));
    for (let n = 0; n < 5; n++) await beat(world);
    expect((await runs()).map(({ state, reason }) => [state, reason])).toEqual(Array(4).fill(["failed", "no pane"]));
    expect(await getTask(bench.context.store.db, REF)).toMatchObject({
      status: "OPEN",
      hold: "escalated",
      attempts: 4,
    });
    world.end();
  });

  it("gives a task back whose run no runner has taken over after a minute, though its starter lives", async () => {
    const world = await worldOf(bench, async () => {});
    await beat(world);
    await beat(world);
    expect((await runs()).map(({ state }) => state)).toEqual(["reserved"]);
    const later: Clock = { ...systemClock, now: () => new Date(Date.now() + 61_000) };
    await beat({ ...world, context: { ...world.context, clock: later } });
    expect((await runs()).map(({ state, attempt }) => [state, attempt])).toEqual([
      ["reserved", 1],
      ["cancelled", 1],
    ]);
    expect(await getTask(bench.context.store.db, REF)).toMatchObject({ status: "IN_PROGRESS", attempts: 0 });
    world.end();
  });

  it("ends the word of a run's agent: also of one that mu knew before, and of one without a run", async () => {
    const world = await worldOf(bench, async () => {});
    const { db } = bench.context.store;
    await beat(world);
    const [run] = await activeRuns(db, 1);
    const slot = run && (await db.selectFrom("agents").selectAll().where("id", "=", run.agent_id).executeTakeFirst());
    if (run === undefined || slot === undefined) throw new Error("no run");
    const env = { MU_AGENT_ID: String(slot.id), MU_AGENT_SINCE: slot.spawned_at, MU_RUN_ID: String(run.id) };
    const caller = await identify(db, env);
    expect(caller).toMatchObject({ name: "qa-1", run: run.id, refusal: null });
    expect((await identify(db, { ...env, MU_RUN_ID: undefined })).refusal?.code).toBe("run.over");
    expect((await identify(db, { ...env, MU_RUN_ID: "9e99" })).refusal?.code).toBe("run.over");
    const acting = { id: run.id, requireActive: (reader: Reader) => requireActiveRun(reader, caller) };
    const context = { ...bench.context, actor: "qa-1", incarnation: slot.id, run: acting };
    await addNote(context, REF, claimant(caller), { text: "under way" });
    await cancelRun(world, run);
    await expect(addNote(context, REF, claimant(caller), { text: "too late" })).rejects.toMatchObject({
      code: "run.over",
    });
    expect((await listNotes(db, REF)).map(({ text }) => text)).toEqual(["under way"]);
    expect((await identify(db, env)).refusal?.code).toBe("run.over");
    world.end();
  });

  it("keeps a writer from files that another one changes, and says once that a cap is met", async () => {
    const world = await worldOf(bench, async () => {});
    const scene = await world.scene();
    const code = { ...DEFAULT_ROLE, name: "code", cli: "command" as const, concurrency: 9 };
    const roles = { code, qa: { ...code, name: "qa", dailyCapUsd: 0.06, access: "read-only" as const } };
    const changed = { ...world, scene: async () => ({ ...scene, settings: { ...scene.settings, roles } }) };
    const add = (name: string, role: string, touches: string[]) =>
      addTask(bench.context, "demo", { name, title: name, role, touches, budgetUsd: 0.05 });
    await add("api", "code", ["src/api"]);
    await add("ui", "code", ["src/ui"]);
    await add("all", "code", ["src"]);
    await add("check", "qa", ["src"]);
    const first = await beat(changed);
    expect(first.started.map(({ task }) => task)).toEqual(["build", "api", "ui"]);
    const waiting = [
      { task: "all", role: "code", code: "contested", why: "api may change the same files: src/api" },
      { task: "check", role: "qa", code: "role_cap", why: "qa has $0.01 left of $0.06 today" },
    ];
    expect(first.wait).toEqual(waiting);
    expect(first.notices).toEqual(["check did not start: qa has $0.01 left of $0.06 today"]);
    const [second, third] = await Promise.all([beat(changed), beat(changed)]);
    expect([second.wait, third.wait]).toEqual([waiting, waiting]);
    expect([...second.notices, ...third.notices]).toEqual(["qa has used $0.05 of $0.06 today"]);
    expect((await explain(changed)).start).toEqual([]);
    world.end();
  });

  it("leaves a run alone whose runner has taken it over meanwhile, and then counts its cost", async () => {
    let own: RunRow | undefined;
    const world = await worldOf(bench, async (run) => {
      own = await takeOver(world, run);
      throw new Fault("unavailable", "tmux.failed", "the pane cannot be seen");
    });
    await beat(world);
    expect((await runs()).map(({ state }) => state)).toEqual(["running"]);
    const outcome = { state: "done", failure: null, reason: null, retryAt: null, verdict: null } as const;
    const bill = { ...NO_BILL, cost_micros: 120_000 };
    await settleRun(world.context, own as RunRow, {
      ...{ outcome, bill, exitCode: 0, sessionRef: null, answer: null },
    });
    expect((await runs()).map(({ state, costUsd }) => [state, costUsd])).toEqual([["done", 0.12]]);
    world.end();
  });
});

import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Crew, processCrew } from "../../src/agents/crew.js";
import { putBrakeOn, takeBrakeOff } from "../../src/dispatch/brake.js";
import { readBudget } from "../../src/dispatch/budget.js";
import { brakeFile, type Scene } from "../../src/dispatch/facts.js";
import { beginRun, endRun, type RunEnd } from "../../src/dispatch/once.js";
import { readScene } from "../../src/dispatch/scene.js";
import { dispatchOnce } from "../../src/jobs/once.js";
import { verifyChains } from "../../src/journal/audit.js";
import { DEFAULT_ROLE, DEFAULT_SETTINGS, type Role } from "../../src/project/settings.js";
import { addTask } from "../../src/tasks/add.js";
import { getTask } from "../../src/tasks/task.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";
import { onEachDialect, temporaryFolder } from "../support/database.js";

onEachDialect("work of a program", (bench) => {
  let crew: Crew;
  let folder: ReturnType<typeof temporaryFolder>;

  beforeEach(async () => {
    folder = temporaryFolder();
    const env = { PATH: process.env["PATH"], HOME: folder.path, MU_STATE_DIR: folder.path, MU_RETRY_BACKOFF: "0" };
    crew = processCrew(bench.context, env);
    await initWorkstream(bench.context, "shop");
  });
  afterEach(() => folder.remove());

  /** The workstream with a role `qa`. */
  async function sceneWith(role: Partial<Role>): Promise<Scene> {
    const qa = { ...DEFAULT_ROLE, name: "qa", cli: "command" as const, access: "read-only" as const, workspace: false };
    const settings = { ...DEFAULT_SETTINGS, roles: { qa: { ...qa, ...role } } };
    return { ...(await readScene(crew, "shop")), settings };
  }
  const add = (name: string, more = {}) => addTask(bench.context, "shop", { name, title: name, role: "qa", ...more });
  const task = (name: string) => getTask(bench.context.store.db, { workstream: "shop", name });

  it("is a run that its own process answers for: claimed once, paid once, and ended once", async () => {
    const scene = await sceneWith({ concurrency: 2, reservationUsd: 0.25, dailyCapUsd: 0.6 });
    for (const name of ["build", "docs", "site"]) await add(name);
    const both = await Promise.allSettled([beginRun(crew, scene, "build"), beginRun(crew, scene, "build")]);
    const refused = both.find(({ status }) => status === "rejected") as PromiseRejectedResult;
    expect(["run.taken", "run.not_now"]).toContain(refused.reason.code);
    const begun = both.find(({ status }) => status === "fulfilled");
    const run = (begun as PromiseFulfilledResult<Awaited<ReturnType<typeof beginRun>>>).value;
    expect(run).toMatchObject({ state: "running", agent: "qa-1", reservedUsd: 0.25 });
    expect((await readBudget(bench.context, scene)).project).toMatchObject({ settledUsd: 0, reservedUsd: 0.25 });

    const ended = await endRun(crew, run.id, { state: "done", costUsd: 0.5, answer: "built" });
    expect(ended).toMatchObject({ run: { costUsd: 0.5, answer: "built" }, step: { do: "close" } });
    expect(await task("build")).toMatchObject({ status: "CLOSED", owner: "qa-1" });
    await expect(endRun(crew, run.id, { state: "done", costUsd: 0 })).rejects.toMatchObject({ code: "run.ended" });
    await expect(beginRun(crew, scene, "docs")).rejects.toMatchObject({
      code: "budget.exceeded",
      details: { task: "docs", role: "qa", code: "role_cap" },
    });
    expect(await verifyChains(bench.context.store.db)).toMatchObject([{ ok: true }]);
  });

  it("has each brake in the log once, also one whose writer died before its event, or that a person made", async () => {
    const scene = await sceneWith({});
    const logged = async () => {
      const events = bench.context.store.db.selectFrom("events").select(["op", "payload"]).orderBy("id");
      const brakes = await events.where("op", "in", ["dispatch.kill", "dispatch.resume"]).execute();
      return brakes.map(({ op, payload }) =>
        [op, JSON.parse(payload).reach, JSON.parse(payload).reason].join(" ").trim(),
      );
    };
    const file = join(folder.path, "kill_switch");
    writeFileSync(file, "deploy\n");
    await Promise.all([1, 2].map(() => putBrakeOn(crew, scene, "another reason", "machine")));
    expect(await logged()).toEqual(["dispatch.kill machine deploy"]);
    rmSync(file);
    await Promise.all([1, 2].map(() => takeBrakeOff(crew, scene, "machine")));
    expect((await logged()).slice(1)).toEqual(["dispatch.resume machine"]);
    await putBrakeOn(crew, scene, "again", "machine");
    expect((await logged()).slice(2)).toEqual(["dispatch.kill machine again"]);
  });

  it("says what keeps a task from starting, and does not end in a way that its kind does not know", async () => {
    await expect(dispatchOnce(crew, await readScene(crew, "shop"))).rejects.toMatchObject({
      code: "dispatch.no_roles",
    });
    const scene = await sceneWith({});
    await add("look", { kind: "review" });
    await expect(beginRun(crew, scene, "nothing")).rejects.toMatchObject({ code: "run.not_now" });
    await putBrakeOn(crew, scene, "deploy", "machine");
    await expect(beginRun(crew, scene, "look")).rejects.toMatchObject({ details: { code: "killed" } });
    await takeBrakeOff(crew, scene, "machine");
    expect(existsSync(brakeFile(scene) ?? "")).toBe(false);
    const { id } = await beginRun(crew, scene, "look");
    const invalid = { code: "run.invalid_end" };
    await expect(endRun(crew, id, { state: "done", costUsd: 0 })).rejects.toMatchObject(invalid);
    await expect(endRun(crew, id, { state: "done", costUsd: 0, verdict: "done" })).rejects.toMatchObject(invalid);
    await expect(endRun(crew, id, { state: "failed", costUsd: -1 })).rejects.toMatchObject(invalid);
    await expect(
      endRun(crew, id, { state: "done", costUsd: 0, verdict: "pass", failure: "crash" }),
    ).rejects.toMatchObject(invalid);
    await expect(endRun(crew, id, { state: "failed", costUsd: 0, failure: "bad luck" as never })).rejects.toMatchObject(
      {
        ...invalid,
        message: expect.stringContaining("rate_limit"),
      },
    );
    const { step, run } = await endRun(crew, id, { state: "failed", costUsd: null, reason: "no network" });
    expect([step?.do, run.failure]).toEqual(["retry", "crash"]);
    expect(await task("look")).toMatchObject({ status: "OPEN", attempts: 1 });
    expect((await readBudget(bench.context, scene)).roles).toMatchObject([{ role: "qa", settledUsd: 0.05, runs: 1 }]);
  });

  it("ends as what it failed of: a sign-in holds its task, and a limit keeps the provider from others", async () => {
    const scene = await sceneWith({ reservationUsd: 0 });
    const failed = async (name: string, failure: RunEnd["failure"], by = crew) => {
      await add(name);
      const { id } = await beginRun(crew, scene, name);
      return endRun(by, id, { state: "failed", costUsd: 0, failure, reason: `it was ${failure}` });
    };
    expect(await failed("locked", "auth")).toMatchObject({
      run: { failure: "auth" },
      step: { do: "hold", word: "failed", reason: "auth: it was auth" },
    });
    expect((await failed("red", "check_failed")).step?.do).toBe("retry");
    const patient = { ...crew, env: { ...crew.env, MU_RETRY_BACKOFF: "1" } };
    expect(await failed("busy", "rate_limit", patient)).toMatchObject({
      run: { failure: "rate_limit" },
      step: { do: "retry" },
    });
    await add("next");
    await expect(beginRun(crew, scene, "next")).rejects.toMatchObject({ details: { code: "provider_limit" } });
  });
});

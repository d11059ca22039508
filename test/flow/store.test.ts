import { expect, it } from "vitest";
import { type Crew, processCrew } from "../../src/agents/crew.js";
import { newGroup } from "../../src/db/context.js";
import { write } from "../../src/db/write.js";
import { explain } from "../../src/dispatch/dispatch.js";
import { requeueTask } from "../../src/dispatch/escalation.js";
import type { Scene } from "../../src/dispatch/facts.js";
import { beginRun, endRun, type RunEnd } from "../../src/dispatch/once.js";
import { stepPlanOf } from "../../src/flow/payload.js";
import { type Limits, STEP_NAMES, STEPS } from "../../src/flow/steps.js";
import { verifyChains } from "../../src/journal/audit.js";
import { compareTables } from "../../src/journal/replay.js";
import { undoGroup } from "../../src/journal/undo/undo.js";
import { DEFAULT_ROLE, DEFAULT_SETTINGS } from "../../src/project/settings.js";
import { addTaskIn } from "../../src/tasks/add.js";
import { claimNext, claimTask } from "../../src/tasks/claim.js";
import { addStepIn } from "../../src/tasks/flow/steps.js";
import { closeTask } from "../../src/tasks/lifecycle.js";
import { listReady } from "../../src/tasks/ready.js";
import { CONTAINER_KINDS, getTask, taskRow } from "../../src/tasks/task.js";
import { initWorkstream, workstreamRow } from "../../src/workstreams/workstream.js";
import { chanceOf } from "../simulator/chance.js";
import { type Bench, dialect, onEachDialect, temporaryFolder } from "../support/database.js";
import { mostNodes } from "../support/jobs.js";
import { fewOf, seed } from "../support/sample.js";

const SHOP = "shop";
const at = (name: string) => ({ workstream: SHOP, name });

onEachDialect("a job in the database", (bench) => {
  it("ends every step, never offers a container, and is what its events say, whatever its runs say", async () => {
    for (let n = 0; n < fewOf(dialect === "sqlite" ? 3 : 1, 200); n++) {
      const begun = await begin(bench, `theme-${n}`);
      try {
        await playOut(begun, (seed + n) % 1_000_000);
      } finally {
        begun.end();
      }
    }
  });

  it("takes the graph back with the command that made it", async () => {
    const begun = await begin(bench, "theme");
    try {
      const { context } = begun.crew;
      const [before, edges] = [await names(begun), await edgesOf(begun)];
      const group = newGroup();
      await addSteps({ ...begun, crew: { ...begun.crew, context: { ...context, group } } }, [...STEP_NAMES], () => ({
        ...{ revisions: 1, branches: 3, tests: 1, reviewers: 2 },
      }));
      expect((await names(begun)).length).toBeGreaterThan(before.length + STEP_NAMES.length);
      await undoGroup(context, group);
      expect([await names(begun), await edgesOf(begun)]).toEqual([before, edges]);
      expect(await compareTables(context.store.db)).toEqual([]);
    } finally {
      begun.end();
    }
  });

  it("takes back a task of a step that a person closed, with what the step went on to", async () => {
    const begun = await begin(bench, "theme");
    try {
      const { context } = begun.crew;
      await addSteps(begun, ["plan"], () => ({ revisions: 1, branches: 1, tests: 0, reviewers: 2 }));
      const [before, edges] = [await names(begun), await edgesOf(begun)];
      const group = newGroup();
      await closeTask({ ...context, group }, at("theme-plan-draft-1"), { person: "ann" });
      expect(await names(begun)).toEqual([...before, "theme-plan-review-1", "theme-plan-review-2"]);
      await undoGroup(context, group);
      expect([await names(begun), await edgesOf(begun)]).toEqual([before, edges]);
      expect((await getTask(context.store.db, at("theme-plan-draft-1"))).status).toBe("OPEN");
    } finally {
      begun.end();
    }
  });
});

interface Begun {
  crew: Crew;
  scene: Scene;
  job: string;
  end(): void;
}

async function begin({ context }: Bench, job: string): Promise<Begun> {
  const folder = temporaryFolder();
  const env = { PATH: process.env["PATH"], HOME: folder.path, MU_STATE_DIR: folder.path, MU_RETRY_BACKOFF: "0" };
  const crew = processCrew(context, env);
  await initWorkstream(context, SHOP, { root: folder.path });
  const { id } = await workstreamRow(context.store.db, SHOP);
  const role = (name: string) => ({
    ...{ ...DEFAULT_ROLE, name, cli: "command" as const, access: "read-only" as const, workspace: false },
    ...{ reservationUsd: 0, concurrency: 9 },
  });
  const roles = Object.fromEntries(
    ["builder", "reviewer", "tester", "router", "merger"].map((name) => [name, role(name)]),
  );
  const settings = { ...DEFAULT_SETTINGS, roles };
  const workstream = { id, name: SHOP, root: folder.path };
  const spec = { op: "job.new", scope: SHOP, subject: `${SHOP}/${job}` };
  await write(context, spec, (tx) => addTaskIn(tx, SHOP, { name: job, title: job, kind: "job" }));
  const scene = { workstream, settings, stateDir: folder.path, max: 99 };
  return { crew, scene, job, end: folder.remove };
}

async function addSteps({ crew, job }: Begun, steps: (typeof STEP_NAMES)[number][], limitsOf: () => Limits) {
  const spec = { op: "job.run", scope: SHOP, subject: `${SHOP}/${job}` };
  return write(crew.context, spec, async (tx) => {
    const added: string[] = [];
    for (const [n, step] of steps.entries()) {
      const plan = { ...stepPlanOf(null), limits: limitsOf() };
      const row = await taskRow(tx.db, at(job));
      const { step: task } = await addStepIn(tx, row, { step, plan, after: added.slice(-1), routes: n === 0 });
      added.push(task.name);
    }
    return added;
  });
}

const names = async ({ crew }: Begun) =>
  (await crew.context.store.db.selectFrom("tasks").select("name").orderBy("id").execute()).map(({ name }) => name);
const edgesOf = ({ crew }: Begun) =>
  crew.context.store.db.selectFrom("task_edges").select(["blocker_id", "blocked_id"]).orderBy("id").execute();

/** Ends ready tasks by the seed until there is none, with a person who requeues what is held. */
async function playOut(begun: Begun, from: number): Promise<void> {
  const { crew, scene, job } = begun;
  const { context } = crew;
  const { db } = context.store;
  const chance = chanceOf(from);
  const limits = (): Limits => ({
    ...{ revisions: chance.whole(0, 2), branches: chance.whole(1, 3), tests: chance.whole(0, 2) },
    reviewers: chance.whole(1, 2),
  });
  const steps = STEP_NAMES.filter(() => chance.in(0.6));
  await addSteps(begun, steps.length === 0 ? ["plan"] : steps, limits);
  const resumed = new Map<string, number>();
  let turns = 0;
  for (; turns < 300; turns++) {
    if (turns % 7 === 0) await requireNoContainer(begun);
    const ready = (await listReady(db, SHOP, { now: context.clock.now().toISOString() })).filter(
      ({ root }) => root === job,
    );
    const task = ready[chance.whole(0, 50) % ready.length];
    if (task === undefined) {
      const held = await db
        .selectFrom("tasks")
        .select(["name", "kind"])
        .where("status", "=", "OPEN")
        .where("hold", "is not", null)
        .execute();
      if (held.length === 0) break;
      for (const { name, kind } of held) {
        if (kind === "step") resumed.set(name, (resumed.get(name) ?? 0) + 1);
        await requeueTask(context, at(name), { person: "ann" }, {});
      }
      continue;
    }
    const { id } = await beginRun(crew, scene, task.name);
    await endRun(crew, id, endOf(chance, task.kind, turns));
  }
  expect(turns, `seed ${from} ends`).toBeLessThan(300);
  await requireNoContainer(begun);
  await expect(claimNext(context, SHOP, { person: "ann" })).rejects.toMatchObject({ code: "task.none_ready" });
  const what = `seed ${from}`;
  const rows = await db.selectFrom("tasks").selectAll().orderBy("id").execute();
  const own = rows.filter(({ root_id, name }) => name !== job && root_id === rows.find((r) => r.name === job)?.id);
  for (const step of own.filter(({ kind }) => kind === "step")) {
    expect(step.status, what).toBe("CLOSED");
    const { limits: most } = stepPlanOf(step.payload);
    const name = step.step as (typeof STEP_NAMES)[number];
    const nodes = own.filter(({ kind, step: of }) => kind !== "step" && of === step.step);
    const again = resumed.get(step.name) ?? 0;
    const bound = mostNodes(name, most) + again * mostNodes(name, { ...most, branches: 1 });
    expect(nodes.length, `${what}: ${step.name}`).toBeLessThanOrEqual(bound);
    expect(["done", "unreviewed"], what).toContain(step.outcome);
    if (STEPS[name].loop === null) expect(step.outcome).toBe("done");
  }
  expect(
    own.filter(({ status }) => !["CLOSED", "REJECTED"].includes(status)),
    what,
  ).toEqual([]);
  // Its blockers are older than a task, but for the containers: these were there before their parts.
  const edges = await edgesOf(begun);
  const kindOf = new Map(rows.map(({ id, kind }) => [id, kind]));
  for (const { blocker_id, blocked_id } of edges) {
    if (!CONTAINER_KINDS.includes(kindOf.get(blocked_id) ?? "")) expect(blocker_id, what).toBeLessThan(blocked_id);
  }
  expect(await compareTables(db), what).toEqual([]);
  expect((await context.store.read(verifyChains)).filter(({ ok }) => !ok)).toEqual([]);
}

function endOf(chance: ReturnType<typeof chanceOf>, kind: string, turn: number): RunEnd {
  // In the end it goes well, or a person would have it go on for ever.
  const isBad = turn < 100 && chance.in(0.35);
  if (kind === "review" || kind === "test") {
    const verdict = isBad ? chance.of(["fail", "fail", "blocked"]) : "pass";
    return { state: "done", costUsd: 0, verdict, answer: `It is a ${verdict}` };
  }
  if (isBad && chance.in(0.3)) return { state: "done", costUsd: 0, verdict: "blocked" };
  if (isBad) return { state: "failed", costUsd: 0, failure: chance.of(["auth", "crash"] as const) };
  return { state: "done", costUsd: 0, answer: "made" };
}

async function requireNoContainer({ crew, scene }: Begun): Promise<void> {
  const { context } = crew;
  const { db } = context.store;
  const now = context.clock.now().toISOString();
  const isContainer = ({ kind }: { kind: string }) => CONTAINER_KINDS.includes(kind);
  expect((await listReady(db, SHOP, { now })).filter(isContainer)).toEqual([]);
  const world = { ...crew, transport: "child" as const, scene: async () => scene, launch: async () => {} };
  const { start, wait } = await explain(world);
  const seen = [...start, ...wait].map(({ task }) => task);
  const containers = await db.selectFrom("tasks").select("name").where("kind", "in", CONTAINER_KINDS).execute();
  for (const { name } of containers) {
    expect(seen).not.toContain(name);
    const claim = claimTask(context, at(name), { person: "ann" });
    const isOver = (await getTask(db, at(name))).status !== "OPEN";
    await expect(claim).rejects.toMatchObject({ code: isOver ? expect.any(String) : "task.container" });
  }
}

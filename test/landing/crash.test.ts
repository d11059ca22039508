import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Crew } from "../../src/agents/crew.js";
import { systemClock } from "../../src/clock.js";
import { execProgram } from "../../src/exec.js";
import { endInterruptedLandings } from "../../src/landing/settle.js";
import { hasEnvironment, listProcesses } from "../../src/processes.js";
import { getTask, taskRow } from "../../src/tasks/task.js";
import { bundleChild } from "../support/child.js";
import { temporaryFolder } from "../support/database.js";
import { killAtEachStep } from "../support/faults.js";
import type { Repository } from "../support/repository.js";
import { openYard, WORKSTREAM } from "./yard.js";

/**
 * Two tasks that land, one that turns the check red, one that clashes: every kind of step. Whatever a killed landing
 * left, the next one ends with each task landed exactly once.
 */
const GOOD = ["build", "docs"];
const BAD = ["bad", "clash"];
const MARK = { name: "MU_TEST_MARK", value: `crash-${process.pid}` };

let program: string;
let folder: ReturnType<typeof temporaryFolder>;
let repo: Repository;
let start: string;
const works: string[] = [];

beforeAll(async () => {
  folder = temporaryFolder();
  program = await bundleChild(folder.path, "fault-child");
  const yard = await openYard();
  repo = yard.repo;
  await yard.finished("build", { "build.txt": "b\n" });
  await yard.finished("bad", { "bad.txt": "b\n" });
  await yard.finished("docs", { "a.txt": "docs\ntwo\nthree\n" });
  await yard.finished("clash", { "a.txt": "clash\ntwo\nthree\n" });
  start = await yard.main();
  for (const name of [...GOOD, ...BAD]) {
    works.push((await taskRow(yard.crew.context.store.db, { workstream: WORKSTREAM, name })).work_to ?? "");
  }
  await yard.close();
}, 60_000);

afterAll(() => {
  folder.remove();
  repo.end();
});

it.each(["before", "during"] as const)(
  "lands everything once, whichever step it is killed %s",
  async (killing) => {
    const env = { ...repo.env, MU_TMUX_SOCKET: join(repo.dir, "tmux"), [MARK.name]: MARK.value };
    const scene = { program, repository: repo, stateDir: join(repo.dir, "state"), env };
    const steps = await killAtEachStep(scene, "land", killing, {
      async afterKill(crew, step) {
        await quiet();
        await endInterruptedLandings(crew);
        await checkNothingLost(`${killing} step ${step}`);
      },
      afterAll: (crew, step) => checkAllLanded(crew, `${killing} step ${step}`),
    });
    expect(steps).toBeGreaterThan(20);
  },
  900_000,
);

/** A program that outlives its killed landing goes on for a moment. */
async function quiet(): Promise<void> {
  const world = { exec: execProgram, context: { clock: systemClock } };
  for (let looks = 0; looks < 500; looks++) {
    const found = (await listProcesses(world)).filter((one) => !one.zombie && /^(git|sh|test)$/.test(one.name));
    const ours = await Promise.all(found.map(({ pid }) => hasEnvironment(world, pid, MARK)));
    if (!ours.includes(true)) return;
    await pause(10);
  }
}

async function subjects(): Promise<string[]> {
  return (await repo.git("log", "--reverse", "--format=%s", `${start}..main`)).split("\n");
}

async function checkNothingLost(what: string): Promise<void> {
  expect(await repo.git("rev-list", "--no-walk", ...works), what).toBeTruthy();
  const whole = GOOD.map((task) => `work of ${task}`);
  expect(["", whole[0], whole.join()], what).toContain((await subjects()).join());
  expect(await repo.git("merge-base", start, "main"), what).toBe(start);
  expect(await repo.git("status", "--porcelain"), what).toBe("");
}

async function checkAllLanded(crew: Crew, what: string): Promise<void> {
  const { db } = crew.context.store;
  const ref = (name: string) => ({ workstream: WORKSTREAM, name });
  expect(await repo.git("status", "--porcelain"), what).toBe("");
  expect((await subjects()).sort(), what).toEqual(GOOD.map((task) => `work of ${task}`).sort());
  for (const task of GOOD) expect(await getTask(db, ref(task)), what).toMatchObject({ level: "landed" });
  for (const task of BAD) {
    const { id, status } = await taskRow(db, ref(task));
    const notes = await db.selectFrom("task_notes").select("id").where("task_id", "=", id).execute();
    expect({ status, notes: notes.length }, what).toEqual({ status: "OPEN", notes: 1 });
  }
  const events = await db.selectFrom("events").select(["op", "subject"]).where("op", "like", "land%").execute();
  const told = events.map(({ op, subject }) => `${op} ${subject}`).sort();
  expect(told, what).toEqual(["land shop/build", "land shop/docs", "land.refuse shop/bad", "land.refuse shop/clash"]);
  const open = await db.selectFrom("landings").select("id").where("state", "in", ["taken", "stacked"]).execute();
  expect(open, what).toEqual([]);
  expect(readdirSync(join(crew.stateDir, "landing")), what).toEqual([]);
  expect(await repo.git("status", "--porcelain"), what).toBe("");
  expect((await repo.git("worktree", "list", "--porcelain")).includes("/landing/"), what).toBe(false);
  expect(await repo.git("fsck", "--no-dangling", "--no-progress"), what).toBe("");
}

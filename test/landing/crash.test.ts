import { spawn } from "node:child_process";
import { cpSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { systemClock } from "../../src/clock.js";
import { execProgram } from "../../src/exec.js";
import { landTasks } from "../../src/landing/land.js";
import { hasEnvironment, listProcesses } from "../../src/processes.js";
import { taskRow } from "../../src/tasks/task.js";
import { bundleChild } from "../support/child.js";
import { temporaryFolder } from "../support/database.js";
import type { Doom } from "../support/doomed.js";
import type { Repository } from "../support/repository.js";
import { openYard, reopenYard, type Yard } from "./yard.js";

/**
 * Two tasks that land, one that turns the check red, one that clashes: every kind of step. A process that lands them is
 * killed before and during each of its effects; whatever it left, the next landing ends with each landed exactly once.
 */
const GOOD = ["build", "docs"];
const CHECK = "test ! -e bad.txt";
/** Bounds the loop: a landing has about 70 effects. */
const MOST_EFFECTS = 200;

let program: string;
let folder: ReturnType<typeof temporaryFolder>;
let repo: Repository;
let template: string;
let start: string;
const works: string[] = [];

beforeAll(async () => {
  folder = temporaryFolder();
  program = await bundleChild(folder.path, "land-child");
  const yard = await openYard();
  repo = yard.repo;
  await yard.finished("build", { "build.txt": "b\n" });
  await yard.finished("bad", { "bad.txt": "b\n" });
  await yard.finished("docs", { "a.txt": "docs\ntwo\nthree\n" });
  await yard.finished("clash", { "a.txt": "clash\ntwo\nthree\n" });
  start = await yard.main();
  for (const task of [...GOOD, "bad", "clash"]) {
    const row = await taskRow(yard.crew.context.store.db, { workstream: "shop", name: task });
    works.push(row.work_to ?? "");
  }
  await yard.close();
  template = `${repo.dir}.template`;
  cpSync(repo.dir, template, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
}, 60_000);

afterAll(() => {
  folder.remove();
  repo.end();
  rmSync(template, { recursive: true, force: true });
});

it.each(["before", "during"] as const)(
  "lands everything once, whichever effect it is killed %s",
  async (phase) => {
    let whole = false;
    for (let effect = 1; !whole && effect <= MOST_EFFECTS; effect++) {
      rmSync(repo.dir, { recursive: true, force: true });
      cpSync(template, repo.dir, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
      whole = await landAndDie({ effect, phase });
      const yard = await reopenYard(repo);
      const what = `${phase} effect ${effect}`;
      await checkNothingLost(yard, what);
      if (!whole) await landTasks(yard.crew, { workstream: "shop" }, { check: CHECK });
      await checkAllLanded(yard, what);
      await yard.close();
    }
    expect(whole).toBe(true);
  },
  900_000,
);

/** Runs a landing that dies; true when it came to its end before. Returns when its programs have ended too. */
async function landAndDie(doom: Doom): Promise<boolean> {
  const mark = `${process.pid}-${doom.phase}-${doom.effect}`;
  const child = spawn(process.execPath, [program, join(repo.dir, "state"), CHECK, JSON.stringify(doom)], {
    env: { ...repo.env, MU_TEST_MARK: mark },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [said, complaints] = ["", ""];
  child.stdout.on("data", (data) => (said += data));
  child.stderr.on("data", (data) => (complaints += data));
  const signal = await new Promise((resolve) => child.once("close", (_, found) => resolve(found)));
  expect(signal === "SIGKILL" || said.startsWith("done"), `${JSON.stringify(doom)}: ${complaints.slice(-2000)}`).toBe(
    true,
  );
  const world = { exec: execProgram, clock: systemClock };
  for (let left = true, looks = 0; left && looks < 200; looks++) {
    const found = (await listProcesses(world)).filter((one) => !one.zombie && /^(git|sh|test)$/.test(one.name));
    const ours = await Promise.all(
      found.map(({ pid }) => hasEnvironment(world, pid, { name: "MU_TEST_MARK", value: mark })),
    );
    left = ours.includes(true);
    if (left) await pause(10);
  }
  return signal === null;
}

async function checkNothingLost(yard: Yard, what: string): Promise<void> {
  await repo.git("fsck", "--no-dangling", "--no-progress");
  for (const work of works) await repo.git("cat-file", "-e", `${work}^{commit}`);
  const subjects = await yard.subjects();
  const whole = GOOD.map((task) => `work of ${task}`);
  expect(["", whole[0], whole.join()], what).toContain(subjects.join());
  expect(await repo.git("merge-base", start, "main"), what).toBe(start);
  expect(await repo.git("status", "--porcelain"), what).toBe("");
}

async function checkAllLanded(yard: Yard, what: string): Promise<void> {
  expect([...(await yard.subjects())].sort(), what).toEqual(GOOD.map((task) => `work of ${task}`).sort());
  for (const task of GOOD) expect(await yard.task(task), what).toMatchObject({ status: "CLOSED", level: "landed" });
  for (const task of ["bad", "clash"]) {
    expect(await yard.task(task), what).toMatchObject({ status: "OPEN" });
    expect((await yard.notes(task)).length, what).toBe(1);
  }
  const { db } = yard.crew.context.store;
  const events = await db.selectFrom("events").select(["op", "subject"]).where("op", "like", "land%").execute();
  const told = events.map(({ op, subject }) => `${op} ${subject}`).sort();
  expect(told, what).toEqual(["land shop/build", "land shop/docs", "land.refuse shop/bad", "land.refuse shop/clash"]);
  const open = await db.selectFrom("landings").select("id").where("state", "in", ["taken", "stacked"]).execute();
  expect(open, what).toEqual([]);
  expect(readdirSync(join(yard.crew.stateDir, "landing")), what).toEqual([]);
  expect(await repo.git("status", "--porcelain"), what).toBe("");
  expect((await repo.git("worktree", "list", "--porcelain")).includes("/landing/"), what).toBe(false);
  expect(await repo.git("fsck", "--no-dangling", "--no-progress"), what).toBe("");
}

import { spawn } from "node:child_process";
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { newGroup } from "../../src/db/context.js";
import type { Store } from "../../src/db/store.js";
import { write } from "../../src/db/write.js";
import { addTask } from "../../src/tasks/add.js";
import { closeTask } from "../../src/tasks/lifecycle.js";
import { getTask, taskRow } from "../../src/tasks/task.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";
import { bundleChild } from "../support/child.js";
import { contextOn, openTestStore, temporaryFolder } from "../support/database.js";
import { newRepository, type Repository } from "../support/repository.js";
import { fewOf, random } from "../support/sample.js";

/** Where work is finished: three workstreams of one repository, the last one in a database of its own. */
const SIDES = [
  { state: "one", workstream: "shop" },
  { state: "one", workstream: "docs" },
  { state: "two", workstream: "shop" },
] as const;
type Side = (typeof SIDES)[number];

/** Enough that a kill often meets git while it writes them. */
const FILES = 40;

let repo: Repository;
let program: string;
let folder: ReturnType<typeof temporaryFolder>;
let made = 0;
const stores = new Map<string, Store>();

beforeAll(async () => {
  folder = temporaryFolder();
  program = await bundleChild(folder.path, "land-child");
  const files = Array.from({ length: FILES }, (_, n) => [`lib/${n}/f.txt`, "0\n".repeat(3000)]);
  repo = await newRepository(Object.fromEntries(files));
  for (const state of ["one", "two"]) stores.set(state, await openTestStore(join(repo.dir, state, "mu.db")));
  for (const side of SIDES) await initWorkstream(contextOf(side), side.workstream, { root: repo.root });
  await repo.git("worktree", "add", "-q", "--detach", workPath(), "main");
}, 60_000);

afterAll(async () => {
  for (const store of stores.values()) await store.close();
  folder.remove();
  repo.end();
});

const workPath = () => join(repo.dir, "work");
const contextOf = ({ state }: Side) => ({ ...contextOn(stores.get(state) as Store), group: newGroup() });

/** A finished task on the newest main: it changes some files, and adds and removes one. */
async function finishWork(side: Side): Promise<string> {
  const n = made++;
  const task = `t${n}`;
  const path = workPath();
  await repo.gitIn(path, "checkout", "-q", "--detach", "main");
  const from = await repo.gitIn(path, "rev-parse", "HEAD");
  const half = (n % 2) * (FILES / 2);
  const changed = Array.from({ length: FILES / 2 }, (_, at) => [`lib/${half + at}/f.txt`, `${n}\n`.repeat(3000)]);
  const old = n % 4 < 2 ? {} : { [`new/${n - 2}/f.txt`]: null };
  const added = n % 4 < 2 ? { [`new/${n}/f.txt`]: `${n}\n` } : {};
  const to = await repo.commit({ ...Object.fromEntries(changed), ...added, ...old }, `work of ${task}`, path);
  const context = contextOf(side);
  const ref = { workstream: side.workstream, name: task };
  await addTask(context, side.workstream, { name: task, title: task });
  await closeTask(context, ref, { person: "ann" });
  await write(context, { op: "test", scope: side.workstream, subject: task }, async (tx) => {
    const row = await taskRow(tx.db, ref);
    await tx.patch("tasks", row.id, { work_agent: "ann", work_root: repo.root, work_from: from, work_to: to });
  });
  return task;
}

interface Ended {
  landed?: string[];
  fault?: string;
  text?: string;
}

/** Starts a landing in a process of its own. */
function startLanding({ state, workstream }: Side, check: string) {
  const child = spawn(process.execPath, [program, join(repo.dir, state), workstream, check], {
    env: repo.env,
    cwd: repo.dir,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.on("data", (data) => (said += data));
  // A program that outlives a killed landing keeps its pipes open.
  const exited = new Promise<string | null>((resolve) => child.on("exit", (_, signal) => resolve(signal)));
  const closed = new Promise<void>((resolve) => child.on("close", () => resolve()));
  const ended = exited.then(async (signal): Promise<Ended> => {
    if (signal !== null) return { fault: signal };
    await closed;
    return JSON.parse(said);
  });
  return { ended, kill: () => child.kill("SIGKILL") };
}

/** The user's checkout is clean and main's, and each of these tasks is on main once, in git and in its database. */
async function expectLanded(what: string, works: readonly { side: Side; task: string }[]): Promise<void> {
  expect(await repo.git("status", "--porcelain", "--untracked-files=all"), what).toBe("");
  expect(await repo.git("diff", "main"), what).toBe("");
  const subjects = (await repo.git("log", "-n", "20", "--format=%s", "main")).split("\n");
  for (const { side, task } of works) {
    expect(subjects.filter((subject) => subject === `work of ${task}`).length, `${what}: ${task}`).toBe(1);
    const { db } = contextOf(side).store;
    const found = await getTask(db, { workstream: side.workstream, name: task });
    expect(found.level, `${what}: ${task}`).toBe("landed");
  }
}

/** Waits until the landing has locked the user's index, and then a little. */
async function untilMove(ended: Promise<unknown>): Promise<void> {
  const lock = join(repo.root, ".git", "index.lock");
  let isOver = false;
  void ended.then(() => (isOver = true));
  while (!isOver && lstatSync(lock, { throwIfNoEntry: false }) === undefined) await pause(1);
  await pause(MOVE_MS * random());
}

/** About how long a landing holds the index, in ms. */
const MOVE_MS = 150;

const CHECKS = ["", "test -e lib/0/f.txt"] as const;
const pick = <T>(all: readonly T[], n: number) => all[n % all.length] as T;

it("two landings at once land both tasks, whichever workstream and database they are of", async () => {
  const pairs = fewOf(8, 500);
  for (let n = 0; n < pairs; n++) {
    const sides = [pick(SIDES, n), pick(SIDES, n + 1)];
    const works: { side: Side; task: string }[] = [];
    for (const side of sides) works.push({ side, task: await finishWork(side) });
    const landings = sides.map((side, at) => startLanding(side, pick(CHECKS, n + (n % 3 === 0 ? at : 0))));
    const ended = await Promise.all(landings.map((landing) => landing.ended));
    const what = `pair ${n}: ${JSON.stringify(ended)}`;
    expect(
      ended.map(({ landed }) => landed),
      what,
    ).toEqual(works.map(({ task }) => [task]));
    await expectLanded(what, works);
  }
});

it("after a landing was killed at any moment, half of them in the move, the next ones land everything once", async () => {
  const kills = fewOf(10, 300);
  const side = pick(SIDES, 0);
  await finishWork(side);
  const began = process.hrtime.bigint();
  await startLanding(side, pick(CHECKS, 1)).ended;
  const wholeMs = Number(process.hrtime.bigint() - began) / 1e6;
  for (let n = 0; n < kills; n++) {
    const [killed, next] = [pick(SIDES, n), pick(SIDES, n + 1)];
    const works = [{ side: killed, task: await finishWork(killed) }];
    const landing = startLanding(killed, pick(CHECKS, n));
    await (n % 2 === 0 ? pause(wholeMs * (0.3 + 0.8 * random())) : untilMove(landing.ended));
    landing.kill();
    const first = await landing.ended;
    works.push({ side: next, task: await finishWork(next) });
    const others = [await startLanding(next, pick(CHECKS, n)).ended, await startLanding(killed, "").ended];
    const what = `kill ${n}: ${JSON.stringify([first, ...others])}`;
    expect(
      others.flatMap(({ fault }) => fault ?? []),
      what,
    ).toEqual([]);
    await expectLanded(what, works);
  }
});

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Crew } from "../../src/agents/crew.js";
import { systemClock } from "../../src/clock.js";
import { auditAll } from "../../src/demo/verdict.js";
import { execProgram } from "../../src/exec.js";
import { endMarked } from "../../src/processes.js";
import { addTask } from "../../src/tasks/add.js";
import { listTasks } from "../../src/tasks/task.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";
import { bundleChild } from "../support/child.js";
import { contextOn, openTestStore, temporaryFolder } from "../support/database.js";
import { killAtEachStep } from "../support/faults.js";
import { newRepository, type Repository } from "../support/repository.js";

/**
 * Two tasks, one after the other, and one that always fails: claims, reservations, starts, results, retries and the file for
 * a person. Whatever a killed dispatcher and its runners left, the next one ends with every result and cent there once.
 */
const CENTS = 25;
const MARK = { name: "MU_TEST_MARK", value: `dispatch-${process.pid}` };

let program: string;
let folder: ReturnType<typeof temporaryFolder>;
let repo: Repository;
let state: string;

beforeAll(async () => {
  folder = temporaryFolder();
  program = await bundleChild(folder.path, "fault-child");
  repo = await newRepository();
  state = join(repo.dir, "state");
  const role = { cli: "command", access: "read-only", workspace: false };
  const result = JSON.stringify({ text: "ok", cost_usd: CENTS / 100 });
  const roles = {
    qa: { ...role, command: `sh -c 'cat >/dev/null; echo "$0"' '${result}'` },
    bad: { ...role, command: "false" },
  };
  mkdirSync(join(repo.root, ".mu"));
  writeFileSync(join(repo.root, ".mu", "settings.json"), JSON.stringify({ roles }));
  const store = await openTestStore(join(state, "mu.db"));
  const context = contextOn(store);
  await initWorkstream(context, "shop", { root: repo.root });
  await addTask(context, "shop", { name: "one", title: "One", role: "qa" });
  await addTask(context, "shop", { name: "two", title: "Two", role: "qa", blockedBy: ["one"] });
  await addTask(context, "shop", { name: "bad", title: "Bad", role: "bad", maxRetries: 1 });
  await store.close();
}, 60_000);

afterAll(() => {
  folder.remove();
  repo.end();
});

it.each(["before", "during"] as const)(
  "books every result and every cent once, whichever step a dispatcher is killed %s",
  async (killing) => {
    const env = { ...repo.env, MU_RETRY_BACKOFF: "0", MU_TMUX_SOCKET: join(repo.dir, "tmux"), [MARK.name]: MARK.value };
    let whole: number[] = [];
    const steps = await killAtEachStep({ program, repository: repo, stateDir: state, env }, "dispatch", killing, {
      async afterKill() {
        await endMarked({ exec: execProgram, context: { clock: systemClock } }, [`${MARK.name}=${MARK.value}`], []);
        whole = endedRuns();
      },
      async afterAll(crew, step) {
        await checkBooks(crew, whole, `${killing} step ${step}`);
        whole = [];
      },
    });
    expect(steps).toBeGreaterThan(20);
  },
  900_000,
);

/** The runs whose whole result is on the disk. */
function endedRuns(): number[] {
  const runs = join(state, "runs");
  const names = existsSync(runs) ? readdirSync(runs) : [];
  return names.flatMap((name) => {
    const ending = join(runs, name, "1.json");
    const isGood = existsSync(ending) && JSON.parse(readFileSync(ending, "utf8")).exitCode === 0;
    return isGood ? [Number(name.split("-")[0])] : [];
  });
}

async function checkBooks(crew: Crew, whole: readonly number[], what: string): Promise<void> {
  const { store } = crew.context;
  const tasks = await listTasks(store.db, { workstream: "shop" });
  const ends = tasks.map(({ name, status, hold }) => [name, status, hold]);
  expect(ends.sort(), what).toEqual([
    ["bad", "OPEN", "escalated"],
    ["one", "CLOSED", null],
    ["two", "CLOSED", null],
  ]);
  const runs = await store.db.selectFrom("runs").selectAll().orderBy("id").execute();
  const done = runs.filter(({ state: end }) => end === "done");
  expect(
    done.map(({ task, cost_micros }) => [task, cost_micros]),
    what,
  ).toEqual([
    ["one", CENTS * 10_000],
    ["two", CENTS * 10_000],
  ]);
  for (const run of whole)
    expect(
      done.map(({ id }) => id),
      `${what}: the result of run ${run}`,
    ).toContain(run);
  expect(
    runs.filter(({ finished_at }) => finished_at === null),
    what,
  ).toEqual([]);
  const bad = runs.filter(({ task, state: end }) => task === "bad" && (end === "failed" || end === "lost"));
  expect(bad.length, what).toBe(2);
  const settled = await store.db.selectFrom("events").select("payload").where("op", "=", "run.settle").execute();
  const ids = settled.map(({ payload }) => JSON.parse(payload).run as number);
  expect(
    ids.sort((a, b) => a - b),
    what,
  ).toEqual(runs.map(({ id }) => id));
  expect(existsSync(join(repo.root, ".mu", "escalations", "bad.md")), what).toBe(true);
  expect(await store.read(auditAll), what).toMatchObject({ ok: true, tables: "same" });
}

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Crew, processCrew } from "../../src/agents/crew.js";
import { systemClock } from "../../src/clock.js";
import { auditAll } from "../../src/demo/verdict.js";
import { execProgram } from "../../src/exec.js";
import { createJob, jobRow, stepsOf } from "../../src/jobs/job.js";
import { planStep, queueSteps } from "../../src/jobs/steps.js";
import { endMarked } from "../../src/processes.js";
import { readSettings } from "../../src/project/read.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";
import { bundleChild } from "../support/child.js";
import { contextOn, openTestStore, temporaryFolder } from "../support/database.js";
import { killAtEachStep } from "../support/faults.js";
import { newRepository, type Repository } from "../support/repository.js";

/**
 * A plan that is rejected once, its work that fails a test once, and a report: wherever the dispatcher and its runners are
 * killed — before a run begins, while its agent works, before and after its end is kept, before and after it is settled, and
 * while its artifact is kept — the next dispatcher ends with every artifact there, each part done once.
 */
const MARK = { name: "MU_TEST_MARK", value: `jobs-${process.pid}` };
const REF = { workstream: "shop", name: "theme" };
const PARTS = [
  ...["plan-draft-1", "plan-review-1", "plan-draft-2", "plan-review-2"],
  ...["work-build-1", "work-test-1", "work-build-2", "work-test-2", "report-draft-1"],
].map((part) => `theme-${part}`);

let program: string;
let folder: ReturnType<typeof temporaryFolder>;
let repo: Repository;
let state: string;

beforeAll(async () => {
  folder = temporaryFolder();
  program = await bundleChild(folder.path, "fault-child");
  cpSync(join(import.meta.dirname, "../../src/jobs/prompts"), join(folder.path, "prompts"), { recursive: true });
  repo = await newRepository();
  state = join(repo.dir, "state");
  const sh = (script: string) => ({
    ...{ cli: "command", access: "read-only", workspace: false },
    command: `sh -c 'cat > /dev/null; ${script}'`,
  });
  const judge = sh('case $MU_TASK in *-1) echo "not yet"; echo "### FAIL";; *) echo fine; echo "### PASS";; esac');
  const roles = { builder: sh('echo "feat: by $MU_TASK"'), reviewer: judge, tester: judge };
  mkdirSync(join(repo.root, ".mu"));
  writeFileSync(join(repo.root, ".mu", "settings.json"), JSON.stringify({ roles }));
  const store = await openTestStore(join(state, "mu.db"));
  const context = contextOn(store);
  await initWorkstream(context, "shop", { root: repo.root });
  const crew = processCrew(context, { ...repo.env, MU_STATE_DIR: state });
  await createJob(crew, "shop", { name: "theme" });
  const job = await jobRow(store.db, REF);
  const settings = await readSettings(repo.root);
  const steps = (["plan", "work", "report"] as const).map((step) => ({
    step,
    plan: planStep(step, settings, job, { instructions: "Dark mode" }),
  }));
  await queueSteps(context, job, steps, { router: false });
  await store.close();
}, 60_000);

afterAll(() => {
  folder.remove();
  repo.end();
});

it.each(["before", "during"] as const)(
  "goes on where it was, whichever step a dispatcher is killed %s",
  async (killing) => {
    const env = { ...repo.env, MU_RETRY_BACKOFF: "0", MU_TMUX_SOCKET: join(repo.dir, "tmux"), [MARK.name]: MARK.value };
    let whole: number[] = [];
    const steps = await killAtEachStep({ program, repository: repo, stateDir: state, env }, "dispatch", killing, {
      async afterKill() {
        await endMarked({ exec: execProgram, context: { clock: systemClock } }, [`${MARK.name}=${MARK.value}`], []);
        whole = endedRuns();
      },
      async afterAll(crew, step) {
        await checkJob(crew, whole, `${killing} step ${step}`);
        whole = [];
      },
    });
    expect(steps).toBeGreaterThan(60);
  },
  3_600_000,
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

async function checkJob(crew: Crew, whole: readonly number[], what: string): Promise<void> {
  const { store } = crew.context;
  const job = await jobRow(store.db, REF);
  const steps = await stepsOf(store.db, job.row);
  expect(
    steps.map(({ step, status, outcome }) => [step, status, outcome]),
    what,
  ).toEqual(["plan", "work", "report"].map((step) => [step, "CLOSED", "done"]));
  expect(job.row.status, what).toBe("CLOSED");

  const runs = await store.db.selectFrom("runs").selectAll().orderBy("id").execute();
  const done = runs.filter((run) => run.state === "done");
  expect(done.map(({ task }) => task).sort(), what).toEqual([...PARTS].sort());
  expect(
    runs.filter(({ finished_at }) => finished_at === null),
    what,
  ).toEqual([]);
  // Of a tester's answer alone nobody can tell that the command for it was run.
  const tests = runs.filter(({ task }) => task.includes("-test-")).map(({ id }) => id);
  for (const run of whole.filter((id) => !tests.includes(id)))
    expect(
      done.map(({ id }) => id),
      `${what}: the result of run ${run}`,
    ).toContain(run);

  const text = (...names: string[]) => readFileSync(join(repo.root, job.folder, ...names), "utf8");
  expect(text("plan.md"), what).toBe("feat: by theme-plan-draft-2\n");
  expect(text(".history", "plan.1.md"), what).toBe("feat: by theme-plan-draft-1\n");
  expect(text("work.md"), what).toBe("feat: by theme-work-build-2\n");
  expect(text(".history", "work.1.md"), what).toBe("feat: by theme-work-build-1\n");
  expect(text("report.md"), what).toBe("feat: by theme-report-draft-1\n");
  // A draft of a file that was being written may be left beside it.
  const kept = readdirSync(join(repo.root, job.folder, ".history")).filter((name) => !/\.mu-\w+$/.test(name));
  expect(kept.sort(), what).toEqual(["plan.1.md", "work.1.md"]);
  expect(text("agent_trace.log").trimEnd().split("\n").length, what).toBe(
    runs.filter(({ started_at }) => started_at !== null).length,
  );
  const assets = await store.db.selectFrom("assets").select(["path", "version"]).orderBy("id").execute();
  const artifacts = assets.filter(({ path }) => path.startsWith(`${job.folder}/`));
  expect(artifacts.map(({ path, version }) => `${path.split("/").at(-1)} ${version}`).sort(), what).toEqual([
    "plan.md 1",
    "plan.md 2",
    "report.md 1",
    "work.md 1",
    "work.md 2",
  ]);
  expect(await store.read(auditAll), what).toMatchObject({ ok: true, tables: "same" });
}

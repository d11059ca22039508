import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { newProject, type Project, type TestRole } from "../support/project.js";
import { eventually } from "../support/tmux.js";

/** What people and agents do wrong: it is refused with words or waits for a person, and nothing is lost. */
let project: Project;

const PASS = "echo Fine.; echo '### PASS'";
const ROLES: Record<string, TestRole> = {
  builder: { sh: 'cat > /dev/null; echo "made by $MU_TASK"' },
  reviewer: { sh: PASS },
  tester: { sh: PASS },
};

async function begin(roles: Record<string, TestRole> = {}, more?: Record<string, unknown>): Promise<void> {
  project = await newProject({ ...ROLES, ...roles }, more);
  onTestFinished(() => project.end());
}

const json = async (line: string | string[]) =>
  (await project.here(typeof line === "string" ? `${line} --json` : [...line, "--json"])).json();
const run = (line: string) => project.mu(`job run ${line} --json`);
const inJobs = (...names: string[]) => join(project.project, ".mu", "jobs", ...names);
const step = async (job: string) => (await json(`job show ${job}`)).steps.at(-1);
type Run = { id: number; task: string; failure: string | null; verdict: string | null };
const runs = async () => ((await json("runs list -n 0")).items as Run[]).reverse();
const ends = async () => (await runs()).map(({ task, failure, verdict }) => `${task} ${failure ?? verdict}`);
async function promptOf(task: string): Promise<string> {
  const one = (await runs()).findLast((found) => found.task === task);
  const folder = join(project.folder, "state", "runs");
  const own = readdirSync(folder).find((name) => name.split("-")[0] === String(one?.id)) ?? "";
  return readFileSync(join(folder, own, "prompt.md"), "utf8");
}

it("takes only the last line of a reviewer as its verdict: prose, silence and quotes are asked again", async () => {
  const first =
    'case $MU_TASK in prose*) echo "I would say it is fine.";; silent*) ;; lost*) echo "feat: it";; quoted*) echo "> ### PASS"; echo;; esac';
  const both = "echo '### PASS'; echo; echo '### FAIL'";
  const sh = `case $MU_TASK in both-plan-review-1) ${both};; *) if [ -e said-$MU_TASK ]; then ${PASS}; else touch said-$MU_TASK; ${first}; fi;; esac`;
  await begin({ reviewer: { sh } });
  writeFileSync(join(project.project, "said-both-plan-review-2"), "");
  for (const name of ["prose", "silent", "quoted", "both"]) {
    await project.mu(`job new ${name}`);
    expect((await run(`${name} plan -i 'Dark mode' --wait`)).code, name).toBe(0);
    expect(await step(name)).toMatchObject({ status: "CLOSED", outcome: "done" });
  }
  expect(await ends()).toEqual([
    ...["prose", "silent", "quoted"].flatMap((name) => [
      `${name}-plan-draft-1 null`,
      `${name}-plan-review-1 no_verdict`,
      `${name}-plan-review-1 pass`,
    ]),
    ...["both-plan-draft-1 null", "both-plan-review-1 fail", "both-plan-draft-2 null", "both-plan-review-2 pass"],
  ]);
});

it("warns of a builder that made nothing, and asks a person where it is blocked or a prompt or file is wrong", async () => {
  const sh = `cat > /dev/null; case $MU_TASK in silent*) ;; lost*) echo "feat: it";; stuck*) echo Which?; echo "### BLOCKED";; *) echo made;; esac`;
  await begin({ builder: { sh } }, { jobs: { steps: { upgrade: { builder: { prompt: "prompts/gone.md" } } } } });
  for (const name of ["silent", "stuck", "lost", "plain", "linked"]) await project.mu(`job new ${name}`);
  const silent = (await run("silent task -i 'Dark mode' --wait")).json();
  expect(silent.warnings.map(({ code }: { code: string }) => code)).toContain("no_artifact");

  expect((await run("stuck task -i 'Dark mode' --wait")).code).toBe(1);
  expect(await step("stuck")).toMatchObject({ hold: "blocked", heldTask: "stuck-task-draft-1", runs: 1 });

  expect((await run("lost upgrade -i 'Dark mode' --wait")).code).toBe(1);
  expect(await step("lost")).toMatchObject({ hold: "failed", runs: 1 });
  expect((await step("lost")).holdReason).toContain("prompts/gone.md");
  mkdirSync(join(project.project, "prompts"));
  writeFileSync(join(project.project, "prompts", "gone.md"), "Write feat: it.\n");
  await project.json("task requeue lost-upgrade-draft-1");
  await project.mu("dispatch --once");
  expect(await promptOf("lost-upgrade-draft-1")).toContain("Write feat: it.");

  // No commit message: it is asked for once more, then taken.
  expect((await run("plain report -i 'Dark mode' --wait")).code).toBe(0);
  expect(await step("plain")).toMatchObject({ outcome: "done", runs: 2 });

  const secret = join(project.folder, "secret.md");
  writeFileSync(secret, "the secret\n");
  symlinkSync(secret, inJobs("linked", "task.md"));
  expect((await run("linked task -i 'Dark mode' --wait")).code).toBe(1);
  expect(await step("linked")).toMatchObject({ hold: "failed", heldTask: "linked-task-draft-1", runs: 1 });
  expect((await step("linked")).holdReason).toContain("a link out of its folder");
  rmSync(inJobs("linked", "task.md"));
  await project.json("task requeue linked-task-draft-1");
  await project.mu("dispatch --once");
  project.settings({ ...ROLES, builder: { sh: `ln -s ${secret} .mu/jobs/linked/plan.md; echo made` } });
  const linked = await run("linked plan -i 'Dark mode' --wait");
  expect(linked.code).not.toBe(0);
  expect(readFileSync(secret, "utf8")).toBe("the secret\n");
  expect(await step("linked")).toMatchObject({ status: "OPEN", hold: "failed", heldTask: "linked-plan-review-1" });
  rmSync(inJobs("linked", "plan.md"));
  await project.json("task requeue linked-plan-review-1");
  expect((await project.mu("dispatch --once")).code).toBe(0);
  expect(await step("linked")).toMatchObject({ status: "CLOSED", outcome: "done" });
  expect(readFileSync(inJobs("linked", "plan.md"), "utf8")).toBe("made\n");
});

it("has one job of a name, in its folder, and goes on where somebody deleted that", async () => {
  await begin();
  const both = await Promise.all([project.mu("job new theme"), project.mu("job new theme")]);
  expect(both.map(({ code }) => code).sort()).toEqual([0, 4]);
  const refused = (await project.mu("job new theme --json")).fault();
  expect(refused).toMatchObject({ code: "task.exists" });
  for (const name of ["../theme", "a/b", ".", "..", "/tmp/x", "a\\b", "-x", ""]) {
    const { code, stderr } = await project.here(["job", "new", "--json", "--", name]);
    expect([code, JSON.parse(stderr).error], name).toEqual([2, "usage"]);
  }
  expect(readdirSync(inJobs())).toEqual(["theme"]);
  expect((await json("job list")).items.map(({ name }: { name: string }) => name)).toEqual(["theme"]);
  expect((await project.here("job rename theme ../other --json")).fault().error).toBe("usage");

  expect((await run("theme task -i 'Dark mode' --wait")).code).toBe(0);
  rmSync(inJobs("theme"), { recursive: true });
  expect((await json("job show theme")).artifacts).toEqual([]);
  expect((await run("theme plan --wait")).fault()).toMatchObject({ code: "job.nothing_to_go_by" });
  expect((await run("theme task -i 'Dark mode' --wait")).code).toBe(0);
  expect(readFileSync(inJobs("theme", "task.md"), "utf8")).toBe("made by theme-task_2-draft-1\n");
  expect(readFileSync(inJobs("theme", "agent_trace.log"), "utf8").trimEnd().split("\n")).toHaveLength(2);
  rmSync(inJobs("theme"), { recursive: true });
  expect((await project.here("job rename theme colours --json")).code).toBe(0);
  expect((await project.here("job archive colours --json")).code).toBe(0);
  expect((await json("job list --archived")).items).toMatchObject([{ name: "colours", status: "CLOSED" }]);
});

it("names a text that is too large instead of sending it, and leaves out what is no text", async () => {
  await begin();
  await project.mu("job new theme");
  const plan = `# Plan\n\n${"A line of a plan.\n".repeat(600_000)}`;
  expect(plan.length).toBeGreaterThan(10_000_000);
  writeFileSync(inJobs("theme", "plan.md"), plan);
  mkdirSync(join(project.project, "lib"));
  writeFileSync(join(project.project, "lib", "_lib.md"), Buffer.from([0, 1, 2, 255, 254, 0]));
  mkdirSync(join(project.project, "app"));
  writeFileSync(join(project.project, "app", "_app.md"), "About the app.\n");
  await project.json("job modules theme --all");
  expect((await run("theme work -i 'Dark mode' --wait")).code).toBe(0);
  expect((await run("theme plan --wait")).code).toBe(0);
  for (const task of ["theme-work-build-1", "theme-work-test-1", "theme-plan-draft-1"]) {
    const prompt = await promptOf(task);
    expect(prompt.length, task).toBeLessThan(300_000);
    expect(prompt, task).toMatch(/Left out for their size[^#]*\.mu\/jobs\/theme\/plan\.md/);
    expect(prompt, task).toContain("About the app.");
    expect(prompt, task).not.toContain("\0");
  }
  expect(readFileSync(inJobs("theme", ".history", "plan.1.md"), "utf8")).toBe(plan);
  expect(readFileSync(inJobs("theme", "plan.md"), "utf8")).toBe("made by theme-plan-draft-1\n");
});

it("goes by settings that change while a step runs, and keeps what was made where they are torn", async () => {
  const waits = "cat > /dev/null; touch begun-$MU_TASK; while [ ! -e go-$MU_TASK ]; do sleep 0.02; done; echo made";
  await begin({ builder: { sh: waits } });
  await project.mu("job new theme");
  const first = run("theme plan -i 'Dark mode' --wait");
  // From here on nobody reads the settings that are about to change.
  const begun = (task: string) => async () => existsSync(join(project.project, `begun-${task}`));
  await eventually("the draft is begun", begun("theme-plan-draft-1"));
  project.settings({ ...ROLES, builder: { sh: waits }, reviewer: { sh: "echo 'By the new one.'; echo '### PASS'" } });
  writeFileSync(join(project.project, "go-theme-plan-draft-1"), "");
  expect((await first).code).toBe(0);
  expect((await project.json("task notes theme-plan-review-1")).items[0].text).toContain("By the new one.");

  const second = run("theme work -i 'Dark mode' --wait");
  await eventually("the build is begun", begun("theme-work-build-1"));
  const settings = join(project.project, ".mu", "settings.json");
  const whole = readFileSync(settings, "utf8");
  writeFileSync(settings, whole.slice(0, 40));
  writeFileSync(join(project.project, "go-theme-work-build-1"), "");
  const { code } = await second;
  writeFileSync(settings, whole);
  expect([0, 1]).toContain(code);
  const { heldTask } = await step("theme");
  if (heldTask !== null) await project.json(`task requeue ${heldTask}`);
  await project.mu("dispatch --once");
  expect(await step("theme")).toMatchObject({ status: "CLOSED", outcome: "done" });
  expect((await ends()).filter((end) => end.startsWith("theme-work-build-1"))).toEqual(["theme-work-build-1 null"]);
  expect(readFileSync(inJobs("theme", "work.md"), "utf8")).toBe("made\n");
});

it("takes a payload that somebody has spoilt as one that says nothing", async () => {
  await begin();
  await project.mu("job new theme");
  await project.json("job run theme plan work -i 'Dark mode'");
  const spoil = (task: string, payload: unknown) =>
    project.json(["task", "update", task, "--payload", JSON.stringify(payload)]);
  await spoil("theme", ["no", "job"]);
  await spoil("theme-plan", {
    plan: { limits: { reviewers: 1e9, revisions: -4, tests: "many" }, nodes: 7, base: "x" },
  });
  await spoil("theme-plan-draft-1", "nothing");
  await spoil("theme-work", 3);
  await spoil("theme-work-build-1", { node: { round: -1 }, run: { cli: 9, workspace: ["../.."], access: "all" } });
  expect((await json("job show theme")).modules).toBeNull();
  await spoil("theme-plan", { plan: { limits: { reviewers: 2, branches: 1e12 } } });
  const ran = await project.mu("dispatch --once");
  expect(ran.code).toBe(0);
  const { steps } = await json("job show theme");
  expect(steps).toMatchObject([
    { step: "plan", status: "CLOSED", outcome: "done", runs: 3 },
    { step: "work", status: "CLOSED", outcome: "done", runs: 2 },
  ]);
  expect(existsSync(inJobs("theme", "work.md"))).toBe(true);
  await project.json("job modules theme --none");
  expect((await json("job show theme")).modules).toEqual([]);
});

it("does not undo what moved a job's files, and says how to get them back", async () => {
  await begin();
  await project.mu("job new theme");
  expect((await run("theme task -i 'Dark mode' --wait")).code).toBe(0);
  const refused = async (how: string) => {
    const [{ group_id }] = await json(["sql", "select group_id from events order by id desc limit 1"]);
    const fault = (await project.here(`undo ${group_id} --yes --json`)).fault();
    expect(fault).toMatchObject({ code: "undo.not_possible", message: expect.stringContaining(how) });
  };
  await project.json("job rename theme colours");
  await refused("mu job rename");
  await project.json("job archive colours");
  await refused("mu job adopt");
  const { files } = await project.json("job delete colours --yes");
  await refused("mu job adopt");
  // As it says.
  await project.sh(`mv '${files}' .mu/jobs/colours`);
  expect((await project.json("job adopt colours")).job.artifacts).toEqual(["task"]);
});

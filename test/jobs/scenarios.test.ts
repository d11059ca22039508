import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Ran } from "../support/cli.js";
import { ended, newProject, type Project, type TestRole } from "../support/project.js";
import { describeTmux, eventually } from "../support/tmux.js";

/**
 * The scenarios by which jobs are accepted, told twice: without tmux and without a dispatcher, where `--wait` runs them
 * itself, and beside a dispatcher whose runs are panes.
 */
let project: Project;

const PASS = "echo Fine.; echo '### PASS'";
const FAIL = "echo 'Not yet.'; echo '### FAIL'";
/** What an agent says by the task that it has: the first pattern that fits. */
const byTask = (...cases: [pattern: string, sh: string][]) =>
  `case $MU_TASK in ${cases.map(([pattern, sh]) => `${pattern}) ${sh};;`).join(" ")} esac`;

const ROLES: Record<string, TestRole> = {
  builder: { sh: 'cat > /dev/null; echo "made by $MU_TASK"' },
  reviewer: { sh: PASS },
  tester: { sh: PASS },
  router: { sh: "cat > /dev/null; echo '[]'" },
  merger: { sh: "cat > /dev/null; echo 'The best of all.'" },
};

const stories = (transport: "child" | "pane") => () => {
  async function begin(roles: Record<string, Partial<TestRole>> = {}): Promise<void> {
    const own = Object.fromEntries(
      Object.entries(ROLES).map(([name, role]) => [name, { ...role, concurrency: 4, ...roles[name] }]),
    );
    project = await newProject(own, { dispatch: { pollSeconds: 0.1 } });
    onTestFinished(() => project.end());
    project.env["MU_NO_TMUX"] = transport === "child" ? "1" : "";
    if (transport === "child") return;
    const loop = project.start("dispatch");
    onTestFinished(async () => {
      await project.here("dispatch stop --json");
      await ended(loop);
    });
    await eventually("a dispatcher runs", async () => {
      const [{ n }] = await json("sql 'select count(*) as n from dispatchers'");
      return n === 1;
    });
  }

  const json = async (line: string) => (await project.here(`${line} --json`)).json();
  const run = (line: string): Promise<Ran> => project.mu(`job run ${line}`);
  const file = (...names: string[]) => readFileSync(join(project.project, ".mu", "jobs", "local-a", ...names), "utf8");
  const runs = async () => ((await json("runs list -n 0")).items as Run[]).reverse();
  const tasks = async () => (await runs()).map(({ task }) => task.replace("local-a-", ""));
  const step = async (n = 0) => (await json("job show local-a")).steps[n];
  const promptOf = async (task: string) => {
    const one = (await runs()).findLast((found) => found.task === task);
    const folders = readdirSync(join(project.folder, "state", "runs"));
    const own = folders.find((name) => name.split("-")[0] === String(one?.id)) ?? "";
    return readFileSync(join(project.folder, "state", "runs", own, "prompt.md"), "utf8");
  };
  type Run = { id: number; task: string; transport: string };

  it("scenarios 1 and 2: a step leaves its artifact and a line of trace; again, it revises that and keeps the old one", async () => {
    await begin({ builder: { sh: 'cat > /dev/null; echo "# Task $MU_RUN_ID"' } });
    expect((await project.mu("job new local-a")).code).toBe(0);
    expect((await run("local-a task -i 'Add dark mode' --wait")).code).toBe(0);
    const first = file("task.md");
    expect(first).toMatch(/^# Task \d+\n$/);
    expect(await step()).toMatchObject({ step: "task", status: "CLOSED", outcome: "done", runs: 1 });
    expect(file("agent_trace.log").trimEnd().split("\n")).toHaveLength(1);
    expect((await runs()).map((one) => one.transport)).toEqual([transport]);
    expect(await promptOf("local-a-task-draft-1")).toContain("Add dark mode");

    expect((await run("local-a task -i 'Make it blue' --wait")).code).toBe(0);
    expect(file("task.md")).not.toBe(first);
    expect(file(".history", "task.1.md")).toBe(first);
    const prompt = await promptOf("local-a-task_2-draft-1");
    expect(prompt).toContain("Make it blue");
    expect(prompt).toContain(first.trim());
    expect(prompt).not.toContain("A person has edited it");
    const versions = (await json("asset list -n 0")).items.map(({ version }: { version: number }) => version);
    expect(versions).toEqual([2, 1]);
    expect(file("agent_trace.log").trimEnd().split("\n")).toHaveLength(2);

    writeFileSync(join(project.project, ".mu", "jobs", "local-a", "task.md"), "# Mine\n");
    expect((await run("local-a task -i 'Shorter' --wait")).code).toBe(0);
    expect(file(".history", "task.2.md")).toBe("# Mine\n");
    expect(await promptOf("local-a-task_3-draft-1")).toContain("A person has edited it");
  });

  it("scenarios 3 and 4: a plan is revised until it is approved, or its revisions are used up, or nobody is asked", async () => {
    await begin({ reviewer: { sh: byTask(["*plan-review-[12]|*plan_2-*", FAIL], ["*", PASS]) } });
    await project.mu("job new local-a");
    expect((await run("local-a plan -i 'Dark mode' --max-revisions 2 --wait")).code).toBe(0);
    const pair = (n: number) => [`plan-draft-${n}`, `plan-review-${n}`];
    expect(await tasks()).toEqual([1, 2, 3].flatMap(pair));
    expect(await step()).toMatchObject({ outcome: "done", status: "CLOSED" });
    expect(await promptOf("local-a-plan-draft-2")).toContain("Not yet.");
    expect(file("plan.md")).toBe("made by local-a-plan-draft-3\n");

    const refused = await run("local-a plan --max-revisions 2 --wait");
    expect(refused.code).toBe(0);
    expect(refused.stderr + refused.stdout).toContain("never approved");
    expect(await step(1)).toMatchObject({ outcome: "unreviewed", status: "CLOSED", runs: 6 });
    const events = await json("log -n 0");
    const said = events.items.filter(({ payload }: { payload: { outcome?: string } }) => payload?.outcome);
    expect(JSON.stringify(said)).toContain("unreviewed");

    expect((await run("local-a plan --max-revisions 0 --wait")).code).toBe(0);
    expect(await step(2)).toMatchObject({ outcome: "done", runs: 1 });
  });

  it("scenario 5: three builders draft at once, one merges, one writes the plan", async () => {
    const wait = "cat > /dev/null; while [ ! -f go ]; do sleep 0.02; done";
    await begin({
      builder: { sh: `${byTask(["*-draft-[123]", wait], ["*", ":"])}; echo "made by $MU_TASK"` },
      merger: { sh: "grep -c 'made by local-a-plan-draft-[123]'; echo 'Take the second.'" },
    });
    await project.mu("job new local-a");
    const started = await project.json("job run local-a plan -i 'Dark mode' --branches 3");
    expect(started.queued).toEqual(["local-a-plan"]);
    const drain = transport === "child" ? project.start("dispatch --once") : undefined;
    await eventually("three runs at once", async () => (await json("runs list --state running")).items.length === 3);
    const begun = await runs();
    expect(begun.map(({ task }) => task).sort()).toEqual([1, 2, 3].map((n) => `local-a-plan-draft-${n}`));
    expect(await json("sql 'select distinct access from runs'")).toEqual([{ access: "read-only" }]);
    if (transport === "pane") {
      const panes = ["list-panes", "-a", "-F", "#{window_name} #{pane_dead}"];
      const alive = execFileSync("tmux", panes, { env: project.env, encoding: "utf8" }).trim().split("\n");
      expect(alive.filter((pane) => /^builder-\d 0$/.test(pane))).toHaveLength(3);
    }
    const { items } = await json("track list");
    expect(items).toHaveLength(1);
    const before = await json("task list -n 0");
    const drafts = before.items.filter(({ kind }: { kind: string }) => kind === "draft");
    expect(drafts.map(({ status }: { status: string }) => status)).toEqual(Array(3).fill("IN_PROGRESS"));

    writeFileSync(join(project.project, "go"), "");
    await eventually("the plan is there", async () => (await step()).status === "CLOSED");
    if (drain !== undefined) await ended(drain);
    expect((await tasks()).slice(3)).toEqual(["plan-merge-1", "plan-draft-4", "plan-review-1"]);
    expect(await promptOf("local-a-plan-merge-1")).toContain("made by local-a-plan-draft-2");
    expect(await promptOf("local-a-plan-draft-4")).toContain("Take the second.");
    await eventually("it is kept", async () => existsSync(join(project.project, ".mu/jobs/local-a/plan.md")));
    expect(file("plan.md")).toBe("made by local-a-plan-draft-4\n");
    expect(file(".history", "plan.branch-2.md")).toBe("made by local-a-plan-draft-2\n");
  });

  it("scenario 6: work is tested until it passes; where it never does, a person is asked", async () => {
    await begin({ tester: { sh: byTask(["*work-test-[12]|*work_2-*", FAIL], ["*", PASS]) } });
    await project.mu("job new local-a");
    expect((await run("local-a work -i 'Dark mode' --wait")).code).toBe(0);
    expect(await tasks()).toEqual([1, 2, 3].flatMap((n) => [`work-build-${n}`, `work-test-${n}`]));
    const failed = await run("local-a work --max-tests 1 --wait");
    expect(failed.code).toBe(1);
    expect(await step(1)).toMatchObject({
      ...{ status: "OPEN", hold: "escalated", outcome: "tests_failing", heldTask: "local-a-work_2", runs: 2 },
    });
    const escalation = join(project.project, ".mu", "escalations", "local-a-work_2.md");
    await eventually("there is a file for a person", async () => existsSync(escalation));
    expect(readFileSync(escalation, "utf8")).toContain("mu task requeue shop/local-a-work_2");

    // As the file says: the step goes on, with its builder, and counts anew.
    await project.json("task requeue local-a-work_2");
    expect((await json("task show local-a-work_2-build-2")).task).toMatchObject({
      status: expect.stringMatching(/^(OPEN|IN_PROGRESS|CLOSED)$/),
    });
    const none = await project.mu("job run local-a task --from tester --json");
    expect(none.fault()).toMatchObject({ code: "job.no_such_part" });
  });

  it("scenario 7: a step that is asked for while another runs is queued, and begins by itself", async () => {
    await begin({
      builder: {
        sh: `cat > /dev/null; ${byTask(["*plan-draft*", "while [ ! -f go ]; do sleep 0.02; done"], ["*", ":"])}; echo ok`,
      },
    });
    await project.mu("job new local-a");
    await project.json("job run local-a plan -i 'Dark mode'");
    const loop = transport === "child" ? project.start("dispatch") : undefined;
    await eventually("the plan is begun", async () => (await json("runs list --state running")).items.length === 1);
    const second = await project.json("job run local-a work -i 'Dark mode'");
    expect(second).toMatchObject({ queued: ["local-a-work"], behind: "local-a-plan", waited: false });
    expect((await project.here("task claim local-a-work-build-1 --as ann --json")).code).not.toBe(0);
    expect(await tasks()).toEqual(["plan-draft-1"]);
    writeFileSync(join(project.project, "go"), "");
    await eventually("the work is done", async () => (await step(1)).status === "CLOSED");
    expect(await tasks()).toEqual(["plan-draft-1", "plan-review-1", "work-build-1", "work-test-1"]);
    if (loop === undefined) return;
    await json("dispatch stop");
    await ended(loop);
  });

  it("scenarios 8 and 9: agents get the documents of the chosen modules; the router chooses where nobody did", async () => {
    await begin({ router: { sh: byTask(["*local-b*", "exit 3"], ["*", "cat > /dev/null; echo '[\"b\"]'"]) } });
    for (const name of ["a", "b"]) {
      mkdirSync(join(project.project, name));
      writeFileSync(join(project.project, name, `_${name}.md`), `About module ${name}.\n`);
      mkdirSync(join(project.project, ".mu", "rules", "work"), { recursive: true });
      writeFileSync(join(project.project, ".mu", "rules", "work", `${name}.md`), `Rule of ${name}.\n`);
    }
    await project.mu("job new local-a");
    await project.json("job modules local-a --set a");
    expect((await run("local-a work -i 'Dark mode' --max-tests 0 --wait")).code).toBe(0);
    expect(await tasks()).toEqual(["work-build-1"]);
    const prompt = await promptOf("local-a-work-build-1");
    expect(prompt).toContain("About module a.");
    expect(prompt).toContain("Rule of a.");
    expect(prompt).not.toMatch(/About module b|Rule of b/);

    await project.json("job modules local-a --auto");
    expect((await run("local-a work --max-tests 0 --wait")).code).toBe(0);
    expect((await json("job show local-a")).modules).toEqual(["b"]);
    expect(await promptOf("local-a-work_2-build-1")).toContain("About module b.");

    await project.mu("job new local-b");
    const warned = await run("local-b work -i 'Dark mode' --max-tests 0 --wait --json");
    expect(warned.code).toBe(0);
    expect((await json("job show local-b")).modules).toEqual(["a", "b"]);
    expect((await json("job show local-b")).steps[0]).toMatchObject({ status: "CLOSED", outcome: "done" });
    expect(warned.json().warnings.map(({ code }: { code: string }) => code)).toContain("router_failed");
  });
};

describe("jobs without tmux", stories("child"));
describeTmux("jobs in tmux", stories("pane"));

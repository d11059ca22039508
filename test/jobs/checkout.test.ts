import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { newProject, type Project, type TestRole } from "../support/project.js";

/** Jobs with a checkout of their own, from the first commit of their builder to the branch. */

const MANUAL = { dispatch: { landing: "manual" } };

interface Play {
  project: Project;
  git(...args: string[]): string;
  job(): Promise<Record<string, unknown>>;
  /** What the newest run of that task was told. */
  told(task: string): Promise<string>;
}

/** A project whose builder and tester are these lines, by the task in `$MU_TASK`. */
async function begin(cases: Record<string, string>, more: Record<string, unknown> = MANUAL): Promise<Play> {
  const lines = Object.entries({ "*-report-*": "echo feat: add a dark mode", ...cases });
  const sh = `cat >/dev/null; case $MU_TASK in ${lines.map(([task, line]) => `${task}) ${line} ;;`).join(" ")} esac`;
  const role: TestRole = { sh, access: "full" };
  const project = await newProject({ builder: role, tester: role }, more);
  onTestFinished(() => project.end());
  const git = (...args: string[]) =>
    execFileSync("git", args, { cwd: project.project, env: project.env, encoding: "utf8" }).trimEnd();
  await project.json("job new dark --workspace");
  return {
    project,
    git,
    job: () => project.json("job show dark"),
    async told(task) {
      const { items } = await project.json(`runs list --task ${task}`);
      const folder = join(project.folder, "state", "runs");
      const own = readdirSync(folder).find((name) => name.startsWith(`${items[0].id}-`));
      return readFileSync(join(folder, own ?? "", "prompt.md"), "utf8");
    },
  };
}

const save = (what: string) => `git add -A; git commit -qm '${what}'`;
const PASS = "echo '### PASS'";
const work = { "*-build-1": `echo dark >theme.css; ${save("Add a theme")}; echo done`, "*-test-*": PASS };

it("is closed by its report with the commits of its checkout, which land", async () => {
  const { project, git, job } = await begin({
    "*-test-1": "echo No colour.; echo '### FAIL'",
    ...work,
    "*-build-2": `echo '#000' >>theme.css; ${save("Name the colour")}; echo mended`,
  });
  const ran = await project.json("job run dark work report -i Darken --wait");
  expect(ran).toMatchObject({ waited: true, job: { status: "CLOSED", hold: null, landed: false } });
  expect((await project.json("task show dark")).commits.map(({ subject }: { subject: string }) => subject)).toEqual([
    "Add a theme",
    "Name the colour",
  ]);
  expect((await project.mu("task diff dark")).stdout).toContain("+#000");
  expect((await project.json("review")).items).toMatchObject([{ task: "dark" }]);
  expect(git("log", "--format=%s", "main")).toBe("Begin");
  expect((await project.json("land dark")).landed).toMatchObject([{ task: "dark", commits: 2 }]);
  expect(git("log", "--format=%s", "main").split("\n")).toEqual(["Name the colour", "Add a theme", "Begin"]);
  expect(await job()).toMatchObject({ status: "CLOSED", landed: true, artifacts: ["work", "report"] });
});

it("takes no work that is not committed", async () => {
  const { project } = await begin({
    ...work,
    "*-build-1": `test -e a || { echo a >a; exit; }; ${save("Add a")}; echo done`,
  });
  await project.json("job run dark work -i Darken --wait");
  const { items } = await project.json("runs list --task dark-work-build-1");
  expect(items).toMatchObject([{ state: "done" }, { failure: "check_failed", reason: "1 file not committed" }]);
});

it("comes back OPEN from a conflict, and is mended with the reason in its builder's prompt", async () => {
  const rebase = "git rebase -q main >&2 || { echo both >a; git add -A; GIT_EDITOR=true git rebase --continue >&2; }";
  const { project, git, job, told } = await begin({
    ...work,
    "*-build-1": `echo a >a; ${save("Write a")}; echo done`,
    "*-build-2": `${rebase}; echo mended`,
  });
  await project.json("job run dark work report -i Darken --wait");
  writeFileSync(join(project.project, "a"), "other\n");
  git("add", "a");
  git("commit", "-qm", "Other");
  const { code, stdout } = await project.mu("land dark");
  expect([code, stdout]).toEqual([1, expect.stringContaining("conflicts with main in a")]);
  expect(stdout).toContain("mu job run dark work --from builder -w ");
  expect(await job()).toMatchObject({
    status: "OPEN",
    hold: "escalated",
    holdReason: "It did not land: it conflicts with main in a",
  });
  expect((await project.json("inbox")).items).toMatchObject([{ subject: "dark" }]);
  const mended = await project.json("job run dark work --from builder -i 'Keep both' --wait");
  expect(mended).toMatchObject({ steps: ["dark-work"], job: { status: "CLOSED", hold: null } });
  const prompt = await told("dark-work-build-2");
  for (const part of [
    "Darken",
    "Keep both",
    "# Why the job came back",
    "conflicts with main in a",
    "Rebase its commits onto main",
  ])
    expect(prompt).toContain(part);
  expect((await project.json("land dark")).landed).toMatchObject([{ task: "dark", commits: 1 }]);
  expect(readFileSync(join(project.project, "a"), "utf8")).toBe("both\n");
});

it("comes back from a red check, and goes on when it is requeued", async () => {
  const { project, job, told } = await begin({
    ...work,
    "*-build-2": `echo ok >ok; ${save("Make it right")}; echo mended`,
  });
  await project.json(["workstream", "set", "check", "test ! -e theme.css || test -e ok"]);
  project.settings(
    { builder: roleOf(project, "builder"), tester: roleOf(project, "tester") },
    { ...MANUAL, jobs: { testCommand: "true" } },
  );
  await project.json("job run dark work report -i Darken --wait");
  expect((await project.mu("land dark")).code).toBe(1);
  expect(await job()).toMatchObject({
    status: "OPEN",
    hold: "escalated",
    holdReason: expect.stringContaining("did not land"),
  });
  await project.json("task requeue dark");
  expect(await job()).toMatchObject({
    status: "OPEN",
    hold: null,
    steps: [{ step: "work", status: "OPEN" }, { step: "report" }],
  });
  await project.json("dispatch --once");
  expect(await told("dark-work-build-2")).toContain("passes without it");
  expect((await project.json("land dark")).landed).toMatchObject([{ commits: 2 }]);
});

/** A role as the settings file of the project has it, for `settings` again. */
function roleOf(project: Project, name: string): TestRole {
  const { roles } = JSON.parse(readFileSync(join(project.project, ".mu", "settings.json"), "utf8"));
  const { command, ...role } = roles[name];
  return { ...role, sh: /^sh -c '(.*)'$/s.exec(command)?.[1]?.replaceAll(`'\\''`, "'") ?? "" };
}

it("comes back from a review with its comments", async () => {
  const { project, job, told } = await begin({
    ...work,
    "*-build-2": `echo '#111' >theme.css; ${save("Name it")}; echo named`,
  });
  await project.json("job run dark work report -i Darken --wait");
  await project.json(["review", "return", "dark", "--comment", "theme.css:1 Name the colour"]);
  expect(await job()).toMatchObject({ status: "OPEN", hold: "escalated", holdReason: "1 comment of a review" });
  await project.json("job run dark work --from builder --wait");
  expect(await told("dark-work-build-2")).toContain("Name the colour");
  expect(await job()).toMatchObject({ status: "CLOSED", hold: null });
});

it("lands by the dispatcher, and later only what was added since", async () => {
  const { project, git, job } = await begin(
    {
      "*-work*2-build-*": `echo more >more; ${save("Add more")}; echo added`,
      ...work,
    },
    { jobs: { maxTests: 0 } },
  );
  await project.json("job run dark work report -i Darken --wait");
  expect(await job()).toMatchObject({ landed: true, steps: [{ step: "work", runs: 1 }, { step: "report" }] });
  writeFileSync(join(project.project, "theme.css"), "light\n");
  git("commit", "-qam", "Lighten");
  await project.json("job run dark work -i 'Add more' --wait");
  expect(await job()).toMatchObject({ status: "CLOSED", landed: true });
  expect(git("log", "--format=%s", "main").split("\n")).toEqual(["Add more", "Lighten", "Add a theme", "Begin"]);
});

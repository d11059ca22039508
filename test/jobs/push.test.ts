import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { execProgram } from "../../src/exec.js";
import { type Home, newHome } from "../support/cli.js";

let home: Home;
let env: Record<string, string>;
beforeEach(async () => {
  home = newHome();
  env = {
    ...{ MU_WORKSTREAM: "shop", MU_NO_TMUX: "1", GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null" },
    ...{ GIT_AUTHOR_NAME: "Ann", GIT_AUTHOR_EMAIL: "ann@example.org" },
    ...{ GIT_COMMITTER_NAME: "Ann", GIT_COMMITTER_EMAIL: "ann@example.org" },
  };
  await git("init", "-q", "-b", "main");
  put("README.md", "hello\n");
  await git("add", "-A");
  await git("commit", "-qm", "first");
  await git("init", "-q", "--bare", "-b", "main", remote());
  await git("remote", "add", "origin", remote());
  await git("push", "-qu", "origin", "main");
  expect((await mu("workstream init shop --json")).code).toBe(0);
});
afterEach(() => home.end());

const remote = () => join(home.folder, "remote.git");
const at = (path: string) => join(home.project, path);
const put = (path: string, text: string) => {
  mkdirSync(join(at(path), ".."), { recursive: true });
  writeFileSync(at(path), text);
};
const gitIn = async (cwd: string, ...args: string[]) => {
  const { code, stdout, stderr } = await execProgram("git", args, { cwd, env: { ...home.env, ...env } });
  if (code !== 0) throw new Error(`git ${args.join(" ")} ended with ${code}: ${stderr}`);
  return stdout.trimEnd();
};
const git = (...args: string[]) => gitIn(home.project, ...args);
const mu = (line: string) => home.here(line, { env });
const fault = async (line: string) => {
  const ran = await mu(`${line} --json`);
  return { exit: ran.code, ...ran.fault() };
};
const push = async (line = "--yes") => {
  const ran = await mu(`job push ${line} --json`);
  return { code: ran.code, ...(ran.code === 0 || ran.stdout !== "" ? ran.json() : ran.fault()) };
};
const job = async (name: string, report?: string, options = "") => {
  expect((await mu(`job new ${name} ${options}`)).code).toBe(0);
  if (report !== undefined) put(`.mu/jobs/${name}/report.md`, report);
};
const hook = (name: string, script: string, repository = at(".git")) => {
  writeFileSync(join(repository, "hooks", name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(repository, "hooks", name), 0o755);
};
const status = () => git("status", "--porcelain", "-uall");
const heads = async () => ({ here: await git("rev-parse", "main"), there: await gitIn(remote(), "rev-parse", "main") });
const archived = async (name: string) => (await mu(`job show ${name} --json`)).json();

const REPORT = "feat: add a dark mode\n\n# Not a comment\n- body  \n";

describe("jobs in the project folder", () => {
  it("are one commit, with the archive in it, and are pushed", async () => {
    await job("theme", REPORT);
    await job("logo", "fix: mend the logo\n\nIt was blue.\n");
    await job("idle");
    put("src/a.ts", "a");
    put("ignored.log", "x");
    put(".gitignore", "*.log\n");
    put("README.md", "changed\n");
    const before = await status();
    const dry = await push("");
    expect(dry).toMatchObject({
      ...{ code: 0, dryRun: true, skipped: [{ job: "idle", why: "no_report" }] },
      pushes: [{ branch: "main", remote: "origin", jobs: ["theme", "logo"], subject: "feat: add a dark mode" }],
    });
    expect(dry.pushes[0].files).toEqual(
      expect.arrayContaining([".gitignore", ".mu/jobs/theme/report.md", "README.md", "src/a.ts"]),
    );
    expect(dry.pushes[0].files).not.toContain("ignored.log");
    expect(await status()).toBe(before);
    expect((await push()).pushes).toMatchObject([{ commit: await git("rev-parse", "HEAD") }]);
    const { here, there } = await heads();
    expect(here).toBe(there);
    expect(await git("log", "--format=%s", "main")).toBe("feat: add a dark mode\nfirst");
    const message = `${REPORT.trim()}\n\nfix: mend the logo\n\nIt was blue.\n`;
    expect(await git("cat-file", "commit", "HEAD")).toContain(`\n\n${message.trimEnd()}`);
    const files = (await gitIn(remote(), "ls-tree", "-r", "--name-only", "main")).split("\n");
    expect(files).toEqual(
      expect.arrayContaining([".mu/jobs/.archive/logo/report.md", ".mu/jobs/.archive/theme/report.md"]),
    );
    expect(files.some((file) => file.startsWith(".mu/jobs/theme"))).toBe(false);
    expect(await archived("theme")).toMatchObject({ status: "CLOSED", folder: ".mu/jobs/.archive/theme" });
    expect(await archived("idle")).toMatchObject({ status: "OPEN" });
    expect(await status()).toBe("");
    expect((await push()).pushes).toEqual([]);
    expect((await mu("log -n 1")).stdout).toContain("pushed theme, logo");
  });

  it("are narrowed by name, and local ones stay unless they are asked for", async () => {
    await job("theme", REPORT);
    await job("logo", "fix: mend the logo\n");
    await job("local-x", "chore: try\n");
    expect(await push("--yes --job logo")).toMatchObject({ pushes: [{ jobs: ["logo"] }] });
    expect(await fault("job push local-x")).toMatchObject({ exit: 4, code: "job.is_local" });
    const done = await push();
    expect(done).toMatchObject({ pushes: [{ jobs: ["theme"] }], skipped: [{ job: "local-x", why: "local" }] });
    expect(await git("ls-files", ".mu/jobs")).not.toContain("local-x");
    expect(await push("--yes --include-local")).toMatchObject({
      code: 0,
      pushes: [{ jobs: ["local-x"], commit: null }],
    });
    expect(await fault("job push theme")).toMatchObject({ exit: 4, code: "job.archived" });
    expect((await heads()).here).toBe((await heads()).there);
  });

  it("wait until nothing of them is under way", async () => {
    await job("theme", REPORT);
    await mu("job run theme report -i 'again'");
    expect(await fault("job push theme")).toMatchObject({ exit: 4, code: "job.running" });
    expect(await push()).toMatchObject({ pushes: [], skipped: [{ job: "theme", why: "under_way" }] });
  });

  it("are archived with a warning where there is nothing to commit", async () => {
    writeFileSync(at(".git/info/exclude"), ".mu/\n");
    await job("theme", REPORT);
    const { pushes, warnings } = await push();
    expect({ pushes, warnings }).toMatchObject({
      pushes: [{ commit: null }],
      warnings: [{ code: "nothing_to_commit" }],
    });
    expect(await git("log", "--format=%s")).toBe("first");
    expect(await archived("theme")).toMatchObject({ status: "CLOSED" });
  });

  it("stay committed and archived when the remote refuses, and the next push only pushes", async () => {
    await job("theme", REPORT);
    const other = join(home.folder, "other");
    await git("clone", "-q", remote(), other);
    await gitIn(other, "commit", "-q", "--allow-empty", "-m", "theirs");
    await gitIn(other, "push", "-q");
    expect(await fault("job push --yes")).toMatchObject({ exit: 5, code: "job.push_failed" });
    expect(await git("log", "-1", "--format=%s")).toBe("feat: add a dark mode");
    expect(await archived("theme")).toMatchObject({ status: "CLOSED" });
    expect(await fault("job push --yes")).toMatchObject({ exit: 5, code: "job.push_failed" });
    await git("pull", "-q", "--rebase");
    put("README.md", "not to be committed\n");
    expect(await push()).toMatchObject({ code: 0, pushes: [{ jobs: ["theme"], subject: null, commit: null }] });
    expect(await gitIn(remote(), "log", "--format=%s", "main")).toBe("feat: add a dark mode\ntheirs\nfirst");
    expect(await status()).toBe(" M README.md");
    expect((await push()).pushes).toEqual([]);
  });

  it("need a branch with an upstream, and nothing else under way; else nothing is changed", async () => {
    await job("theme", REPORT);
    put("README.md", "changed\n");
    const before = await status();
    await git("branch", "--unset-upstream");
    const missing = await fault("job push --yes");
    expect(missing).toMatchObject({ exit: 4, code: "job.no_upstream" });
    await git("checkout", "-q", "--detach");
    const loose = await fault("job push --yes");
    expect(loose).toMatchObject({ exit: 4, code: "job.detached" });
    expect(await status()).toBe(before);
    expect((await home.sh(loose.nextSteps[0]?.command ?? "", { env })).code).toBe(0);
    expect(await git("branch", "--show-current")).toBe("theme");
    await git("switch", "-q", "main");
    expect((await home.sh(missing.nextSteps[0]?.command ?? "", { env })).code).toBe(0);
    writeFileSync(at(".git/MERGE_HEAD"), `${await git("rev-parse", "HEAD")}\n`);
    expect(await fault("job push --yes")).toMatchObject({ exit: 4, code: "job.checkout_busy" });
    await git("merge", "--quit");
    expect((await push()).code).toBe(0);
  });

  it.each([
    [
      "a pre-commit hook",
      () => hook("pre-commit", "echo 'lint: a.ts is ugly' >&2; exit 1"),
      "job.commit_refused",
      "lint: a.ts is ugly",
    ],
    ["a pre-push hook", () => hook("pre-push", "echo 'tests are red'; exit 1"), "job.push_hook", "tests are red"],
    [
      "a signature",
      async () => {
        await git("config", "commit.gpgsign", "true");
        await git("config", "gpg.program", "false");
      },
      "job.commit_refused",
      "gpg failed to sign",
    ],
  ] as const)("are as before when %s refuses", async (_name, prepare, code, words) => {
    await job("theme", REPORT);
    put("staged.txt", "s");
    await git("add", "staged.txt");
    put("README.md", "changed\n");
    const before = [await status(), await git("rev-parse", "HEAD")];
    await prepare();
    const said = await fault("job push --yes");
    expect(said).toMatchObject({ exit: 4, code, message: expect.stringContaining(words) });
    expect([await status(), await git("rev-parse", "HEAD")]).toEqual(before);
    expect((await heads()).there).toBe(before[1]);
    expect(await archived("theme")).toMatchObject({ status: "OPEN", folder: ".mu/jobs/theme", artifacts: ["report"] });
    expect((await mu("job rename theme colours")).code).toBe(0);
  });

  it("of a folder below the repository leave the rest of it alone", async () => {
    const below = at("packages/shop");
    mkdirSync(below, { recursive: true });
    expect((await mu("workstream set root packages/shop")).code).toBe(0);
    await job("theme");
    put("packages/shop/.mu/jobs/theme/report.md", REPORT);
    put("README.md", "changed\n");
    await git("add", "README.md");
    expect(await fault("job push --yes")).toMatchObject({ exit: 4, code: "job.staged_elsewhere" });
    await git("reset", "-q");
    expect((await push()).code).toBe(0);
    expect(await status()).toBe(" M README.md");
  });
});

describe("a push that is cut off", () => {
  /** Ends mu, whose child's child this hook is. */
  const KILL = `p=$$; while ! ps -o args= -p $p | grep -q 'main.cjs'; do p=$(ps -o ppid= -p $p | tr -d ' '); [ "$p" -gt 1 ] || exit 0; done; kill -9 $p`;
  it.each([
    ["before the commit", () => hook("pre-commit", `${KILL}; exit 1`)],
    ["after the commit", () => hook("post-commit", KILL)],
    ["before the push", () => hook("pre-push", `${KILL}; exit 1`)],
    ["after the push", () => hook("post-receive", KILL, remote())],
  ] as const)("%s goes on with the next one", async (_name, prepare) => {
    await job("theme", REPORT);
    prepare();
    expect(await home.mu("job push --yes", { env })).toMatchObject({ signal: "SIGKILL" });
    for (const name of ["pre-commit", "post-commit", "pre-push"]) hook(name, "exit 0");
    hook("post-receive", "exit 0", remote());
    expect(await fault("job run theme plan -i more")).toMatchObject({ exit: 4, code: "job.pushing" });
    expect(await fault("job archive theme")).toMatchObject({ exit: 4, code: "job.pushing" });
    expect((await push()).code).toBe(0);
    expect(await gitIn(remote(), "log", "--format=%s", "main")).toBe("feat: add a dark mode\nfirst");
    expect(await archived("theme")).toMatchObject({ status: "CLOSED", folder: ".mu/jobs/.archive/theme" });
    expect(await status()).toBe("");
    expect((await heads()).here).toBe((await heads()).there);
  });

  it("is not taken up twice: of two at once, one commits", async () => {
    await job("theme", REPORT);
    hook("pre-commit", "sleep 0.2");
    const ends = await Promise.all([1, 2].map(() => home.mu("job push --yes --json", { env })));
    expect(ends.map(({ code }) => code)).toEqual([0, 0]);
    expect(await gitIn(remote(), "log", "--format=%s", "main")).toBe("feat: add a dark mode\nfirst");
  });
});

describe("a job with a checkout of its own", () => {
  it("is committed and pushed on its own branch, which lands with mu land", async () => {
    await job("theme", REPORT, "--workspace");
    const { checkout } = await archived("theme");
    writeFileSync(join(checkout, "dark.css"), "black");
    await job("logo", "fix: mend the logo\n");
    const first = await push();
    expect(first).toMatchObject({ code: 4, pushes: [{ jobs: ["logo"] }], skipped: [{ job: "theme", why: "refused" }] });
    const { nextSteps } = await fault("job push theme --yes");
    expect((await home.sh(nextSteps[0]?.command ?? "", { env })).code).toBe(0);
    expect(await push()).toMatchObject({
      code: 0,
      pushes: [{ jobs: ["theme"], branch: "mu/shop/theme", path: checkout }],
    });
    const there = (await gitIn(remote(), "log", "--format=%s", "mu/shop/theme")).split("\n");
    expect(there[0]).toBe("feat: add a dark mode");
    expect(await archived("theme")).toMatchObject({ status: "CLOSED", folder: ".mu/jobs/.archive/theme" });
    const landed = await mu("land theme --json");
    expect(landed.json()).toMatchObject({ landed: [{ task: "theme", commits: 1 }] });
    expect(existsSync(at("dark.css"))).toBe(true);
    expect(readFileSync(at(".mu/jobs/.archive/theme/report.md"), "utf8")).toBe(REPORT);
  });
});

it("needs a git repository", async () => {
  const plain = join(home.folder, "plain");
  mkdirSync(plain);
  expect((await mu(`workstream set root ${plain}`)).code).toBe(0);
  await job("theme");
  mkdirSync(join(plain, ".mu/jobs/theme"), { recursive: true });
  writeFileSync(join(plain, ".mu/jobs/theme/report.md"), REPORT);
  expect(await fault("job push")).toMatchObject({ exit: 2, code: "job.push_needs_git" });
});

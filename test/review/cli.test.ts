import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Home, newHome } from "../support/cli.js";

let home: Home;
beforeEach(async () => {
  home = newHome();
  await home.sh(
    "git -c init.defaultBranch=main init -q; git config user.name ann; git config user.email ann@example.org",
  );
  mkdirSync(join(home.project, ".mu"));
  writeFileSync(join(home.project, ".mu", "settings.json"), '{ "landRequires": "review" }');
  await home.sh("echo one > a.txt; git add -A; git commit -qm first");
  await home.here("workstream init shop --root .");
});
afterEach(() => home.end());

it("from a finished task through a return and an approval to the branch and back, with the real verbs", async () => {
  const env = { MU_AGENT: "bob", MU_WORKSTREAM: "shop" };
  const ok = async (line: string | string[], options: Parameters<Home["here"]>[1] = {}) => {
    const { code, stderr, stdout } = await home.here(line, { env, ...options });
    expect(code, `${line}: ${stderr}`).toBe(0);
    return stdout;
  };
  await ok("workspace create bob");
  await ok("task add build --title Build --touches lib/**");
  await ok("task claim build --self");
  const cwd = (await ok("workspace path bob")).trim();
  await home.sh("printf '1\\n2\\n' > b.ts; git add -A; git commit -qm 'work of build'; echo three > c.txt", { cwd });
  const soFar = JSON.parse(await ok("task diff build --json"));
  expect(soFar).toMatchObject({ state: "in progress", uncommitted: 1, commits: [{ subject: "work of build" }] });
  expect(soFar.files).toEqual([
    { path: "b.ts", added: 2, removed: 0 },
    { path: "c.txt", added: 1, removed: 0 },
  ]);
  await home.sh("rm c.txt", { cwd });
  await ok("task close build", { cwd });

  expect(await ok("land")).toContain("• build waits for an approval");
  const queue = await ok("review");
  expect(queue).toMatch(/^build {2}Build\n {2}risk \d+, by bob, \+2 −0 in 1 file\n/);
  expect(queue).toContain("• changes b.ts, outside its scope\n");
  const comments = { input: "b.ts:2 Why two?\nIt is odd.\n" };
  expect(await ok("review return build --file -", comments)).toContain(
    "bob gets no prompt: the comments are on the task",
  );
  expect(await ok("review comments build")).toContain("○ 1. b.ts:2 Why two?\n       It is odd.");
  await ok("task claim build --self");
  await home.sh("echo 1 > b.ts; git commit -qam 'one is enough'", { cwd });
  await ok("task close build", { cwd });
  expect((await home.here("review approve build", { env })).stderr).toContain("1 open comment");
  expect(await ok("review handled build 1")).toContain("✓ 1. b.ts:2");

  expect(await ok("review build")).toMatch(/round 2[\s\S]*b\.ts \|\s+1 \+[\s\S]*✓ 1\. b\.ts:2/);
  expect(await ok("review approve build")).toMatch(/^Approved build at \w{10}\n/);
  expect(await ok("land")).toContain("✓ build");
  expect(await ok("task show build")).toMatch(/commits +\w{10} work of build\n +\w{10} one is enough\n/);
  expect(await ok("task diff build --name-only")).toBe("b.ts\n");
  expect(await ok("land --revert build")).toMatch(/^Reverted build on main with \w{8}; it is OPEN\n/);
  expect((await home.sh("git ls-files")).stdout).toBe(".mu/settings.json\na.txt\n");
  const log = (await home.here("log -w shop")).stdout;
  for (const said of [
    "returned build with 1 comment",
    "handled 1 comment on build",
    "approved build at",
    "reverted build on main",
  ]) {
    expect(log).toContain(said);
  }
  expect((await home.here("audit verify --tables")).code).toBe(0);
}, 90_000);

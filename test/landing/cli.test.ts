import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Home, newHome } from "../support/cli.js";

let home: Home;
beforeEach(async () => {
  home = newHome();
  const git = "git -c init.defaultBranch=main";
  await home.sh(`${git} init -q; git config user.name ann; git config user.email ann@example.org`);
  await home.sh("echo hello > README; echo one > a.txt; git add -A; git commit -qm first");
  await home.here("workstream init shop --root .");
});
afterEach(() => home.end());

/** A person with a workspace claims a task, commits in it, and closes the task. */
async function work(who: string, task: string, file: string, text: string): Promise<void> {
  const env = { MU_AGENT: who, MU_WORKSTREAM: "shop" };
  const ok = async (line: string, cwd?: string) => {
    const { code, stderr } = await home.here(line, { env, ...(cwd && { cwd }) });
    expect(code, `${line}: ${stderr}`).toBe(0);
  };
  await ok(`workspace create ${who}`);
  await ok(`task add ${task} --title ${task}`);
  await ok(`task claim ${task} --self`);
  const space = (await home.here(`workspace path ${who}`, { env })).stdout.trim();
  writeFileSync(join(space, file), text);
  await home.sh(`git add -A && git commit -qm 'work of ${task}'`, { cwd: space });
  await ok(`task close ${task}`, space);
}

it("from claim to main with the real verbs", async () => {
  await work("bob", "build", "build.txt", "b\n");
  await work("eve", "ours", "a.txt", "ours\n");
  await work("joe", "theirs", "a.txt", "theirs\n");
  const predicted = await home.here("land --dry-run -w shop");
  expect(predicted.stdout).toMatch(
    /^Would land 2 tasks on main\n {2}✓ build 1 commit\n {2}✓ ours 1 commit\nWould be returned\n/,
  );
  expect(predicted.code).toBe(1);
  const some = await home.here([
    "land",
    "build",
    "--dry-run",
    "--check",
    "test -e README",
    "--timeout",
    "9s",
    "-w",
    "shop",
  ]);
  expect(some.stdout).toContain("Apply it : mu land build --check 'test -e README' --timeout 9000ms -w shop");

  const landed = await home.here("land -w shop --check 'test -e README'");
  expect(landed.code, landed.stderr).toBe(1);
  expect(landed.stdout).toMatch(/^Landed 2 tasks on main \w{8} → \w{8}, test -e README passed in [\d.]+ s\n/);
  expect(landed.stdout).toContain("✗ theirs conflicts with main in a.txt");
  expect(landed.stdout).toContain("mu task notes shop/theirs --last 1");
  expect(landed.stdout).not.toContain("Push it");
  expect((await home.sh("git log --format=%s main")).stdout).toBe("work of ours\nwork of build\nfirst\n");
  expect((await home.here("log -w shop")).stdout).toContain("landed build on main");

  const again = await home.here("land -w shop --json");
  expect([again.code, again.json().landed, again.json().target]).toEqual([0, [], null]);
  expect((await home.here("audit verify")).code).toBe(0);
}, 60_000);

it("shows the next owner of a returned task where its work is, and warns on a close without it", async () => {
  await work("eve", "ours", "a.txt", "ours\n");
  await work("joe", "theirs", "a.txt", "theirs\n");
  expect((await home.here("land -w shop")).code).toBe(1);
  const commit = (await home.sh("git rev-parse refs/mu/work/shop/theirs")).stdout.trim().slice(0, 10);
  const place = `work is in joe's workspace, up to ${commit}.`;
  expect((await home.here("task notes shop/theirs --last 1")).stdout).toContain(`The ${place}`);

  const env = { MU_AGENT: "bob", MU_WORKSTREAM: "shop" };
  await home.here("task claim theirs --self", { env });
  const closed = await home.here("task close theirs", { env });
  expect([closed.code, closed.stdout]).toEqual([0, expect.stringContaining(`its earlier ${place}`)]);
  await home.here("task open theirs", { env });
  const unclaimed = await home.here("task close theirs --json", { env });
  expect(unclaimed.json().warnings).toMatchObject([{ code: "work_elsewhere" }]);
  await home.here("task open theirs", { env });

  const joe = { MU_AGENT: "joe", MU_WORKSTREAM: "shop" };
  await home.here("task claim theirs --self", { env: joe });
  const own = await home.here("task close theirs --json", { env: joe });
  expect(JSON.stringify(own.json().warnings)).not.toContain("work_elsewhere");
}, 60_000);

it("skips a task whose work may be uncommitted, unless it is named", async () => {
  const env = { MU_AGENT: "bob", MU_WORKSTREAM: "shop" };
  await home.here("workspace create bob", { env });
  await home.here("task add build --title Build -w shop");
  await home.here("task claim build --self", { env });
  const space = (await home.here("workspace path bob", { env })).stdout.trim();
  writeFileSync(join(space, "build.txt"), "b\n");
  expect((await home.here("task close build", { env })).stdout).toContain("not committed");
  const left = (await home.here("land -w shop --json")).json();
  expect(left).toMatchObject({ landed: [], skipped: [{ task: "build", why: "uncommitted" }] });
  expect(left.skipped[0].reason).toContain("1 file of bob is not committed");
  await home.here("task open build -w shop");
  await home.here("task claim build --self", { env });
  await home.sh("git add -A && git commit -qm 'work of build'", { cwd: space });
  await home.here("task close build", { env });
  expect((await home.here("land -w shop --json")).json().landed).toMatchObject([{ task: "build", commits: 1 }]);

  await home.here("task add ask --title Ask -w shop");
  await home.here("task claim ask --self", { env });
  await home.here("task close ask", { env });
  writeFileSync(join(space, "notes.txt"), "n\n");
  expect((await home.here("land ask -w shop --json")).json().skipped).toMatchObject([
    { task: "ask", why: "uncommitted" },
  ]);
  expect((await home.here("land ask --empty -w shop --json")).json().landed).toMatchObject([
    { task: "ask", commits: 0 },
  ]);
}, 60_000);

it("closes and lands the caller's named task, and leaves other tasks alone", async () => {
  const env = { MU_AGENT: "bob", MU_WORKSTREAM: "shop" };
  await home.here("workstream set check 'test -f build.txt' -w shop");
  await home.here("workspace create bob", { env });
  await home.here("task add build --title Build -w shop");
  await home.here("task claim build --self", { env });
  const space = (await home.here("workspace path bob", { env })).stdout.trim();
  expect((await home.here("prime", { env })).stdout).toContain(`Work in ${space} and commit there`);
  expect((await home.here("prime", { env })).stdout).not.toContain("--check");
  writeFileSync(join(space, "build.txt"), "b\n");
  await home.sh("git add -A && git commit -qm 'work of build'", { cwd: space });

  expect((await home.here("land build -w shop --json")).fault().code).toBe("landing.not_closed");
  expect((await home.here("land build --dry-run --json", { env })).fault().code).toBe("landing.not_closed");
  writeFileSync(join(home.project, "README"), "mine\n");
  const landed = await home.here("land build", { env });
  expect(landed.code, landed.stderr).toBe(0);
  expect(landed.stderr).toContain("Closed build.");
  expect((await home.sh("git log --format=%s main")).stdout).toBe("work of build\nfirst\n");
  expect((await home.sh("git status --porcelain")).stdout).toBe(" M README\n");
}, 60_000);

it("suggests how to push what has landed, and what to do if the remote is ahead", async () => {
  await home.sh("git init -q --bare ../origin.git; git remote add origin ../origin.git; git push -q origin main");
  await work("bob", "build", "build.txt", "b\n");
  await work("eve", "docs", "docs.txt", "d\n");
  const { stdout } = await home.here("land build -w shop");
  const push = /Push main : mu (.*)/.exec(stdout)?.[1] ?? "";
  expect(push).toBe("land build --push -w shop");
  expect((await home.here(push)).stdout).toMatch(/build has already landed\nPushed to origin/);
  expect((await home.sh("git log --format=%s origin/main")).stdout).toBe("work of build\nfirst\n");

  await home.sh(
    "git clone -q -b main ../origin.git ../other; cd ../other; git config user.name x; git config user.email x",
  );
  await home.sh("cd ../other && echo o > o && git add o && git commit -qm other && git push -q origin main");
  const refused = await home.here("land --push -w shop --json");
  expect([refused.code, refused.fault().code]).toEqual([5, "landing.push_failed"]);
  const steps = refused.fault().nextSteps as { command: string }[];
  for (const { command } of steps) expect([command, (await home.sh(command)).code]).toEqual([command, 0]);
  expect((await home.sh("git status -sb")).stdout).toBe("## main\n");
  expect((await home.sh("git diff main origin/main")).stdout).toBe("");
}, 60_000);

it("faults with a message and the right exit code", async () => {
  await work("bob", "build", "build.txt", "b\n");
  expect((await home.here("land --continue -w shop --json")).fault().code).toBe("landing.nothing_to_continue");
  writeFileSync(join(home.project, "build.txt"), "mine\n");
  const dirty = await home.here("land -w shop --no-check --json");
  expect([dirty.code, dirty.fault().code]).toEqual([4, "landing.checkout_dirty"]);
  expect((await home.here("land --check true --no-check -w shop --json")).fault().code).toBe("usage.two_checks");
}, 60_000);

it("explains that nothing lands without version control, and how to unblock dependents", async () => {
  const bare = newHome();
  try {
    const env = { MU_AGENT: "bob", MU_WORKSTREAM: "bare" };
    for (const line of [
      "workstream init bare --root .",
      "workspace create bob",
      "task add plan --title plan",
      "task add build --title build --blocked-by plan@landed",
      "task claim plan --self",
      "task close plan",
    ]) {
      const { code, stderr } = await bare.mu(line, { env });
      expect(code, `${line}: ${stderr}`).toBe(0);
    }
    const landed = await bare.mu("land -w bare --json");
    expect([landed.code, landed.fault().code]).toEqual([2, "landing.vcs_required"]);
    const told = await bare.mu("land plan -w bare");
    expect(told.stderr).toContain("no version control here");
    expect(told.stderr).toContain("mu task block build --by plan --until closed -w bare");

    await bare.mu("task block build --by plan --until closed -w bare");
    await bare.mu("task add own --title own --blocked-by plan@landed -w bare");
    await bare.mu("workspace free bob", { env });
    expect((await bare.mu("land -w bare")).stderr).toContain("mu task block own --by plan --until closed -w bare");
  } finally {
    await bare.end();
  }
}, 60_000);

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Home, newHome, outcome } from "../support/cli.js";

let home: Home;
beforeEach(async () => {
  home = newHome();
  await home.sh(
    "git -c init.defaultBranch=main init -q; git config user.name ann; git config user.email ann@example.org",
  );
  await home.sh("echo hello > README; git add -A; git commit -qm first");
  await home.here("workstream init shop --root .");
});
afterEach(() => home.end());

const ok = async (line: string) => {
  const ended = await home.here(line);
  expect(ended.code, `${line}: ${ended.stderr}`).toBe(0);
  return ended.stdout;
};

/** Runs the commands that an error tells, one after the other. */
async function follow(fault: { nextSteps: { command: string }[] }): Promise<void> {
  for (const { command } of fault.nextSteps) {
    const { code, stderr } = await home.sh(command);
    expect(code, `${command}: ${stderr}`).toBe(0);
  }
}

it("work of a workstream that is gone comes back by what the error says", async () => {
  await ok("workspace create bob");
  const path = (await ok("workspace path bob")).trim();
  await home.sh("echo mine > mine.txt", { cwd: path });
  expect(await ok("workstream destroy shop --yes")).toContain("saved shop/bob/1");
  expect(await ok("salvage list --all")).toMatch(/^shop\/bob\/1 +1 file +workstream destroy +\d+s ago *$/m);
  expect(await ok("salvage show shop/bob/1")).toContain("kept as refs/mu/salvage/shop/bob/1");
  const refused = await home.here("salvage restore shop/bob/1 --json");
  expect([refused.code, refused.fault().code]).toEqual([3, "workstream.not_found"]);
  await follow(refused.fault() as never);
  expect(readFileSync(join(path, "mine.txt"), "utf8")).toBe("mine\n");
}, 60_000);

it("a folder that was nobody's can be unpacked, though there is no project to put it into", async () => {
  const stray = join(home.folder, "state", "workspaces", "shop", "stray");
  await home.sh(`mkdir -p '${stray}' && echo f > '${stray}/f'`);
  expect(await ok("workspace orphans --yes")).toContain("shop/stray/1");
  const refused = await home.here("salvage restore stray/1 --json");
  expect([refused.code, refused.fault().code]).toEqual([3, "salvage.root_gone"]);
  await follow(refused.fault() as never);
  expect(readFileSync(join(home.project, "restored", "f"), "utf8")).toBe("f\n");
}, 60_000);

it("a workspace without its folder says how it comes back, and with it what was committed", async () => {
  await ok("workspace create bob");
  const path = (await ok("workspace path bob")).trim();
  await home.sh(`echo b > b && git add b && git commit -qm b && cd / && rm -rf '${path}'`, { cwd: path });
  for (const verb of ["refresh", "commits", "diff"]) {
    const refused = await home.here(`workspace ${verb} bob --json`);
    expect([verb, refused.code, refused.fault().code]).toEqual([verb, 3, "workspace.folder_gone"]);
  }
  const { nextSteps } = (await home.here("workspace refresh bob --json")).fault() as {
    nextSteps: { command: string }[];
  };
  await follow({ nextSteps: nextSteps.slice(0, 1) });
  await ok("salvage restore bob/1");
  expect(readFileSync(join(path, "b"), "utf8")).toBe("b\n");
}, 60_000);

it("what a refused create says can be pasted", async () => {
  const plain = join(home.folder, "no git");
  const empty = join(home.folder, "empty");
  await home.sh("mkdir '../no git' ../empty && git -C ../empty init -q");
  const copy = await home.here(["workspace", "create", "eve", "--backend", "git", "--project-root", plain, "--json"]);
  expect([copy.code, copy.fault().code]).toEqual([4, "workspace.no_repository"]);
  const steps = (copy.fault() as { nextSteps: { command: string }[] }).nextSteps;
  await follow({ nextSteps: steps.slice(-1) });
  const first = await home.here(["workspace", "create", "joe", "--project-root", empty, "--json"]);
  expect([first.code, first.fault().code]).toEqual([4, "vcs.no_commits"]);
  const who = "GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a";
  const { command = "" } = (first.fault() as { nextSteps: { command: string }[] }).nextSteps[0] ?? {};
  expect((await home.sh(`${who} ${command}`)).code).toBe(0);
  expect((await home.here(["workspace", "create", "joe", "--project-root", empty])).code).toBe(0);
}, 60_000);

it("Ctrl-C ends the setup of a new workspace, and nothing of it stays", async () => {
  await ok("workspace create old");
  await home.sh("mkfifo ../begun");
  await home.here(["workspace", "setup", "--command", `echo > '${join(home.folder, "begun")}'; sleep 1000`]);
  for (const line of ["workspace create bob", "workspace create bob --json", "workspace recreate old"]) {
    const running = home.start(line);
    const ended = outcome(running);
    await home.sh("cat ../begun");
    running.kill("SIGINT");
    const { code, stderr } = await ended;
    const told = { error: expect.any(String), message: expect.stringMatching(/^The setup command .* was stopped\./) };
    expect(code).toBe(130);
    if (line.endsWith("--json")) expect(JSON.parse(stderr)).toMatchObject({ ...told, exitCode: 130 });
    else expect(stderr).toMatch(/^mu: The setup command .* was stopped\./);
  }
  expect((await home.here("workspace list --json")).json().count).toBe(0);
  expect(existsSync(join(home.folder, "state", "workspaces", "shop", "bob"))).toBe(false);
  expect((await home.sh("git worktree list")).stdout.trim().split("\n")).toHaveLength(1);
}, 60_000);

it("a branch that is set and not there is named with its setting, for workspaces and for landings", async () => {
  await ok("workspace create eve");
  await ok("task add plan --title plan -w shop");
  await ok("task close plan -w shop");
  await ok("workstream set branch nope -w shop");
  const unset = "mu workstream set branch --unset -w shop";
  for (const line of [
    "workspace create bob",
    "workspace recreate eve --yes",
    "land plan --empty -w shop",
    "land plan --empty --dry-run -w shop",
  ]) {
    const refused = await home.here(`${line} --json`);
    expect([line, refused.code, refused.fault().code]).toEqual([line, 3, "vcs.unknown_ref"]);
    expect(refused.fault().message).toContain('The branch setting of shop is "nope".');
    expect(JSON.stringify(refused.fault())).toContain(unset);
  }
  const asked = await home.here("land plan --empty --onto nope -w shop --json");
  expect([asked.fault().code, JSON.stringify(asked.fault()).includes(unset)]).toEqual(["vcs.unknown_ref", false]);
  await home.here(unset.slice(3));
  await ok("workspace create bob");
  await ok("land plan --empty -w shop");
}, 60_000);

it("a person's workspace is one to go to, not one to start an agent in", async () => {
  const spawn = "mu agent spawn shop/bob --workspace";
  const mine = await home.here("workspace create bob -w shop", { env: { MU_AGENT: "bob" } });
  expect(mine.stdout).toContain('cd "$(mu workspace path shop/bob)"');
  expect(mine.stdout).not.toContain(spawn);
  await ok("workspace free bob -w shop");
  expect(await ok("workspace create bob -w shop")).toContain(spawn);

  await ok("task add plan --title plan -w shop");
  await home.here("task claim plan --self -w shop", { env: { MU_AGENT: "bob" } });
  await ok("workspace free bob -w shop");
  expect(await ok("workspace create bob -w shop")).not.toContain(spawn);

  const taken = await home.here("agent spawn bob --cli shell -w shop --json");
  expect([taken.code, taken.fault().code]).toEqual([4, "agent.exists"]);
  expect(taken.fault().nextSteps.map(({ command }) => command)).toEqual(["mu agent show bob -w shop"]);
  await ok("agent show bob -w shop");
}, 60_000);

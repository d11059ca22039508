import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { installAgentClis } from "../../scripts/install-agent-clis.js";
import { execProgram } from "../../src/exec.js";
import { type Json, openRealCrew, type RealCrew } from "./crew.js";

const TASKS = ["add", "subtract", "multiply"];
const AGENTS = ["ada", "bob", "cid"];
const GIT = { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };

/** One story in chapters: each goes on where the last one ended. */
describe("three pi agents in one repository", () => {
  let crew: RealCrew;
  const mu: RealCrew["mu"] = (...words) => crew.mu(...words);
  const git = async (...args: string[]) => {
    const env = { ...process.env, ...GIT };
    const { code, stdout, stderr } = await execProgram("git", args, { cwd: crew.project, env });
    if (code !== 0) throw new Error(`git ${args.join(" ")}: ${stderr}`);
    return stdout.trim();
  };

  beforeAll(async () => {
    const { state, line } = await installAgentClis();
    if (state === "failed") throw new Error(line);
    crew = await openRealCrew();
    mkdirSync(join(crew.project, "src"));
    mkdirSync(join(crew.project, "test"));
    writeFileSync(join(crew.project, "package.json"), '{ "type": "module" }\n');
    for (const folder of ["src", "test"]) writeFileSync(join(crew.project, folder, ".gitkeep"), "");
    await git("init", "-q", "-b", "main");
    for (const name of ["user.name", "user.email"]) await git("config", name, "ann@example.org");
    await git("add", "-A");
    await git("commit", "-qm", "Begin");
    await mu(["workstream", "init", "toy", "--root", crew.project]);
    for (const name of TASKS) await mu(["task", "add", name, "-w", "toy", "--title", `Write ${name}(a, b)`]);
  });
  afterAll(() => crew?.close());

  test("have a workspace each", async () => {
    for (const name of AGENTS) {
      const { workspace, readiness } = await mu(["agent", "spawn", name, "--cli", "pi", "--workspace", "-w", "toy"]);
      expect([workspace.agent, workspace.backend, readiness.ready]).toEqual([name, "git", true]);
    }
    const { items } = await mu(["workspace", "list", "-w", "toy"]);
    expect(items).toMatchObject(AGENTS.map((agent) => ({ agent, ahead: 0, behind: 0, dirty: 0 })));
  });

  test("implement a task each, and their checks are green", async () => {
    for (const name of AGENTS) await mu(["agent", "send", name, "Implement the next task.", "-w", "toy"]);
    await mu(["agent", "wait", ...AGENTS, "-w", "toy", "--timeout", "90s"]);
    const { items } = await mu(["task", "list", "-w", "toy"]);
    expect(items.map((task: Json) => [task.status, task.level])).toEqual(TASKS.map(() => ["CLOSED", "verified"]));
    expect(items.map((task: Json) => task.owner).sort()).toEqual(AGENTS);
    expect(await mu(["workspace", "conflicts", "-w", "toy"])).toMatchObject({ count: 0 });
  });

  test("and all of it lands on main, each task once", async () => {
    const landing = await mu(["land", "--all", "--check", "node --test test/", "-w", "toy"]);
    expect(landing.landed.map(({ task }: Json) => task).sort()).toEqual([...TASKS].sort());
    const subjects = (await git("log", "--format=%s", "main")).split("\n");
    expect(subjects.sort()).toEqual(["Begin", ...TASKS.map((name) => `Implement ${name}`)].sort());
    expect(readdirSync(join(crew.project, "src")).sort()).toEqual(
      [".gitkeep", ...TASKS.map((name) => `${name}.js`)].sort(),
    );
    expect(await git("status", "--porcelain")).toBe("");
    const { items } = await mu(["task", "list", "-w", "toy"]);
    expect(items.map((task: Json) => task.level)).toEqual(["landed", "landed", "landed"]);
  });

  test("who is closed then leaves no workspace behind", async () => {
    for (const name of AGENTS)
      expect(await mu(["agent", "close", name, "-w", "toy"])).toMatchObject({ workspaceFreed: true });
    expect(await mu(["workspace", "list", "-w", "toy"])).toMatchObject({ count: 0 });
    expect(await git("worktree", "list")).not.toContain("\n");
    expect(await mu(["audit", "verify", "--tables"])).toMatchObject({ ok: true, tables: "same" });
  });
});

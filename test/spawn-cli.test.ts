import { existsSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { execProgram } from "../src/exec.js";
import { type Desk, openDesk } from "./support/desk.js";
import { describeTmux, eventually } from "./support/tmux.js";

interface Started {
  agent: { name: string; cli: string; role: string | null; access: string; command: string };
  workspace: { path: string } | null;
  task: { name: string; owner: string } | null;
  delivery: { state: string; text: string } | null;
  problem: { code: string } | null;
}
interface Outcomes<T> {
  items: T[];
  count: number;
  refused: { name: string; code: string; exitCode: number }[];
}

let desk: Desk;
beforeEach(() => {
  desk = openDesk();
});
afterEach(() => desk.end());

const git = async (...args: string[]) => {
  const author = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"];
  const { code, stdout, stderr } = await execProgram("git", [...author, ...args], { cwd: desk.project });
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
};
const repository = async () => {
  await git("init", "-q", "-b", "main");
  await git("commit", "-q", "--allow-empty", "-m", "Begin");
};
const settings = (value: object) => {
  mkdirSync(join(desk.project, ".mu"), { recursive: true });
  writeFileSync(join(desk.project, ".mu/settings.json"), JSON.stringify(value));
};
const init = (...words: string[]) => desk.json("workstream", "init", "demo", ...words);
const spawn = (name: string, ...words: string[]) =>
  desk.json<Started>("agent", "spawn", name, "--cli", "shell", "--no-ready", ...words);
const branches = async () => (await git("branch", "--format=%(refname:short)")).split("\n");

describeTmux("mu agent spawn", () => {
  it("gives a workspace in a repository, unless the line, the setting, the role or the access says otherwise", async () => {
    await init();
    expect((await spawn("plain")).workspace).toBeNull();
    await git("init", "-q", "-b", "main");
    expect((await spawn("empty")).workspace).toBeNull();
    await git("commit", "-q", "--allow-empty", "-m", "Begin");
    expect((await spawn("ada")).workspace?.path).toMatch(/\/workspaces\/demo\/ada$/);
    expect(await branches()).toEqual(["main", "mu/demo/ada"]);
    expect((await spawn("here", "--here")).workspace).toBeNull();
    expect((await spawn("there", "--cwd", desk.home)).workspace).toBeNull();
    expect((await desk.fault("agent", "spawn", "bob", "--here", "--workspace")).code).toBe("usage.two_folders");
    expect((await desk.fault("agent", "spawn", "bob", "--here", "--from", "main")).code).toBe("usage.no_workspace");
    settings({ workspaces: "off", roles: { ops: { cli: "command", command: "cat", workspace: false } } });
    expect((await spawn("off")).workspace).toBeNull();
    expect((await spawn("asked", "--workspace")).workspace).not.toBeNull();
    settings({ roles: { ops: { cli: "command", command: "cat", workspace: false, access: "full" } } });
    expect((await spawn("ops-1", "--role", "ops")).workspace).toBeNull();
    settings({ workspaces: "sometimes" });
    expect((await desk.fault("agent", "spawn", "bob", "--cli", "shell")).code).toBe("settings.invalid");
  });

  it("starts in the part of the repository that the workstream is about", async () => {
    await repository();
    mkdirSync(join(desk.project, "app"));
    writeFileSync(join(desk.project, "app/a.txt"), "a");
    await git("add", "-A");
    await git("commit", "-q", "-m", "App");
    await desk.mu(["workstream", "init", "demo", "--root", "app"]);
    const { workspace } = await spawn("ada", "-w", "demo");
    const [pane] = (await desk.server.tmux.listPanes()).filter(({ title }) => title.includes("ada"));
    const path = await desk.server.raw("display", "-p", "-t", pane?.id ?? "", "#{pane_current_path}");
    expect(path.trim()).toBe(join(realpathSync(workspace?.path ?? ""), "app"));
  });

  it("takes what it leaves open from the role of that name", async () => {
    await init();
    settings({ roles: { code: { cli: "command", command: "cat -u", access: "full" } } });
    const { agent } = await desk.json<Started>("agent", "spawn", "ada", "--role", "code", "--no-ready");
    expect(agent).toMatchObject({ role: "code", cli: "command", command: "cat -u" });
    const own = await desk.json<Started>("agent", "spawn", "bob", "--role", "code", "--cli", "shell", "--no-ready");
    expect(own.agent).toMatchObject({ role: "code", cli: "shell", command: "sh" });
  });

  it("starts on a task with one command, and says what was given", async () => {
    await repository();
    await init();
    await desk.json("task", "add", "fix", "--title", "Fix it");
    const words = ["agent", "spawn", "ada", "--command", "cat", "--task", "fix", "--prompt", "echo $MU_AGENT"];
    const { task, delivery, problem } = await desk.json<Started>(...words);
    expect([task, problem]).toMatchObject([{ name: "fix", owner: "ada" }, null]);
    expect(delivery).toMatchObject({ state: "typed" });
    expect(delivery?.text).toContain("echo $MU_AGENT");
    expect((await desk.fault("agent", "spawn", "bob", "--cli", "shell", "--task", "fix")).code).toBe(
      "task.already_claimed",
    );
    expect((await desk.json<Outcomes<unknown>>("agent", "list")).count).toBe(1);
    const dead = ["agent", "spawn", "eve", "--command", "read x; cat", "--prompt", "hi", "--timeout", "1s"];
    const stuck = await desk.mu([...dead, "--json"]);
    expect(JSON.parse(stuck.out)).toMatchObject({ agent: { name: "eve" }, delivery: { text: "hi" } });
  });

  it("tells a shell its task without a word of it being run", async () => {
    await init();
    const made = (name: string) => join(desk.server.dir, name);
    const title = `It's \`touch ${made("ran")}\` $(touch ${made("ran")})`;
    await desk.json("task", "add", "fix", "--title", title);
    await desk.mu(["agent", "spawn", "ada", "--cli", "shell", "--task", "fix", "--prompt", `touch ${made("over")}`]);
    await eventually("its prompt", async () => existsSync(made("over")));
    expect(existsSync(made("ran"))).toBe(false);
    expect((await desk.json<{ task: { status: string } }>("task", "show", "fix")).task.status).toBe("IN_PROGRESS");
  });

  it("starts several at once on the first free names, each in its own workspace", async () => {
    await repository();
    await init();
    await spawn("ada-2");
    const three = await desk.json<Outcomes<Started>>(
      ...["agent", "spawn", "ada", "--cli", "shell", "--count", "3", "--prompt", "echo hi"],
    );
    expect(three.items.map(({ agent }) => agent.name).sort()).toEqual(["ada-1", "ada-3", "ada-4"]);
    expect(three.items.map(({ delivery }) => delivery?.text)).toEqual(["echo hi", "echo hi", "echo hi"]);
    expect(new Set(three.items.map(({ workspace }) => workspace?.path)).size).toBe(3);
    const twice = ["agent", "spawn", "bob", "--cli", "shell", "--no-ready", "--count", "2"];
    const both = await Promise.all([1, 2].map(() => desk.json<Outcomes<Started>>(...twice)));
    const names = both.flatMap(({ items }) => items.map(({ agent }) => agent.name));
    expect(names.sort()).toEqual(["bob-1", "bob-2", "bob-3", "bob-4"]);
    const none = await desk.mu(["agent", "spawn", "eve", "--command", "no-such-program", "--count", "2", "--json"]);
    expect([none.code, JSON.parse(none.out)]).toMatchObject([5, { count: 0, refused: [{ name: "eve-1" }, {}] }]);
    expect((await desk.fault("agent", "spawn", "eve", "--task", "x", "--count", "2")).code).toBe("usage.one_task");
  });

  it("is part of the first day: mu workstream init --agents", async () => {
    await repository();
    const made = await init("--agents", "2", "--cli", "shell");
    expect(made).toMatchObject({ created: true, agents: [{ name: "worker-1" }, { name: "worker-2" }], refused: [] });
    const again = await init("--agents", "3", "--cli", "shell");
    expect(again).toMatchObject({ created: false, agents: [{ name: "worker-3" }] });
    expect((await desk.fault("workstream", "init", "other", "--cli", "shell")).code).toBe("usage.no_agents");
  });

  it("several at once are sent to, interrupted and closed, and nobody is left out in silence", async () => {
    await init();
    for (const name of ["ada", "bob"]) await spawn(name);
    const sent = await desk.json<Outcomes<{ delivery: { agent: string } }>>("agent", "send", "--all", "echo to-all");
    expect(sent.items.map(({ delivery }) => delivery.agent).sort()).toEqual(["ada", "bob"]);
    expect((await desk.fault("agent", "send", "--all", "ada", "hi")).code).toBe("usage.too_many_arguments");
    expect((await desk.fault("agent", "interrupt")).code).toBe("usage.missing_argument");
    const none = await desk.json<Outcomes<unknown>>("agent", "interrupt", "--all");
    expect(none.refused.map(({ code, exitCode }) => [code, exitCode])).toEqual(Array(2).fill(["agent.not_busy", 0]));
    const freed = await desk.mu(["agent", "free", "ada", "nobody", "ada"]);
    expect([freed.code, freed.out]).toEqual([3, expect.stringMatching(/ada is free\n {2}! .*"nobody"/)]);
    const one = await desk.json<{ agent: object }>("agent", "free", "bob");
    expect(one.agent).toMatchObject({ name: "bob" });
    expect((await desk.mu(["agent", "close", "ada", "bob"])).out).toMatch(/Closed ada\nClosed bob\n/);
    expect((await desk.fault("agent", "send", "--all", "hi")).code).toBe("agent.none");
  });

  it("several tasks are closed in turn, each for itself, with the exit code of the worst", async () => {
    await init();
    for (const name of ["a", "b", "c"]) await desk.json("task", "add", name, "--title", name);
    const { code, out } = await desk.mu(["task", "close", "a", "nothing", "b", "--json"]);
    expect([code, JSON.parse(out)]).toMatchObject([
      3,
      { count: 2, items: [{ task: { name: "a" } }, { task: { name: "b" } }], refused: [{ name: "nothing" }] },
    ]);
    expect(await desk.json("task", "close", "c")).toMatchObject({ task: { name: "c" }, changed: true });
    const undone = await desk.mu(["undo", "--yes"]);
    expect(undone.code).toBe(0);
    expect((await desk.mu(["task", "delete", "a", "b"])).out.match(/Would delete/g)).toHaveLength(2);
  });
});

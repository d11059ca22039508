import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PLACEHOLDER_WINDOW } from "../src/tmux/windows.js";
import { type Desk, openDesk } from "./support/desk.js";
import { describeTmux, eventually } from "./support/tmux.js";

interface Agent {
  name: string;
  pane: string;
  status: string;
  spawnedAt: string;
  closedAt: string | null;
}
interface Suggested {
  busy: string[];
  nextSteps: { command: string }[];
}

interface Listed<T = Agent> {
  items: T[];
  count: number;
}
interface Shown {
  agent: Agent;
}

let desk: Desk;
beforeEach(async () => {
  desk = openDesk();
  await desk.json("workstream", "init", "demo");
});
afterEach(() => desk.end());

const spawn = async (name: string, ...words: string[]) =>
  (await desk.json<Shown>("agent", "spawn", name, "-w", "demo", ...(words.length > 0 ? words : ["--cli", "shell"])))
    .agent;
const list = async (...words: string[]) => (await desk.json<Listed>("agent", "list", ...words)).items;
const read = async (name: string) => (await desk.json<{ lines: string[] }>("agent", "read", name)).lines.join("\n");
/** The panes without the placeholder that keeps the session open. */
const agentPanes = async () =>
  (await desk.server.tmux.listPanes()).filter((pane) => pane.windowName !== PLACEHOLDER_WINDOW).map((pane) => pane.id);
const sees = (name: string, pattern: RegExp) =>
  eventually(`${pattern} in ${name}`, async () => {
    const text = await read(name);
    return pattern.test(text) && text;
  });

describeTmux("a crew on the command line", () => {
  it("starts a workstream and says how to attach", async () => {
    const { out } = await desk.mu(["workstream", "init", "shop"]);
    expect(out).toContain("tmux -L t attach -t '=mu-shop'");
  });

  it("spawns, lists, shows, reads, and says what it knows of what it sends", async () => {
    expect(await spawn("worker-1")).toMatchObject({ name: "worker-1", status: "idle" });
    expect((await list()).map((agent) => agent.name)).toEqual(["worker-1"]);
    expect((await desk.mu(["agent", "show", "worker-1"])).out).toContain("pane %");

    const sent = await desk.json<{ delivery: { state: string } }>("agent", "send", "worker-1", "seq 1 50");
    expect(sent.delivery.state).toBe("typed");
    await sees("worker-1", /\b50\b/);
    const { lines } = await desk.json<{ lines: string[] }>("agent", "read", "worker-1", "-n", "5");
    expect(lines).toHaveLength(5);
    expect(lines.slice(0, 4)).toEqual(["47", "48", "49", "50"]);
    expect((await desk.mu(["agent", "read", "worker-1", "-n", "5"])).out.split("\n").slice(0, 4)).toEqual(
      lines.slice(0, 4),
    );
    expect(await desk.mu(["agent", "send", "worker-1", "true"])).toMatchObject({
      code: 8,
      out: expect.stringMatching(/^Typed to worker-1: .*\. That does not show who read it; see its pane/),
    });
  });

  it("lets an agent claim from inside its pane, whatever its title says", async () => {
    const { pane } = await spawn("worker-1");
    await desk.json("task", "add", "build", "--title", "Build it");
    await desk.server.raw("select-pane", "-t", pane, "-T", "somebody-else");
    await desk.json("agent", "send", "worker-1", "mu task claim --next && mu me");
    const said = await sees("worker-1", /\$MU_AGENT_ID: incarnation 1, worker-1 in demo/);
    expect(said).toContain("worker-1, an agent in demo");
    const { task } = await desk.json<{ task: { owner: string } }>("task", "show", "build");
    expect(task.owner).toBe("worker-1");
  });

  it("gives a task back when the pane of its owner is gone, and whoever waits is told", async () => {
    const { pane } = await spawn("worker-1");
    await desk.json("task", "add", "build", "--title", "Build it");
    await desk.json("task", "claim", "build", "--for", "worker-1");
    await desk.server.raw("kill-pane", "-t", pane);
    const { code, out: said } = await desk.mu(["task", "wait", "build"]);
    expect([code, said]).toEqual([6, expect.stringContaining("An owner died")]);

    expect(await list()).toEqual([]);
    const { out } = await desk.mu(["task", "show", "build"]);
    expect(out).toMatch(/status +OPEN/);
    expect(out).toContain("[reaper] worker-1 is gone");
    expect((await desk.mu(["agent", "read", "worker-1"])).code).toBe(0);
    expect(await desk.fault("agent", "send", "worker-1", "hello")).toMatchObject({ exit: 3, code: "agent.not_found" });
  });

  it("refuses to type to a program that has ended, and to an agent that was closed", async () => {
    const { pane } = await spawn("worker-1");
    await desk.server.raw("set-option", "-p", "-t", pane, "remain-on-exit", "on");
    await desk.json("agent", "send", "worker-1", "exit");
    const send = () => desk.fault("agent", "send", "worker-1", "hello");
    await eventually("it is refused", async () => {
      const { code } = await desk.mu(["agent", "send", "worker-1", "hello"]);
      return code !== 0;
    });
    expect(["delivery.refused", "agent.not_found"]).toContain((await send()).code);
    await desk.mu(["agent", "close", "worker-1"]);
    expect(await send()).toMatchObject({ exit: 3, code: "agent.not_found" });
  });

  it("ensures, renames, restarts, frees, focuses and waits", async () => {
    const ensure = () =>
      desk.json<{ created: boolean; reused: boolean }>("agent", "ensure", "helper", "--cli", "shell");
    expect(await ensure()).toMatchObject({ created: true, reused: false });
    expect(await ensure()).toMatchObject({ created: false, reused: true });
    await desk.json("agent", "rename", "helper", "worker-2");
    const before = (await list())[0];
    const restarted = await desk.json<Shown & { beginning: string }>("agent", "restart", "worker-2");
    expect(restarted.agent.spawnedAt).not.toBe(before?.spawnedAt);
    expect(restarted.beginning).toBe("started fresh: shell has no conversations to resume");
    await desk.json("agent", "free", "worker-2");
    expect(await list()).toMatchObject([{ name: "worker-2", status: "free" }]);
    expect((await desk.mu(["agent", "focus", "worker-2"])).code).toBe(0);
    expect((await desk.mu(["agent", "wait", "worker-2", "--timeout", "20s"])).code).toBe(0);
  });

  it("shows an agent CLI that nobody adopted", async () => {
    await spawn("worker-1");
    const file = join(desk.server.dir, "codex");
    writeFileSync(file, `#!${process.execPath}\nsetInterval(() => {}, 1e6);\n`, { mode: 0o755 });
    const where = { session: "mu-demo", window: "w", cwd: desk.server.dir };
    const { pane } = await desk.server.tmux.openPane({ ...where, argv: [file] });
    const stray = [{ pane, workstream: "demo", cli: "codex" }];
    const orphans = async (...words: string[]) => (await desk.json<{ orphans: object[] }>(...words)).orphans;
    await eventually("the stray", async () => (await orphans("agent", "list")).length > 0);
    for (const words of [
      ["agent", "list"],
      ["state", "-w", "demo"],
    ]) {
      expect(await orphans(...words)).toMatchObject(stray);
      expect((await desk.mu(words)).out).toContain(`codex in pane ${pane} is no agent: \`mu agent adopt ${pane}`);
    }
  });

  it("kicks what runs in front, and only that", async () => {
    await spawn("worker-1");
    expect((await desk.fault("agent", "kick", "worker-1")).exit).toBe(1);
    await desk.json("agent", "send", "worker-1", "sleep 500");
    await eventually("sleep is in front", async () => (await list()).find((agent) => agent.status === "busy"));
    expect((await desk.mu(["agent", "kick", "worker-1"])).code).toBe(0);
    await eventually("it is idle again", async () => (await list()).find((agent) => agent.status === "idle"));
  });

  it("adopts a pane by either spelling, and works with it", async () => {
    const pane = (await desk.server.raw("new-session", "-d", "-s", "own", "-P", "-F", "#{pane_id}", "sh")).trim();
    const adopted = await desk.json<Shown>("adopt", pane, "--name", "stray", "--cli", "shell");
    expect(adopted.agent).toMatchObject({ name: "stray", pane });
    expect(await desk.json("agent", "adopt", pane, "--name", "stray")).toMatchObject({ alreadyAdopted: true });
    await desk.json("agent", "send", "stray", "echo here");
    await desk.json("agent", "close", "stray");
    expect(await desk.server.raw("list-panes", "-a")).not.toContain(pane);
  });

  it("reaps who is idle and has no task, after showing it", async () => {
    for (const name of ["lazy", "worker-1"]) await spawn(name);
    await desk.json("task", "add", "build", "--title", "Build it");
    await desk.json("task", "claim", "build", "--for", "worker-1");
    const dry = await desk.mu(["agent", "reap-idle", "--idle-for", "0s", "--dry-run"]);
    expect(dry.out).toContain("mu agent reap-idle --idle-for 0s");
    expect(await list()).toHaveLength(2);
    await desk.json("agent", "reap-idle", "--idle-for", "0s");
    expect((await list()).map((agent) => agent.name)).toEqual(["worker-1"]);
  });

  it("does not begin a second half of a crew behind another tmux socket, and names the first one's", async () => {
    const { pane } = await spawn("worker-1");
    const words = ["agent", "spawn", "worker-2", "-w", "demo", "--cli", "shell", "--json"];
    const { code, err } = await desk.mu(words, { env: { MU_TMUX_SOCKET: join(desk.server.dir, "other") } });
    const { code: fault, nextSteps } = JSON.parse(err);
    expect([code, fault]).toEqual([4, "agent.other_socket"]);
    const socket = (await desk.server.raw("display-message", "-p", "#{socket_path}")).trim();
    expect(nextSteps[0].command).toBe(`MU_TMUX_SOCKET=${socket} mu agent spawn worker-2 -w demo`);
    expect(existsSync(join(desk.server.dir, "other"))).toBe(false);
    const second = await desk.mu(words, { env: { MU_TMUX_SOCKET: socket } });
    expect(second.code).toBe(0);
    expect(await agentPanes()).toEqual([pane, JSON.parse(second.out).agent.pane]);
  });

  it("tells what it last saw, why, and explains a saved screen", async () => {
    await spawn("worker-1");
    await list();
    const polled = await desk.json<Listed>("agent", "poll");
    expect(polled.items).toMatchObject([{ name: "worker-1", status: "idle", dead: false }]);
    const explained = await desk.json<{ status: string; history: unknown[] }>(
      "agent",
      "explain",
      "worker-1",
      "--history",
    );
    expect(explained.status).toBe("idle");
    expect(explained.history.length).toBeGreaterThan(0);
    await desk.json("agent", "explain", "worker-1", "--save", "odd");
    for (const kind of ["txt", "ansi", "meta"]) expect(existsSync(join(desk.project, `odd.${kind}`))).toBe(true);
    expect(await desk.json("agent", "explain", "--from", "odd", "--cli", "shell")).toEqual({
      status: "idle",
      reason: "sh waits for a command",
      rule: "shell.front",
      evidence: [expect.stringMatching(/^[$#] $/)],
    });
  });

  it("prints the way to a pane where there is no terminal", async () => {
    const { pane } = await spawn("worker-1");
    const { code, out } = await desk.mu(["agent", "attach", "worker-1"]);
    expect([code, out.trim()]).toEqual([0, `Attach with: tmux -u -L t attach-session -t '${pane}'`]);
  });

  it("keeps the outbox", async () => {
    await spawn("worker-1");
    await desk.json("agent", "send", "worker-1", "sleep 500");
    await eventually("it is busy", async () => (await list()).find((agent) => agent.status === "busy"));
    const pending = await desk.fault("agent", "send", "worker-1", "echo later", "--timeout", "300ms");
    expect(pending).toMatchObject({ exit: 5, code: "delivery.pending" });
    const id = String(JSON.parse(pending.details).delivery);
    const { items } = await desk.json<Listed<{ id: number; state: string }>>("delivery", "list");
    expect(items.map((delivery) => delivery.state)).toEqual(["queued", "typed"]);
    const count = async (...flags: string[]) =>
      (await desk.json<Listed<unknown>>("delivery", "list", ...flags)).items.length;
    expect(await count("--state", "queued")).toBe(1);
    expect(await count("--state", "queued", "--state", "typed")).toBe(2);
    expect(await count("--limit", "1")).toBe(1);
    expect(await count("--limit", "0")).toBe(2);
    expect((await desk.mu(["delivery", "show", id])).out).toContain("echo later");
    await desk.json("delivery", "cancel", id);
    expect(await desk.fault("delivery", "cancel", id)).toMatchObject({ exit: 4, code: "delivery.settled" });

    await desk.json("agent", "kick", "worker-1");
    await eventually("it is idle", async () => (await list()).find((agent) => agent.status === "idle"));
    await desk.json("delivery", "retry", id);
    await sees("worker-1", /^later$/m);
    expect(await desk.fault("delivery", "cancel", id)).toMatchObject({ code: "delivery.settled" });
  });

  it("types what stays queued as soon as the agent is ready, although nobody looks any more", async () => {
    await spawn("worker-1");
    await desk.json("agent", "send", "worker-1", "head -n 1");
    await desk.fault("agent", "send", "worker-1", "echo first", "--timeout", "100ms");
    await desk.fault("agent", "send", "worker-1", "echo second", "--timeout", "100ms");
    const held = join(desk.server.dir, "state", "drains");
    await eventually("one process that waits", async () => existsSync(held) && readdirSync(held).length === 1);
    const { pane } = await desk.json<{ agent: { pane: string } }>("agent", "show", "worker-1").then((it) => it.agent);
    await desk.server.raw("send-keys", "-t", pane, "x", "Enter");
    const screen = () => desk.server.raw("capture-pane", "-p", "-t", pane);
    await eventually("both", async () => /^first$[\s\S]*^second$/m.test(await screen()));
    await eventually("its end", async () => readdirSync(held).length === 0);
  });

  it("refuses a role that means access", async () => {
    const refused = await desk.fault("agent", "spawn", "worker-1", "--role", "read-only");
    expect(refused).toMatchObject({ exit: 2, code: "usage.role_is_access" });
    expect(refused.details).toContain("--access read-only");
    expect(await list("--closed")).toEqual([]);
  });

  it("lets eight processes spawn into a new workstream at once", async () => {
    const names = Array.from({ length: 8 }, (_, n) => `worker-${n}`);
    const ran = await Promise.all(names.map((name) => spawn(name, "--command", "sleep 500")));
    expect(new Set(ran.map((agent) => agent.pane)).size).toBe(8);
    expect((await list()).map((agent) => agent.name).sort()).toEqual(names);
    expect((await desk.server.raw("list-sessions", "-F", "#{session_name}")).trim()).toBe("mu-demo");
    expect((await agentPanes()).sort()).toEqual(ran.map((agent) => agent.pane).sort());
  });

  it("shows the last words of a command that dies, and leaves nothing behind", async () => {
    const died = await desk.fault("agent", "spawn", "worker-1", "--command", "echo one; echo two; exit 3");
    expect(died).toMatchObject({ exit: 5, code: "agent.died" });
    expect(died.message).toMatch(/status 3[\s\S]*one\n\s+two/);
    expect(await agentPanes()).toEqual([]);
    expect(await list()).toEqual([]);
  });

  it("runs a command with quotes and dollars as sh does, and no name is ever a command", async () => {
    const trace = join(desk.project, "trace");
    await spawn("worker-1", "--command", `sh -c 'echo "it'"'"'s $(echo fine) #(touch ${trace})"; exec sleep 500'`);
    await sees("worker-1", /it's fine #\(touch/);
    for (const name of ["a b", "$(id)", "it's", "#(touch x)", "-x", "A"]) {
      expect((await desk.mu(["agent", "spawn", "--cli", "shell", "--", name])).code, name).toBe(2);
    }
    await desk.json("agent", "spawn", "worker-2", "--cli", "shell", "--window", `w' #(touch ${trace}) $(id)`);
    expect(await list()).toHaveLength(2);
    expect(existsSync(trace)).toBe(false);
  });

  it("renames a workstream with its session, and destroys both", async () => {
    await spawn("worker-1");
    await desk.json("workstream", "rename", "demo", "shop");
    expect((await desk.server.raw("list-sessions", "-F", "#{session_name}")).trim()).toBe("mu-shop");
    await desk.json("agent", "send", "shop/worker-1", "mu me");
    await sees("shop/worker-1", /worker-1, an agent in shop/);

    await desk.server.raw("split-window", "-d", "-t", "=mu-shop:", "cat");
    const { out } = await desk.mu(["workstream", "destroy", "shop"]);
    expect(out).toMatch(/agents: worker-1\n {2}tmux session mu-shop\n {2}pane %\d+, which is no agent's: /);
    expect(await list()).toHaveLength(1);
    await desk.json("workstream", "destroy", "shop", "--yes");
    expect(await desk.server.raw("list-sessions")).toBe("");
    expect((await desk.json<Listed>("workstream", "list")).items).toEqual([]);
  });

  it("suggests a destroy that goes through, also while an agent is busy", async () => {
    await spawn("worker-1");
    await desk.json("agent", "send", "worker-1", "sleep 1000");
    const { busy, nextSteps } = await desk.json<Suggested>("workstream", "destroy", "demo");
    expect(busy).toEqual(["worker-1"]);
    expect((await desk.fault("workstream", "destroy", "demo", "--yes")).code).toBe("workstream.in_use");
    const [, ...words] = nextSteps[0]?.command.split(" ") ?? [];
    expect((await desk.json<{ destroyed: boolean }>(...words)).destroyed).toBe(true);
  });

  it("brings a crew back after its tmux was killed", async () => {
    for (const name of ["worker-1", "worker-2"]) await spawn(name);
    await desk.json("task", "add", "build", "--title", "Build it");
    await desk.json("task", "claim", "build", "--for", "worker-1");
    await desk.server.raw("kill-server");
    const dry = await desk.json<Listed<{ action: string; tasks: string[] }>>("recover");
    expect(dry.items).toMatchObject([
      { action: "fresh", tasks: ["build"] },
      { action: "fresh", tasks: [] },
    ]);
    expect(await desk.server.raw("list-panes", "-a")).toBe("");

    expect(await list()).toEqual([]);
    expect((await desk.mu(["agent", "list"])).out).toBe("2 agents lost their panes: `mu recover`\n");
    await desk.json("recover", "--yes");
    expect((await desk.mu(["agent", "list"])).out).not.toContain("lost");
    expect((await list()).map((agent) => agent.name)).toEqual(["worker-1", "worker-2"]);
    const { task } = await desk.json<{ task: { owner: string; status: string } }>("task", "show", "build");
    expect(task).toMatchObject({ owner: "worker-1", status: "IN_PROGRESS" });
    expect((await desk.json<Listed<{ action: string }>>("recover", "--yes")).items).toMatchObject([
      { action: "keep" },
      { action: "keep" },
    ]);
  });

  it("is examined by doctor", async () => {
    expect((await desk.mu(["doctor"])).out).toMatch(/^[✓·] tmux {2}\d.*; has exactTargets/m);
  });
});

describe("around the crew", () => {
  it("installs hooks into a home, keeps what is the person's, and takes them out", async () => {
    const settings = join(desk.home, ".claude", "settings.json");
    const mine = '{\n  "model": "opus"\n}\n';
    mkdirSync(join(desk.home, ".claude"));
    writeFileSync(settings, mine);
    await desk.json("hooks", "install", "--cli", "claude");
    expect(readFileSync(settings, "utf8")).toContain('"model": "opus"');
    expect((await desk.mu(["hooks", "status"])).out).toMatch(/claude +installed/);
    await desk.json("hooks", "uninstall");
    expect(readFileSync(settings, "utf8")).toBe(mine);
    expect((await desk.mu(["hooks", "status"])).out).toMatch(/claude +absent/);
  });

  it("puts its skills where a CLI looks, both or one", async () => {
    await desk.json("skill", "install", "--cli", "claude");
    const skill = (name: string) => join(desk.home, ".claude/skills", name, "SKILL.md");
    expect(readFileSync(skill("mu"), "utf8")).toMatch(/^---\nname: mu\n/);
    expect(readFileSync(skill("mu-orchestrator"), "utf8")).toMatch(/^---\nname: mu-orchestrator\n/);
    const { items } = await desk.json("skill", "install", "--cli", "pi", "--role", "orchestrator");
    const path = join(desk.home, ".pi/agent/skills/mu-orchestrator/SKILL.md");
    expect(items).toEqual([{ cli: "pi", role: "orchestrator", path, changed: true }]);
  });

  it("primes inside a workstream and is silent outside", async () => {
    expect((await desk.mu(["prime"])).out).toContain("You are ann in the mu workstream demo.");
    await desk.json("task", "add", "brief", "--title", "Brief");
    await desk.json("task", "claim", "brief", "--self");
    expect((await desk.mu(["prime"])).out).toContain("mu task close brief --evidence '…' --check '…'");
    expect((await desk.mu(["prime"])).out).not.toContain("Commit your work");
    expect(await desk.mu(["prime"], { cwd: desk.home })).toEqual({ code: 0, out: "", err: "" });
  });

  it("says so where there is no tmux, and leaves no half agent", async () => {
    const bin = join(desk.home, "bin");
    mkdirSync(bin);
    symlinkSync("/bin/sh", join(bin, "sh"));
    const without = (...words: string[]) => desk.mu(words, { env: { PATH: bin } });
    const spawned = await without("agent", "spawn", "worker-1", "--command", "sh", "--json");
    expect(spawned.code).toBe(5);
    expect(JSON.parse(spawned.err)).toMatchObject({ code: "tmux.not_installed" });
    expect(JSON.parse((await without("agent", "list", "--json")).out).items).toEqual([]);
    expect((await without("doctor")).out).toContain("tmux is not installed");
    expect((await without("workstream", "rename", "demo", "shop")).code).toBe(0);
    expect((await without("workstream", "destroy", "shop", "--yes")).code).toBe(0);
  });
});

import { existsSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { getAgent } from "../../src/agents/agent.js";
import { readAgent } from "../../src/agents/files.js";
import { systemClock } from "../../src/clock.js";
import { closeAgent, closeAgents } from "../../src/crew/close.js";
import { type SpawnOptions, spawnAgent } from "../../src/crew/spawn.js";
import { execProgram } from "../../src/exec.js";
import { listProcesses } from "../../src/processes.js";
import { listNotes } from "../../src/tasks/notes.js";
import { getTask } from "../../src/tasks/task.js";
import { type PrivateCrew, privateCrew } from "../support/crew.js";
import { describeTmux, eventually } from "../support/tmux.js";

describeTmux("closing an agent", () => {
  let crew: PrivateCrew;
  beforeEach(async () => {
    crew = await privateCrew();
  });
  afterEach(() => crew.dispose());

  const db = () => crew.crew.context.store.db;
  const ref = (name: string) => ({ workstream: "demo", name });
  const spawn = async (name: string, options: Partial<SpawnOptions> = {}) =>
    (await spawnAgent(crew.crew, ref(name), { command: "cat", cwd: crew.server.dir, ...options })).agent;
  const shown = (pane: string | null, text: string) =>
    eventually(text, async () => (await crew.server.tmux.readPane(pane ?? "", 50)).join("\n").includes(text));
  const isAlive = async (pid: number) =>
    (await listProcesses({ exec: execProgram, context: { clock: systemClock } })).some(
      (one) => one.pid === pid && !one.zombie,
    );

  it("ends pane, window and row, and gives its tasks back with a note, in one write", async () => {
    await spawn("other");
    const agent = await spawn("worker-1");
    await crew.give("build", "worker-1");
    const closed = await closeAgent(crew.crew, ref("worker-1"), { reason: "done for today" });
    expect(closed).toMatchObject({ changed: true, killedPane: true, released: ["build"] });
    expect(closed.agent.closedAt).not.toBeNull();
    expect((await crew.panes()).map(({ windowName }) => windowName)).toEqual(["other"]);
    expect(await getTask(db(), ref("build"))).toMatchObject({ status: "OPEN", owner: null });
    expect(await listNotes(db(), ref("build"))).toMatchObject([
      { author: "tester", text: "[close] worker-1 was closed: done for today; the task is open again." },
    ]);
    expect((await crew.events()).slice(-2)).toEqual(["agent.close", "agent.close"]);
    expect(await getAgent(db(), ref("worker-1"))).toMatchObject({ pane: agent.pane, status: "terminated" });
  });

  it("of what is closed changes nothing, and of what never was is told", async () => {
    await spawn("worker-1");
    await closeAgent(crew.crew, ref("worker-1"));
    const events = await crew.events();
    expect(await closeAgent(crew.crew, ref("worker-1"))).toMatchObject({ changed: false, killedPane: false });
    expect(await crew.events()).toEqual(events);
    await expect(closeAgent(crew.crew, ref("worker-2"))).rejects.toMatchObject({
      kind: "missing",
      code: "agent.not_found",
    });
  });

  it("ends the whole tree, also what does not listen and what lost its parent", async () => {
    const command = `trap '' TERM HUP; (trap '' TERM HUP; exec sleep 1003) & echo $! >stubborn
(sh -c 'nohup sleep 1004 >/dev/null 2>&1 & echo $! >orphan'); echo ready; cat; cat; cat`;
    const agent = await spawn("worker-1", { command });
    await shown(agent.pane, "ready");
    const pids = ["stubborn", "orphan"].map((name) => Number(readFileSync(join(crew.server.dir, name), "utf8")));
    expect(await Promise.all(pids.map(isAlive))).toEqual([true, true]);
    await closeAgent(crew.crew, ref("worker-1"), { graceMs: 200 });
    expect(await Promise.all(pids.map(isAlive))).toEqual([false, false]);
  });

  it("finds a program that outlived its tmux server, and nobody else's", async () => {
    const agent = await spawn("worker-1", {
      command: "trap '' TERM HUP; echo $$ >pid; echo ready; while :; do sleep 1; done",
    });
    await shown(agent.pane, "ready");
    const pid = Number(readFileSync(join(crew.server.dir, "pid"), "utf8"));
    await crew.server.raw("kill-server");
    expect(await isAlive(pid)).toBe(true);
    expect(await closeAgent(crew.crew, ref("worker-1"), { graceMs: 200 })).toMatchObject({ killedPane: false });
    expect(await isAlive(pid)).toBe(false);
  });

  it("ends what has left the pane's processes for good, and says so", async () => {
    const agent = await spawn("worker-1", {
      command: "(setsid sleep 1005 & echo $! >stray); echo ready; exec cat",
    });
    await shown(agent.pane, "ready");
    const file = join(crew.server.dir, "stray");
    const pid = await eventually("the stray", async () => existsSync(file) && Number(readFileSync(file, "utf8")));
    const { outlived } = await closeAgent(crew.crew, ref("worker-1"));
    expect(outlived).toContain(`sleep (${pid})`);
    expect(await isAlive(pid)).toBe(false);
  });

  it("leaves a daemon alone that Codex keeps for all its sessions", async () => {
    const program = join(crew.server.dir, "codex");
    symlinkSync(process.execPath, program);
    const script = `require("fs").writeFileSync("daemon", String(process.pid)); setInterval(() => {}, 1e9)`;
    const daemon = `${program} -e '${script}' -- app-server --listen unix:// --managed-daemon`;
    const agent = await spawn("worker-1", { command: `(setsid ${daemon} &); echo ready; exec cat` });
    await shown(agent.pane, "ready");
    const file = join(crew.server.dir, "daemon");
    const pid = await eventually("the daemon", async () => existsSync(file) && Number(readFileSync(file, "utf8")));
    try {
      await closeAgent(crew.crew, ref("worker-1"));
      expect(await isAlive(pid)).toBe(true);
    } finally {
      process.kill(-pid, "SIGKILL");
    }
  });

  it("ends an interactive shell by a hang-up, and goes on with what is stopped", async () => {
    await spawn("worker-1", { cli: "shell", command: "bash --norc -i" });
    const agent = await spawn("worker-2", {
      command: `sh -c 'trap "" HUP; trap "echo bye >bye; exit" TERM; echo ready; kill -STOP $$' & exec cat`,
    });
    await shown(agent.pane, "ready");
    const never = { graceMs: 60_000 };
    expect(await closeAgents(crew.crew, [ref("worker-1"), ref("worker-2")], never)).toMatchObject([
      { changed: true, killedPane: true },
      { changed: true, killedPane: true },
    ]);
    expect(readFileSync(join(crew.server.dir, "bye"), "utf8")).toBe("bye\n");
    expect(await crew.panes()).toEqual([]);
  });

  it("never touches a pane that another server or another agent has now", async () => {
    const first = await spawn("worker-1");
    await crew.server.raw("kill-server");
    const stranger = await crew.server.tmux.openPane({
      session: "mu-demo",
      window: "stranger",
      cwd: crew.server.dir,
      argv: ["cat"],
    });
    await crew.server.tmux.confirmPane(stranger.pane);
    expect(stranger.pane).toBe(first.pane);
    expect(await closeAgent(crew.crew, ref("worker-1"))).toMatchObject({ changed: true, killedPane: false });
    expect(await crew.panes()).toMatchObject([{ id: stranger.pane, dead: false }]);

    const second = await spawn("worker-2");
    await crew.server.tmux.setPaneIdentity(second.pane ?? "", { agent: "thief", agentId: "777" });
    expect(await closeAgent(crew.crew, ref("worker-2"))).toMatchObject({ changed: true, killedPane: false });
    expect((await crew.panes()).map(({ id }) => id)).toContain(second.pane);
  });

  it("by a stale incarnation does nothing to its namesake", async () => {
    await spawn("worker-1");
    const stale = Number((await crew.panes())[0]?.agentId);
    await closeAgent(crew.crew, ref("worker-1"));
    const fresh = await spawn("worker-1");
    await expect(closeAgent(crew.crew, ref("worker-1"), { incarnation: stale })).rejects.toMatchObject({
      kind: "conflict",
      code: "agent.replaced",
    });
    expect((await crew.panes()).map(({ id }) => id)).toEqual([fresh.pane]);
  });

  it("keeps what the pane showed: five lines are five lines, before and after", async () => {
    const agent = await spawn("worker-1", { command: "seq 1 100; exec cat", size: { width: 40, height: 8 } });
    await shown(agent.pane, "100");
    const last = ["96", "97", "98", "99", "100"];
    expect(await readAgent(crew.crew, ref("worker-1"), { lines: 5 })).toMatchObject({ lines: last, source: "pane" });
    await closeAgent(crew.crew, ref("worker-1"));
    expect(await readAgent(crew.crew, ref("worker-1"), { lines: 5 })).toMatchObject({ lines: last, source: "screen" });
    expect((await readAgent(crew.crew, ref("worker-1"), { lines: 1000 })).lines).toHaveLength(100);
  });

  it("what a pane printed that nobody closed can be read from its transcript", async () => {
    const agent = await spawn("worker-1", { command: "seq 1 100; exec cat" });
    await shown(agent.pane, "100");
    await crew.server.tmux.killPane(agent.pane ?? "");
    const reading = await eventually("transcript", async () => {
      const found = await readAgent(crew.crew, ref("worker-1"), { lines: 2 });
      return found.lines.length > 0 && found;
    });
    expect(reading).toMatchObject({ lines: ["99", "100"], source: "transcript" });
  });

  it("from within the agent's own pane writes first, then goes down with it", async () => {
    const agent = await spawn("worker-1");
    await crew.give("build", "worker-1");
    const inside = crew.other({
      env: { TMUX: `${crew.server.dir}/t,${agent.server?.split("@")[0]},0`, TMUX_PANE: agent.pane ?? "" },
    });
    expect(await closeAgent(inside, ref("worker-1"))).toMatchObject({ changed: true, released: ["build"] });
    expect(await crew.panes()).toEqual([]);
  });

  it("twice at once is one close", async () => {
    await spawn("worker-1");
    await crew.give("build", "worker-1");
    const [a, b] = [crew.other(), crew.other()];
    const both = await Promise.all([closeAgent(a, ref("worker-1")), closeAgent(b, ref("worker-1"))]);
    expect(both.flatMap(({ released }) => released)).toEqual(["build"]);
    expect(await listNotes(db(), ref("build"))).toHaveLength(1);
  });
});

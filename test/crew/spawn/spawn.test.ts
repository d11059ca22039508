import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { getAgent, listAgents } from "../../../src/agents/agent.js";
import { readLaunch, readTail, transcriptPath } from "../../../src/agents/files.js";
import { closeAgent } from "../../../src/crew/close.js";
import { type SpawnOptions, spawnAgent } from "../../../src/crew/spawn.js";
import type { Run } from "../../../src/tmux/run.js";
import { type PrivateCrew, privateCrew } from "../../support/crew.js";
import { describeTmux, eventually } from "../../support/tmux.js";

describeTmux("spawning an agent", () => {
  let crew: PrivateCrew;
  beforeEach(async () => {
    crew = await privateCrew();
  });
  afterEach(() => crew.dispose());

  const db = () => crew.crew.context.store.db;
  const ref = (name: string) => ({ workstream: "demo", name });
  const spawn = (name: string, options: Partial<SpawnOptions> = {}, by = crew.crew) =>
    spawnAgent(by, ref(name), { command: "cat", cwd: crew.server.dir, ...options });
  const nothingIsLeft = async () => {
    expect(await listAgents(db(), "demo")).toEqual([]);
    expect(await crew.panes()).toEqual([]);
    expect(readdirSync(join(crew.crew.stateDir, "transcripts"))).toEqual([]);
    expect(readdirSync(join(crew.crew.stateDir, "launches"))).toEqual([]);
  };

  it("gives a pane in the workstream's session, and a row that says which", async () => {
    const { agent, readiness } = await spawn("worker-1", { role: "builder", access: "read-only" });
    expect(readiness).toBeNull();
    expect(await crew.panes()).toMatchObject([
      {
        id: agent.pane,
        server: agent.server,
        session: "mu-demo",
        windowName: "worker-1",
        title: "worker-1",
        agent: "worker-1",
        command: "cat",
        dead: false,
      },
    ]);
    expect(agent).toMatchObject({
      name: "worker-1",
      workstream: "demo",
      cli: "command",
      role: "builder",
      access: "read-only",
      status: "spawning",
      command: "cat",
      window: "worker-1",
      closedAt: null,
    });
    expect(await getAgent(db(), ref("worker-1"))).toEqual(agent);
    expect(await crew.events()).toEqual(["workstream.init", "agent.spawn", "agent.spawn"]);
  });

  it("the program finds who it is, and where the database is, in its environment", async () => {
    const { agent } = await spawn("worker-1", {
      command: "env >env.txt; exec cat",
      env: { ODD: "a;b\n$(touch x)", MU_STATE_DIR: "/elsewhere" },
    });
    const text = await eventually("env", async () => {
      const [pane] = await crew.panes();
      return pane?.command === "cat" && readFileSync(join(crew.server.dir, "env.txt"), "utf8");
    });
    const [pane] = await crew.panes();
    expect(text).toContain("ODD=a;b\n$(touch x)\n");
    expect(Object.fromEntries([...text.matchAll(/^(MU_\w+|TMUX_PANE)=(.*)$/gm)].map(([, k, v]) => [k, v]))).toEqual({
      MU_WORKSTREAM: "demo",
      MU_AGENT: "worker-1",
      MU_AGENT_ID: pane?.agentId,
      MU_AGENT_SINCE: expect.stringMatching(/^\d{4}-.*Z$/),
      MU_DB_PATH: crew.crew.databaseEnv["MU_DB_PATH"],
      MU_STATE_DIR: crew.crew.databaseEnv["MU_STATE_DIR"],
      TMUX_PANE: agent.pane,
    });
  });

  it("eight spawns into a new workstream at once are eight agents in one session", async () => {
    const others = Array.from({ length: 8 }, () => crew.other());
    const spawned = await Promise.all(others.map((other, i) => spawn(`worker-${i}`, {}, other)));
    const panes = await crew.panes();
    expect(new Set(spawned.map(({ agent }) => agent.pane)).size).toBe(8);
    expect(panes.map(({ id }) => id).sort()).toEqual(spawned.map(({ agent }) => agent.pane).sort());
    expect(new Set(panes.map(({ session }) => session))).toEqual(new Set(["mu-demo"]));
    expect(await listAgents(db(), "demo")).toHaveLength(8);
  });

  it("of eight spawns of the same agent one wins, and the others are told", async () => {
    const others = Array.from({ length: 8 }, () => crew.other());
    const results = await Promise.allSettled(others.map((other) => spawn("worker-1", {}, other)));
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const faults = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
    for (const fault of faults) expect(fault).toMatchObject({ kind: "conflict", code: "agent.exists", exitCode: 4 });
    expect(await crew.panes()).toHaveLength(1);
  });

  it("agents that name a window share it, in the layout they ask for", async () => {
    const size = { width: 200, height: 60 };
    for (const name of ["a", "b", "c"]) await spawn(name, { window: "crew", layout: "even-vertical", size });
    const panes = await crew.panes();
    expect(new Set(panes.map(({ window }) => window)).size).toBe(1);
    expect(new Set(panes.map(({ width }) => width))).toEqual(new Set([200]));
    expect(await getAgent(db(), ref("b"))).toMatchObject({ window: "crew" });
  });

  it("commands with quotes, substitutions and newlines run as sh reads them; names with them are refused", async () => {
    const command = `printf '%s|' "it's" "$(echo sub)" 'a;b' '$(touch no)'
printf 'second line;'
exec cat`;
    const { agent } = await spawn("worker-1", { command, args: [] });
    expect(agent.command).toBe(command);
    await eventually("output", async () =>
      (await crew.server.tmux.readPane(agent.pane ?? "", 5)).join("").includes("it's|sub|a;b|$(touch no)|second line;"),
    );
    for (const name of ["it's", "$(x)", "a\nb", "A", "", "a b", "x".repeat(33)]) {
      await expect(spawn(name)).rejects.toMatchObject({ kind: "usage", code: "agent.invalid_name" });
    }
    expect(existsSync(join(crew.server.dir, "no"))).toBe(false);
  });

  it("arguments go behind the command, verbatim, with a shell and without", async () => {
    const args = ["two words", "$(touch no)", "a\nb;", "-x"];
    const outputs: string[] = [];
    for (const command of ["printf [%s]", "true && printf '[%s]'"]) {
      const error = await spawn("worker-1", { command, args }).catch((fault) => fault);
      outputs.push(error.details.lines.join("\n"));
    }
    const expected = "[two words][$(touch no)][a\nb;][-x]";
    expect(outputs).toEqual([expected, expected]);
    await nothingIsLeft();
  });

  it("a command that is not there is refused before anything is written or opened", async () => {
    for (const command of ["no-such-program --x", "A=1 no-such-program", "./no-such", "no-such-program; sleep 9"]) {
      await expect(spawn("worker-1", { command })).rejects.toMatchObject({
        kind: "unavailable",
        code: "agent.command_not_found",
        exitCode: 5,
      });
    }
    expect(await crew.events()).toEqual(["workstream.init"]);
    expect(await crew.panes()).toEqual([]);
  });

  it("the command comes from $MU_<KEY>_COMMAND when the user names none", async () => {
    const other = crew.other({ env: { MU_PI_COMMAND: "sleep 1001", MU_CODEX_COMMAND: "no-such-codex" } });
    const { agent } = await spawnAgent(other, ref("worker-1"), { cwd: crew.server.dir });
    expect(agent).toMatchObject({ cli: "pi", command: "sleep 1001" });
    await expect(spawnAgent(other, ref("worker-2"), { cli: "codex", cwd: crew.server.dir })).rejects.toMatchObject({
      code: "agent.command_not_found",
      details: { command: "no-such-codex" },
    });
    await expect(spawn("worker-2", { cli: "emacs" })).rejects.toMatchObject({ kind: "usage", code: "cli.unknown" });
  });

  it("a CLI gets its switches, also behind a wrapper with its name, and a stand-in does not", async () => {
    const wrapper = join(crew.server.dir, "my-claude");
    writeFileSync(wrapper, "#!/bin/sh\nprintf '<%s>' \"$@\"; exec cat\n", { mode: 0o755 });
    const shown = async (name: string, options: Partial<SpawnOptions>) => {
      const { agent } = await spawn(name, { cli: "claude", ...options });
      return eventually("output", async () => (await crew.server.tmux.readPane(agent.pane ?? "", 9)).join(""));
    };
    expect(await shown("a", { command: wrapper })).toContain("<--settings>");
    expect(await shown("b", { command: "printf '<%s>'; exec cat" })).toBe("<>");
    expect(await shown("c", { command: wrapper, args: ["x y"] })).toMatch(/<x y>$/);
  });

  it("a command that dies at once is told with its last words, and nothing is left behind", async () => {
    const fault = await spawn("worker-1", { command: "seq 1 60; echo 'fatal: no key' >&2; exit 3" }).catch((e) => e);
    expect(fault).toMatchObject({ kind: "unavailable", code: "agent.died", exitCode: 5 });
    expect(fault.message).toContain("status 3");
    expect(fault.message).toContain("fatal: no key");
    expect(fault.details.lines.slice(-2)).toEqual(["60", "fatal: no key"]);
    await nothingIsLeft();
    await spawn("worker-1");
  });

  it("false, which says nothing, is told too", async () => {
    await expect(spawn("worker-1", { command: "false" })).rejects.toMatchObject({ code: "agent.died" });
    await nothingIsLeft();
  });

  it("a pane that is killed during the spawn is a death, and nothing is left behind", async () => {
    const killing = crew.other({
      run: async (commands, options) => {
        const answer = await crew.server.tmux.run(commands, options);
        const pane = /^(%\d+)\n/.exec(answer.stdout)?.[1];
        if (pane && commands.some(([name]) => name === "respawn-pane")) await crew.server.tmux.killPane(pane);
        return answer;
      },
    });
    await expect(spawn("worker-1", {}, killing)).rejects.toMatchObject({ kind: "unavailable", code: "agent.died" });
    await nothingIsLeft();
  });

  it("an agent that is closed during its spawn leaves no pane behind", async () => {
    const closing = crew.other({
      run: async (commands, options) => {
        const answer = await crew.server.tmux.run(commands, options);
        if (commands.some(([name]) => name === "respawn-pane")) await closeAgent(crew.crew, ref("worker-1"));
        return answer;
      },
    });
    await expect(spawn("worker-1", {}, closing)).rejects.toMatchObject({
      kind: "conflict",
      code: "agent.closed_meanwhile",
    });
    await nothingIsLeft();
  });

  it("a folder that does not exist is told", async () => {
    const fault = await spawn("worker-1", { cwd: join(crew.server.dir, "gone") }).catch((e) => e);
    expect(fault).toMatchObject({ code: "agent.died" });
    expect(fault.message).toMatch(/cd:.*gone/);
    await nothingIsLeft();
  });

  it("mu's own variables and names that cannot be are refused", async () => {
    for (const env of [{ MU_AGENT_ID: "1" }, { "A B": "x" }, { A: "\0" }, { "": "x" }]) {
      await expect(spawn("worker-1", { env: env as Record<string, string> })).rejects.toMatchObject({
        kind: "usage",
        code: "agent.invalid_env",
      });
    }
  });

  it("waits for the CLI to be ready, when asked, and tells what it saw", async () => {
    const { agent, readiness } = await spawn("worker-1", { cli: "shell", command: "sh", ready: {} });
    expect(readiness).toMatchObject({ ready: true, status: "idle", rule: "shell.front" });
    expect(agent.status).toBe("idle");
  });

  it("a CLI that never gets ready is there all the same", async () => {
    const { agent, readiness } = await spawn("worker-1", {
      cli: "shell",
      command: "sleep 1002",
      ready: { timeoutMs: 300 },
    });
    expect(readiness).toMatchObject({ ready: false, status: "busy" });
    expect(agent).toMatchObject({ status: "busy", closedAt: null });
  });

  it("what a CLI prints while it loads is not taken for its first prompt", async () => {
    const rule = "─".repeat(40);
    const { readiness } = await spawn("worker-1", {
      cli: "pi",
      command: `echo 'fd not found. Offline mode.'; sleep 0.8; printf '${rule}\\n\\n${rule}\\n'; exec sleep 1003`,
      ready: {},
    });
    expect(readiness).toMatchObject({ ready: true, status: "idle", rule: "pi.editor" });
  });

  it("a launch script that has drawn and not yet become the CLI is no CLI that has ended", async () => {
    const rule = "─".repeat(40);
    const gate = join(crew.server.dir, "gate");
    execFileSync("mkfifo", [gate]);
    let calls = 0;
    const run: Run = (...call) => {
      calls++;
      return crew.server.tmux.run(...call);
    };
    const options: Partial<SpawnOptions> = {
      cli: "pi",
      command: `printf '${rule}\\n\\n${rule}\\n'; read -r word <'${gate}'; exec sleep 1003`,
      ready: {},
    };
    const spawned = spawn("worker-1", options, crew.other({ run }));
    const drawn = async () => (await crew.server.raw("capture-pane", "-p", "-t", "=mu-demo:")).includes(rule);
    await eventually("it is drawn", drawn);
    const before = calls;
    await eventually("it is looked at", async () => calls > before + 4);
    writeFileSync(gate, "go\n");
    expect((await spawned).readiness).toMatchObject({ ready: true, rule: "pi.editor" });
  });

  it("a CLI that dies while it is waited for is told with its last words", async () => {
    const fault = await spawn("worker-1", {
      cli: "claude",
      command: "sleep 0.4; echo 'No API key found'; exit 1",
      ready: {},
    }).catch((error) => error);
    expect(fault).toMatchObject({ code: "agent.died", details: { status: 1 } });
    expect(fault.message).toContain("No API key found");
    await nothingIsLeft();
  });

  it("a screen of 20 by 5 is enough", async () => {
    const { agent, readiness } = await spawn("worker-1", {
      cli: "shell",
      command: "sh",
      ready: {},
      size: { width: 20, height: 5 },
    });
    expect(readiness?.ready).toBe(true);
    expect(await crew.panes()).toMatchObject([{ id: agent.pane, width: 20 }]);
  });

  it("what it prints is kept from the first byte, for this user only", async () => {
    const { agent } = await spawn("worker-1", { command: "echo first; exec cat" });
    const [pane] = await crew.panes();
    const row = { id: Number(pane?.agentId), spawned_at: agent.spawnedAt, workstream: "demo", name: "worker-1" };
    await eventually("transcript", async () =>
      (await readTail(transcriptPath(crew.crew.stateDir, row), 3)).includes("first"),
    );
    expect(await readLaunch(crew.crew.stateDir, row)).toMatchObject({ command: "echo first; exec cat", shared: false });
  });

  it("panes have borders, unless the person or the workstream wants none", async () => {
    const { agent: a } = await spawn("a");
    const quiet = crew.other({ env: { MU_BANNER_QUIET: "1" } });
    const { agent: b } = await spawn("b", {}, quiet);
    const border = async (pane: string | null) =>
      (await crew.server.raw("display-message", "-p", "-t", pane ?? "", "#{pane-border-status}")).trim();
    expect([await border(a.pane), await border(b.pane)]).toEqual(["top", "off"]);
  });

  it("a half spawn of a minute ago is no obstacle, one of a moment ago is", async () => {
    await spawn("worker-1");
    const half = { pane: null, server: null, pid: null };
    await crew.server.tmux.killSession("mu-demo");
    await db().updateTable("agents").set(half).execute();
    await expect(spawn("worker-1")).rejects.toMatchObject({ code: "agent.exists" });
    const then = new Date(Date.now() - 61_000).toISOString();
    await db().updateTable("agents").set({ spawned_at: then }).execute();
    await spawn("worker-1");
    expect(await listAgents(db(), "demo", { all: true })).toHaveLength(2);
    expect(await listAgents(db(), "demo")).toHaveLength(1);
  });
});

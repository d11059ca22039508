import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { getAgent, listAgents } from "../../src/agents/agent.js";
import { drawBorders } from "../../src/agents/borders.js";
import { attachCommand, focusAgent, kickAgent } from "../../src/agents/pane.js";
import { freeAgent, pollAgents } from "../../src/agents/status/record.js";
import { waitForAgents } from "../../src/agents/status/wait.js";
import { adoptAgent } from "../../src/crew/adopt.js";
import { closeAgent, reapIdle } from "../../src/crew/close.js";
import { ensureAgent } from "../../src/crew/ensure.js";
import { renameAgent } from "../../src/crew/rename.js";
import { restartAgent } from "../../src/crew/restart.js";
import { type SpawnOptions, spawnAgent } from "../../src/crew/spawn.js";
import { getTask } from "../../src/tasks/task.js";
import { changeSetting, initWorkstream } from "../../src/workstreams/workstream.js";
import { type PrivateCrew, privateCrew } from "../support/crew.js";
import { describeTmux, eventually } from "../support/tmux.js";

describeTmux("an agent", () => {
  let crew: PrivateCrew;
  beforeEach(async () => {
    crew = await privateCrew();
  });
  afterEach(() => crew.dispose());

  const db = () => crew.crew.context.store.db;
  const ref = (name: string) => ({ workstream: "demo", name });
  const spawn = async (name: string, options: Partial<SpawnOptions> = {}) =>
    (await spawnAgent(crew.crew, ref(name), { command: "cat", cwd: crew.server.dir, ...options })).agent;
  const shows = (pane: string | null, text: string) =>
    eventually(text, async () => (await crew.server.tmux.readPane(pane ?? "", 50)).join("\n").includes(text));
  /** What an observer would have stored. */
  const see = async (name: string, status: string, secondsAgo = 0) => {
    const { id } = await db()
      .selectFrom("agents")
      .select("id")
      .where("name", "=", name)
      .orderBy("id", "desc")
      .executeTakeFirstOrThrow();
    const at = new Date(Date.now() - secondsAgo * 1000).toISOString();
    await db()
      .updateTable("agent_status")
      .set({ status, reason: `is ${status}`, at })
      .where("agent_id", "=", id)
      .execute();
  };

  describe("restarted", () => {
    it("is as it was, another incarnation, with its tasks", async () => {
      const before = await spawn("worker-1", {
        command: "echo $WORD $PWD; exec cat",
        env: { WORD: "hello" },
        cwd: "/usr",
        role: "builder",
      });
      await crew.give("build", "worker-1");
      const { agent, tasks, resumed, beginning } = await restartAgent(crew.crew, ref("worker-1"));
      expect([agent.pane, agent.server]).not.toEqual([before.pane, before.server]);
      expect(agent.server).toBe(before.server);
      expect(agent).toMatchObject({ name: "worker-1", role: "builder", command: before.command, closedAt: null });
      await shows(agent.pane, "hello /usr");
      expect({ tasks, resumed, beginning }).toEqual({
        tasks: ["build"],
        resumed: false,
        beginning: "started fresh: command has no conversations to resume",
      });
      expect(await getTask(db(), ref("build"))).toMatchObject({ status: "IN_PROGRESS", owner: "worker-1" });
      expect(await crew.panes()).toHaveLength(1);
      expect(await listAgents(db(), "demo", { all: true })).toHaveLength(2);
    });

    it("goes on with its conversation where the CLI can", async () => {
      await spawn("worker-1", { cli: "claude", command: "printf '<%s>'; cat; :", args: [] });
      await db().updateTable("agents").set({ session_ref: "s-1" }).execute();
      const script = `printf '<%s>' "$@"; exec cat; :`;
      const other = crew.other({
        env: { MU_CLAUDE_COMMAND: `sh -c '${script.replaceAll("'", "'\\''")}' claude` },
      });
      await closeAgent(crew.crew, ref("worker-1"));
      await spawnAgent(other, ref("worker-2"), { cli: "claude", cwd: crew.server.dir });
      await db().updateTable("agents").set({ session_ref: "s-2" }).where("name", "=", "worker-2").execute();
      const { agent, resumed, beginning } = await restartAgent(other, ref("worker-2"));
      expect({ resumed, beginning }).toEqual({ resumed: true, beginning: "resumed its conversation s-2" });
      expect(agent.sessionRef).toBe("s-2");
      await shows(agent.pane, "<--resume><s-2>");
      const fresh = await restartAgent(other, ref("worker-2"), { conversation: "fresh" });
      expect(fresh).toMatchObject({ resumed: false, agent: { sessionRef: null } });
    });

    it("comes back when its pane or its row is gone", async () => {
      const first = await spawn("worker-1");
      await crew.server.tmux.killPane(first.pane ?? "");
      const second = await restartAgent(crew.crew, ref("worker-1"));
      await closeAgent(crew.crew, ref("worker-1"));
      const third = await restartAgent(crew.crew, ref("worker-1"));
      expect((await crew.panes()).map(({ id }) => id)).toEqual([third.agent.pane]);
      expect(third.agent.spawnedAt).not.toBe(second.agent.spawnedAt);
    });

    it("keeps running when its command is not there any more", async () => {
      const { pane } = await spawn("worker-1");
      await expect(restartAgent(crew.crew, ref("worker-1"), { env: { PATH: "/nowhere" } })).rejects.toMatchObject({
        code: "agent.command_not_found",
      });
      expect((await crew.panes()).map(({ id }) => id)).toEqual([pane]);
    });

    it("gives its tasks back when it dies on the way", async () => {
      await spawn("worker-1", { command: "test ! -e once && touch once && exec cat" });
      await crew.give("build", "worker-1");
      await expect(restartAgent(crew.crew, ref("worker-1"))).rejects.toMatchObject({ code: "agent.died" });
      expect(await listAgents(db(), "demo")).toEqual([]);
      expect(await getTask(db(), ref("build"))).toMatchObject({ status: "OPEN", owner: null });
    });
  });

  describe("adopted", () => {
    const open = async (session: string, title?: string) => {
      const { pane } = await crew.server.tmux.openPane({ session, window: "w", cwd: crew.server.dir, argv: ["sh"] });
      await crew.server.tmux.confirmPane(pane);
      if (title !== undefined) await crew.server.raw("select-pane", "-t", pane, "-T", title);
      return pane;
    };

    it("by its pane or its title gets a row, a name on the pane and a transcript, once", async () => {
      const pane = await open("mu-demo", "worker-1 · build");
      const adopted = await adoptAgent(crew.crew, "demo", "worker-1");
      expect(adopted).toMatchObject({ adopted: true, previousTitle: "worker-1 · build", moved: false });
      expect(adopted.agent).toMatchObject({ name: "worker-1", pane, cli: "shell" });
      expect(await crew.panes()).toMatchObject([{ id: pane, title: "worker-1", agent: "worker-1" }]);
      expect(await adoptAgent(crew.crew, "demo", pane)).toMatchObject({ adopted: false, alreadyAdopted: true });
      await expect(adoptAgent(crew.crew, "demo", pane, { name: "zoe" })).rejects.toMatchObject({
        code: "agent.exists",
      });
      expect((await closeAgent(crew.crew, ref("worker-1"))).killedPane).toBe(true);
    });

    it("in another session stays there, and moves into the workstream's when asked to", async () => {
      const pane = await open("person", "helper");
      await open("person", "stays");
      const adopted = await adoptAgent(crew.crew, "demo", pane, { cli: "command" });
      expect(adopted).toMatchObject({ adopted: true, moved: false, session: "person" });
      expect((await crew.panes()).map(({ session }) => session)).toEqual(["person", "person"]);
      const moved = await adoptAgent(crew.crew, "demo", pane, { move: true });
      expect(moved).toMatchObject({ alreadyAdopted: true, moved: true, session: "mu-demo" });
      const panes = await crew.panes();
      expect(panes.map(({ session, windowName }) => [session, windowName]).sort()).toEqual([
        ["mu-demo", "_mu"],
        ["mu-demo", "helper"],
        ["person", "w"],
      ]);
    });

    it("that is another's says whose it is", async () => {
      await initWorkstream(crew.crew.context, "wb");
      const pane = await open("mu-demo", "solo");
      await adoptAgent(crew.crew, "demo", pane);
      const fault = await adoptAgent(crew.crew, "wb", pane).catch((error) => error);
      expect(fault).toMatchObject({ kind: "conflict", code: "agent.exists" });
      expect(fault.message).toContain('"demo/solo"');
      expect(fault.nextSteps[0].command).toBe("mu agent show demo/solo");
    });

    it("is not named after the machine, nor like somebody else, nor found by a title that two have", async () => {
      const plain = await open("mu-demo");
      await expect(adoptAgent(crew.crew, "demo", plain)).rejects.toMatchObject({
        kind: "usage",
        code: "agent.name_required",
      });
      await spawn("worker-1");
      await expect(adoptAgent(crew.crew, "demo", plain, { name: "worker-1" })).rejects.toMatchObject({
        kind: "conflict",
        code: "agent.exists",
      });
      for (const title of ["twin", "twin"]) await open("mu-demo", title);
      await expect(adoptAgent(crew.crew, "demo", "twin")).rejects.toMatchObject({ code: "pane.ambiguous" });
      for (const missing of ["%99", "nobody"]) {
        await expect(adoptAgent(crew.crew, "demo", missing)).rejects.toMatchObject({
          kind: "missing",
          code: "pane.not_found",
        });
      }
      await expect(adoptAgent(crew.crew, "demo", plain, { name: "it's" })).rejects.toMatchObject({
        code: "agent.invalid_name",
      });
    });
  });

  it("is ensured: made once, reused then, made again when its pane is gone, refused when it must be idle", async () => {
    const options = { command: "cat", cwd: crew.server.dir };
    const others = [crew.other(), crew.other(), crew.other()];
    const made = await Promise.all(others.map((other) => ensureAgent(other, ref("worker-1"), options)));
    expect(made.filter(({ created }) => created)).toHaveLength(1);
    expect(made.filter(({ reused }) => reused)).toHaveLength(2);
    const [pane] = await crew.panes();
    await see("worker-1", "busy");
    expect(await ensureAgent(crew.crew, ref("worker-1"), options)).toMatchObject({ reused: true, busy: true });
    await expect(ensureAgent(crew.crew, ref("worker-1"), { ...options, require: "idle" })).rejects.toMatchObject({
      kind: "conflict",
      code: "agent.busy",
    });
    await crew.server.tmux.killPane(pane?.id ?? "");
    expect(await ensureAgent(crew.crew, ref("worker-1"), options)).toMatchObject({ created: true, reused: false });
  });

  it("is renamed with its pane and its window, and stays the same incarnation", async () => {
    const { pane } = await spawn("worker-1");
    await spawn("taken");
    await expect(renameAgent(crew.crew, ref("worker-1"), "taken")).rejects.toMatchObject({ code: "agent.exists" });
    const { agent, previousName } = await renameAgent(crew.crew, ref("worker-1"), "builder");
    expect([previousName, agent.name, agent.pane]).toEqual(["worker-1", "builder", pane]);
    expect((await crew.panes()).find(({ id }) => id === pane)).toMatchObject({
      agent: "builder",
      title: "builder",
      windowName: "builder",
    });
  });

  it("is focused, and attached to in a way that fits where the caller sits", async () => {
    const a = await spawn("a");
    const b = await spawn("b");
    await focusAgent(crew.crew, ref("a"));
    const active = async () => (await crew.server.raw("display-message", "-p", "-t", "=mu-demo:", "#{pane_id}")).trim();
    expect(await active()).toBe(a.pane);
    const outside = await attachCommand(crew.crew, ref("b"));
    expect(outside.command.args.slice(-3)).toEqual(["attach-session", "-t", b.pane]);
    expect(await active()).toBe(b.pane);
    const inside = crew.other({ env: { TMUX: `x,${a.server?.split("@")[0]},0`, TMUX_PANE: a.pane ?? "" } });
    expect((await attachCommand(inside, ref("b"))).command.args).toContain("switch-client");
    await crew.server.tmux.killPane(b.pane ?? "");
    await expect(focusAgent(crew.crew, ref("b"))).rejects.toMatchObject({ kind: "missing", code: "pane.not_found" });
  });

  it("is kicked: what runs in front of it ends, and it stays", async () => {
    const { pane } = await spawn("worker-1", {
      cli: "shell",
      command: "bash --norc --noprofile",
      env: { HISTFILE: "" },
    });
    await expect(kickAgent(crew.crew, ref("worker-1"))).rejects.toMatchObject({
      kind: "negative",
      code: "agent.nothing_to_kick",
      exitCode: 1,
    });
    await crew.server.tmux.paste({
      pane: pane ?? "",
      text: "sleep 1005",
      enter: true,
    });
    await eventually("sleep", async () => (await crew.panes())[0]?.command === "sleep");
    expect(await kickAgent(crew.crew, ref("worker-1"))).toMatchObject({ signal: "SIGINT", programs: ["sleep"] });
    await eventually("bash", async () => (await crew.panes())[0]?.command === "bash");
  });

  it("is marked free, which is told once", async () => {
    await spawn("worker-1");
    await see("worker-1", "idle");
    expect(await freeAgent(crew.crew.context, ref("worker-1"))).toMatchObject({
      previousStatus: "idle",
      changed: true,
      agent: { status: "free" },
    });
    expect(await freeAgent(crew.crew.context, ref("worker-1"))).toMatchObject({ changed: false });
    expect((await crew.events()).filter((op) => op === "agent.free")).toHaveLength(1);
  });

  it("is polled from the database alone, and closed when it was idle for too long", async () => {
    for (const name of ["busy", "fresh", "idle", "owner"]) await spawn(name);
    await crew.give("build", "owner");
    await see("busy", "busy", 900);
    await see("fresh", "idle", 10);
    await see("idle", "idle", 900);
    await see("owner", "idle", 900);
    const polled = await pollAgents(crew.crew.context, "demo");
    expect(polled.map(({ name, status, tasks }) => [name, status, tasks])).toEqual([
      ["busy", "busy", []],
      ["fresh", "idle", []],
      ["idle", "idle", []],
      ["owner", "idle", ["build"]],
    ]);
    expect(polled[2]?.idleMs).toBeGreaterThanOrEqual(900_000);
    const actions = (reaped: { name: string; action: string }[]) =>
      reaped.map(({ name, action }) => `${name} ${action}`);
    const preview = await reapIdle(crew.crew, "demo", { idleForMs: 60_000, mode: "preview" });
    expect(actions(preview)).toEqual(["busy skipped", "fresh skipped", "idle would_close", "owner skipped"]);
    expect(await crew.panes()).toHaveLength(4);
    const reaped = await reapIdle(crew.crew, "demo", { idleForMs: 60_000 });
    expect(actions(reaped)).toEqual(["busy skipped", "fresh skipped", "idle closed", "owner skipped"]);
    expect(await crew.panes()).toHaveLength(3);
  });

  it("is waited for: at once when it is idle, until it is, until it is gone, and not for ever", async () => {
    await spawn("a");
    await spawn("b");
    const refs = [ref("a"), ref("b")];
    await see("a", "idle");
    await see("b", "busy");
    const { context } = crew.crew;
    const nothing = async () => {};
    expect(await waitForAgents(context, [ref("a")], nothing)).toMatchObject({ outcome: "reached", firing: null });
    expect(await waitForAgents(context, refs, nothing, { mode: "any" })).toMatchObject({ firing: { name: "a" } });
    const late = await waitForAgents(context, refs, nothing, { timeoutMs: 50, everyMs: 10 });
    expect(late).toMatchObject({ outcome: "timeout", timedOut: [{ name: "b", status: "busy", wasBusy: true }] });
    let looks = 0;
    const look = async () => {
      if (++looks === 3) await see("b", "idle");
    };
    expect(await waitForAgents(context, refs, look, { everyMs: 10 })).toMatchObject({
      outcome: "reached",
      all: [{ name: "a" }, { name: "b", wasBusy: true, reached: true }],
    });
    await see("b", "busy");
    const close = async () => {
      await closeAgent(crew.crew, ref("b"));
    };
    expect(await waitForAgents(context, refs, close, { everyMs: 10 })).toMatchObject({
      outcome: "died",
      firing: { name: "b", dead: true },
    });
  });

  it("has borders that can be turned off for a whole workstream", async () => {
    const size = { width: 200, height: 60 };
    const a = await spawn("a", { window: "crew", size });
    await spawn("b", { window: "crew", size });
    const ask = async (format: string) =>
      (await crew.server.raw("display-message", "-p", "-t", a.pane ?? "", format)).trim();
    expect(await ask("#{pane-border-status}")).toBe("top");
    await changeSetting(crew.crew.context, "demo", "borders", "off");
    expect(await drawBorders(crew.crew, "demo", "off")).toBe(1);
    expect(await ask("#{pane-border-status}")).toBe("off");
    const c = await spawn("c");
    expect((await crew.server.raw("display-message", "-p", "-t", c.pane ?? "", "#{pane-border-status}")).trim()).toBe(
      "off",
    );
  });

  it("is not found by a name like it, and a person has no pane", async () => {
    await spawn("worker-1");
    await expect(getAgent(db(), ref("worker-2"))).rejects.toMatchObject({ kind: "missing", code: "agent.not_found" });
    await expect(focusAgent(crew.crew, ref("worker-11"))).rejects.toThrow("Did you mean worker-1?");
  });
});

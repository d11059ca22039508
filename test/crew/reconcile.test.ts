import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Crew } from "../../src/agents/crew.js";
import { observeAgents } from "../../src/agents/status/observe.js";
import { reconcile } from "../../src/crew/reconcile.js";
import { connect } from "../../src/db/sqlite/connect.js";
import { write } from "../../src/db/write.js";
import { execProgram } from "../../src/exec.js";
import { listNotes } from "../../src/tasks/notes.js";
import { getTask } from "../../src/tasks/task.js";
import { waitForTasks } from "../../src/tasks/wait.js";
import { createRun, type Run } from "../../src/tmux/run.js";
import { PROGRAM } from "../support/cli.js";
import { openStage, PLAYER, type Stage } from "../support/stage.js";
import { describeTmux, eventually, privateTmux } from "../support/tmux.js";

describeTmux("reconciling", () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage();
  });
  afterEach(() => stage.end());

  const demo = (name: string) => ({ workstream: "demo", name });
  const db = () => stage.crew.context.store.db;
  const kill = (pane: string | null) => stage.server.raw("kill-pane", "-t", pane ?? "");

  it("asks tmux nothing when no agent is open", async () => {
    const run: Run = () => Promise.reject(new Error("tmux was asked"));
    expect(await reconcile(await stage.another(run))).toMatchObject({ agents: [], reaped: [], stale: false });
  });

  it("closes an agent whose pane is gone and gives its tasks back, in one write", async () => {
    const ada = await stage.enter("ada");
    await stage.enter("bob");
    await stage.work("build", ada);
    await stage.work("test", ada);
    await kill(ada.pane);
    const { reaped, agents } = await reconcile(stage.crew, "demo");
    expect(reaped).toEqual([
      { workstream: "demo", agent: "ada", reason: `pane ${ada.pane} is gone`, tasks: ["build", "test"] },
    ]);
    expect(agents.map((one) => one.agent)).toEqual(["bob"]);
    expect(await getTask(db(), demo("build"))).toMatchObject({ status: "OPEN", owner: null });
    expect(await listNotes(db(), demo("build"))).toMatchObject([
      { author: "reaper", text: expect.stringMatching(/^\[reaper\] ada is gone/) },
    ]);
    const reaps = await db().selectFrom("events").selectAll().where("op", "=", "agent.reap").execute();
    expect(reaps).toMatchObject([{ actor: "reaper", subject: "demo/ada" }]);
    expect((await reconcile(stage.crew)).reaped).toEqual([]);
  });

  it.each(["one process", "two processes"])("closes each agent once when two look at once, in %s", async (where) => {
    const [ada, bob] = [await stage.enter("ada"), await stage.enter("bob")];
    await stage.work("build", ada);
    await stage.work("test", bob);
    for (const { pane } of [ada, bob]) await kill(pane);
    const { databaseEnv, exec, env } = stage.crew;
    const apart = async () => {
      const all = { ...env, ...databaseEnv, XDG_CACHE_HOME: stage.server.dir, USER: "ann" };
      const { stdout } = await exec(process.execPath, [PROGRAM, "reconcile", "-w", "demo", "--json"], { env: all });
      return JSON.parse(stdout).reaped;
    };
    const here = async () => (await reconcile(await stage.another(), "demo")).reaped;
    const look = where === "one process" ? here : apart;
    const reaped = (await Promise.all([look(), look(), look()])).flat();
    expect(reaped.map(({ agent, tasks }) => `${agent} ${tasks}`).sort()).toEqual(["ada build", "bob test"]);
    const events = await db().selectFrom("events").select("op").where("op", "=", "agent.reap").execute();
    expect(events).toHaveLength(1);
    for (const task of ["build", "test"]) expect(await listNotes(db(), demo(task))).toHaveLength(1);
  });

  it("with report, only says what it would do", async () => {
    const ada = await stage.enter("ada");
    await kill(ada.pane);
    expect(await reconcile(stage.crew, "demo", { report: true })).toMatchObject({
      reaped: [{ agent: "ada" }],
      agents: [{ agent: "ada", status: "terminated" }],
    });
    expect(await db().selectFrom("agents").select("closed_at").execute()).toEqual([{ closed_at: null }]);
  });

  it("closes the whole crew of a server that was killed, and of none that lives elsewhere", async () => {
    const ada = await stage.enter("ada");
    await stage.work("build", ada);
    const neighbour = privateTmux();
    try {
      const elsewhere = { ...stage.crew, tmux: neighbour.tmux };
      expect(await reconcile(elsewhere)).toMatchObject({
        reaped: [],
        agents: [{ agent: "ada", status: "unreachable" }],
      });
      await stage.server.raw("kill-server");
      const died = () => eventually("the reap", async () => (await reconcile(elsewhere)).reaped.length > 0);
      await died();
      expect(await getTask(db(), demo("build"))).toMatchObject({ status: "OPEN" });
    } finally {
      await neighbour.dispose();
    }
  });

  it("shows an agent again as it is once its server is asked, though its pane stood still meanwhile", async () => {
    await stage.enter("ada", { cli: "player", argv: PLAYER });
    const status = async (crew: Crew) => (await observeAgents(crew))[0]?.status;
    const seenAt = async () => (await db().selectFrom("agent_status").select("seen_at").executeTakeFirst())?.seen_at;
    await eventually("its pane stands still", async () => {
      const before = await seenAt();
      return (await status(stage.crew)) === "idle" && (await seenAt()) === before;
    });
    const neighbour = privateTmux();
    try {
      expect(await status({ ...stage.crew, tmux: neighbour.tmux })).toBe("unreachable");
      expect(await status(stage.crew)).toBe("idle");
    } finally {
      await neighbour.dispose();
    }
  });

  it("leaves agents of other hosts alone", async () => {
    const ada = await stage.enter("ada");
    const spec = { op: "agent.spawn", scope: "demo", subject: "demo/ada" };
    await write(stage.crew.context, spec, (tx) => tx.patch("agents", ada.id, { host: "devbox" }));
    await kill(ada.pane);
    expect(await reconcile(stage.crew)).toMatchObject({ reaped: [], agents: [{ status: "unreachable" }] });
  });

  it("ends a spawn that was cut off, with the pane that its row never learnt of", async () => {
    const ada = await stage.enter("ada");
    const spec = { op: "agent.spawn", scope: "demo", subject: "demo/ada" };
    const none = { pane: null, server: null, pid: null };
    await write(stage.crew.context, spec, (tx) => tx.patch("agents", ada.id, none));
    expect(await reconcile(stage.crew)).toMatchObject({ reaped: [], agents: [{ status: "spawning" }] });
    const spawned_at = new Date(Date.now() - 61_000).toISOString();
    await write(stage.crew.context, spec, (tx) => tx.patch("agents", ada.id, { spawned_at }));
    expect(await reconcile(stage.crew)).toMatchObject({ reaped: [{ agent: "ada" }] });
    expect(await stage.crew.tmux.listPanes()).toEqual([]);
  });

  it("lists orphans and adopts none", async () => {
    await stage.enter("ada");
    await stage.server.raw("new-window", "-d", "-t", "=mu-demo:", "-n", "lost", "sleep 1000");
    await stage.server.raw("new-session", "-d", "-s", "mine", "sleep 1000");
    const crew = { ...stage.crew, env: { ...stage.crew.env, MU_PI_COMMAND: "/usr/bin/sleep" } };
    const { orphans } = await reconcile(crew, "demo");
    expect(orphans).toMatchObject([{ workstream: "demo", window: "lost" }]);
    expect(await db().selectFrom("agents").selectAll().execute()).toHaveLength(1);
  });

  it("shows the stored state if another process holds the lock for 200 ms", async () => {
    const ada = await stage.enter("ada");
    await observeAgents(stage.crew);
    await kill(ada.pane);
    const other = connect(join(stage.server.dir, "mu.db"), { timeout: 5_000 });
    other.exec("begin immediate");
    expect(await reconcile(stage.crew)).toMatchObject({ stale: true, agents: [{ agent: "ada", status: "idle" }] });
    other.exec("rollback");
    other.close();
    expect(await reconcile(stage.crew)).toMatchObject({ stale: false, reaped: [{ agent: "ada" }] });
  });

  it("ends a wait for a task whose owner died", async () => {
    const ada = await stage.enter("ada");
    await stage.work("build", ada);
    const waiting = waitForTasks(stage.crew.context, [demo("build")], {
      timeoutMs: 30_000,
      beforeLook: () => reconcile(stage.crew, "demo"),
    });
    await kill(ada.pane);
    expect(await waiting).toMatchObject({ outcome: "reaped", firing: { name: "build", status: "OPEN" } });
  });

  it.each([1, 2, 3, 4])("leaves nothing half done when tmux dies at its call %i", async (at) => {
    const ada = await stage.enter("ada");
    await stage.enter("bob");
    await stage.work("build", ada);
    await kill(ada.pane);
    let calls = 0;
    const run = createRun({ exec: execProgram, env: stage.server.env });
    const failing: Run = (commands, options) => {
      calls++;
      if (calls === at) execFileSync("tmux", ["-L", "t", "kill-server"], { env: stage.server.env });
      return run(commands, options);
    };
    await reconcile(await stage.another(failing)).catch(() => undefined);
    await eventually("the end", async () => {
      await reconcile(stage.crew);
      const open = await db().selectFrom("agents").select("name").where("closed_at", "is", null).execute();
      const panes = await stage.crew.tmux.listPanes();
      return open.length === panes.length;
    });
    expect(await getTask(db(), demo("build"))).toMatchObject({ status: "OPEN", owner: null });
  });
});

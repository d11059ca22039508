import { afterEach, beforeEach, expect, it } from "vitest";
import { type KnownOccupants, observeAgents, observeOnce } from "../../../src/agents/status/observe.js";
import { execProgram } from "../../../src/exec.js";
import { createRun, type Run } from "../../../src/tmux/run.js";
import { openStage, PLAYER, type Stage } from "../../support/stage.js";
import { describeTmux, eventually } from "../../support/tmux.js";

describeTmux("observing the crew", () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage();
  });
  afterEach(() => stage.end());

  const statuses = async () =>
    Object.fromEntries((await observeAgents(stage.crew)).map((one) => [one.agent, one.status]));
  const becomes = (agent: string, status: string) =>
    eventually(`${agent} is ${status}`, async () => (await statuses())[agent] === status);

  /** The same crew behind an executor that counts. */
  async function counted() {
    const calls: string[] = [];
    const run = createRun({ exec: execProgram, env: stage.server.env });
    const counting: Run = (commands, options) => {
      calls.push(commands[0]?.[0] ?? "");
      return run(commands, options);
    };
    return { crew: await stage.another(counting), calls };
  }

  it("asks tmux nothing when there is nobody to look at", async () => {
    const { crew, calls } = await counted();
    expect(await observeAgents(crew)).toEqual([]);
    expect(calls).toEqual([]);
  });

  it("follows an agent from ready over busy to its question and back", async () => {
    const script = { acts: [{ steps: [{ permission: "rm -rf build" }, { work: 60_000 }] }] };
    const agent = await stage.enter("ada", {
      cli: "player",
      argv: PLAYER,
      env: { MU_PLAYER_SCRIPT: JSON.stringify(script) },
    });
    await becomes("ada", "idle");
    await stage.crew.tmux.paste({ pane: agent.pane ?? "", text: "go", enter: true });
    await becomes("ada", "needs_permission");
    await stage.crew.tmux.sendKeys({ pane: agent.pane ?? "", keys: ["y"] });
    await becomes("ada", "busy");
    await stage.crew.tmux.sendKeys({ pane: agent.pane ?? "", keys: ["Escape"] });
    await becomes("ada", "idle");
    const history = await stage.crew.context.store.db.selectFrom("observations").select(["status", "rule"]).execute();
    expect(
      history
        .map((one) => one.status)
        .filter((status, at, all) => status !== all[at - 1])
        .slice(-4),
    ).toEqual(["idle", "needs_permission", "busy", "idle"]);
  });

  it("reads quiet panes from tmux's list alone, and writes nothing when nothing is new", async () => {
    await stage.enter("ada", { cli: "player", argv: PLAYER });
    await stage.enter("sue");
    await becomes("ada", "idle");
    const { crew, calls } = await counted();
    const version = async () => stage.crew.context.store.query("select total(seen_at) n, count(*) from agent_status");
    await eventually("silence", async () => {
      calls.length = 0;
      await observeAgents(crew);
      return calls.join() === "list-panes";
    });
    const changes = async () => (await crew.context.store.query("pragma data_version")).rows;
    const before = [await version(), await changes()];
    expect(await observeAgents(crew)).toMatchObject([
      { agent: "ada", status: "idle", by: "screen", rule: "player.ready" },
      { agent: "sue", status: "idle", by: "process", rule: "shell.front" },
    ]);
    expect([await version(), await changes()]).toEqual(before);
  });

  it("reads the processes of a pane that stands still once in a while only, and at once when it has printed", async () => {
    const agent = await stage.enter("sue");
    await becomes("sue", "idle");
    let [reads, now] = [0, stage.crew.context.clock.now().getTime() + 60_000];
    const exec: typeof execProgram = (...call) => {
      reads++;
      return execProgram(...call);
    };
    const clock = { ...stage.crew.context.clock, now: () => new Date(now) };
    // Elsewhere than on Linux the processes are asked of `ps`, which can be counted.
    const crew = { ...stage.crew, platform: "darwin", exec, context: { ...stage.crew.context, clock } } as const;
    const occupants: KnownOccupants = new Map();
    const look = async () => {
      reads = 0;
      const { seen } = await observeOnce(crew, { occupants });
      return [seen[0]?.status, reads > 0];
    };
    expect(await look()).toEqual(["idle", true]);
    expect(await look()).toEqual(["idle", false]);
    now += 5_000;
    expect(await look()).toEqual(["idle", true]);
    await stage.crew.tmux.sendKeys({ pane: agent.pane ?? "", keys: ["sleep 1000", "Enter"] });
    await eventually("it is seen", async () => (await look())[0] === "busy");
  });

  it("says which program a shell is busy with", async () => {
    const agent = await stage.enter("sue");
    await becomes("sue", "idle");
    await stage.crew.tmux.sendKeys({ pane: agent.pane ?? "", keys: ["sleep 1000", "Enter"] });
    await becomes("sue", "busy");
    expect(await observeAgents(stage.crew)).toMatchObject([{ reason: "sleep", rule: "shell.program" }]);
  });

  it("writes status and task on the pane", async () => {
    const agent = await stage.enter("sue");
    await stage.work("build", agent);
    await observeAgents(stage.crew);
    const labels = await stage.server.raw("display-message", "-p", "-t", agent.pane ?? "", "#{@mu_status} #{@mu_task}");
    expect(labels).toBe("idle build\n");
  });

  it("keeps a person's mark until the agent does something", async () => {
    const agent = await stage.enter("sue");
    await becomes("sue", "idle");
    await stage.crew.context.store.write((db) =>
      db.updateTable("agent_status").set({ status: "free", by: "person", reason: "on call" }).execute(),
    );
    expect(await observeAgents(stage.crew)).toMatchObject([{ status: "free", by: "person", rule: "person.free" }]);
    await stage.crew.tmux.sendKeys({ pane: agent.pane ?? "", keys: ["sleep 1000", "Enter"] });
    await becomes("sue", "busy");
  });

  it("never takes a pane of a restarted server, or of somebody else, for the agent", async () => {
    const ada = await stage.enter("ada");
    const bob = await stage.enter("bob");
    await stage.crew.tmux.setPaneIdentity(bob.pane ?? "", { agent: "bob", agentId: "999" });
    expect(await statuses()).toEqual({ ada: "idle", bob: "terminated" });
    await stage.server.raw("kill-server");
    let opened = 0;
    await eventually("a new server with a pane of that id", async () => {
      await stage.server.raw("new-session", "-d", "-s", `mu-demo-${opened++}`, "sh");
      return (await stage.crew.tmux.listPanes()).some((pane) => pane.id === ada.pane);
    });
    expect(await observeAgents(stage.crew)).toMatchObject([
      { agent: "ada", status: "terminated", pane: null, reason: `the tmux server of pane ${ada.pane} has ended` },
      { agent: "bob", status: "terminated" },
    ]);
  });

  it("reads a player on a screen of 20 by 5", async () => {
    await stage.enter("ada", { cli: "player", argv: PLAYER, size: { width: 20, height: 5 } });
    await becomes("ada", "idle");
  });

  it("is not held up by a pane that prints without end", async () => {
    await stage.enter("loud", { cli: "pi", argv: ["sh", "-c", "yes $(seq 30)"] });
    await stage.enter("sue");
    const looks = [await statuses(), await statuses(), await statuses()];
    expect(looks.every((look) => look.sue === "idle" && look.loud !== "terminated")).toBe(true);
  });

  it("keeps the last 500 changes of an agent", async () => {
    const agent = await stage.enter("sue");
    await stage.crew.context.store.write(async (db) => {
      for (let n = 0; n < 511; n++) {
        const row = {
          agent_id: agent.id,
          status: "busy",
          reason: `${n}`,
          by: "screen",
          rule: null,
          evidence: null,
          at: "",
        };
        await db.insertInto("observations").values(row).execute();
      }
    });
    await observeAgents(stage.crew);
    const kept = await stage.crew.context.store.db.selectFrom("observations").selectAll().execute();
    expect(kept).toHaveLength(500);
    expect(kept.at(-1)).toMatchObject({ status: "idle" });
  });
});

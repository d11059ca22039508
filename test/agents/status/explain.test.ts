import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { appendSpool, spoolPath } from "../../../src/agents/spool.js";
import { explainAgent, explainCapture, saveCapture } from "../../../src/agents/status/explain.js";
import { followAgents, observeAgents } from "../../../src/agents/status/observe.js";
import { openStage, PLAYER, type Stage } from "../../support/stage.js";
import { describeTmux, eventually } from "../../support/tmux.js";

describeTmux("explaining and following", () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage();
  });
  afterEach(() => stage.end());

  const demo = (name: string) => ({ workstream: "demo", name });
  const becomes = (agent: string, status: string) =>
    eventually(`${agent} is ${status}`, async () =>
      (await observeAgents(stage.crew)).some((one) => one.agent === agent && one.status === status),
    );

  it("tells the rule, the lines and the history", async () => {
    await stage.enter("ada", { cli: "player", argv: PLAYER });
    await becomes("ada", "idle");
    expect(await explainAgent(stage.crew, demo("ada"), { history: 10 })).toMatchObject({
      agent: "ada",
      status: "idle",
      by: "screen",
      rule: "player.ready",
      evidence: [expect.stringContaining("player · ready")],
      screen: { rule: "player.ready", draft: false },
      hook: null,
      history: expect.arrayContaining([expect.objectContaining({ status: "idle", rule: "player.ready" })]),
    });
    await expect(explainAgent(stage.crew, demo("bob"))).rejects.toMatchObject({ code: "agent.not_found" });
  });

  it("folds what hooks report, tells it, and learns the conversation", async () => {
    const agent = await stage.enter("cleo", { cli: "claude", argv: ["cat"] });
    const payload = { session_id: "s-1", tool_name: "Bash", tool_input: { command: "rm -rf build" } };
    const path = spoolPath(stage.crew.stateDir, agent.id);
    await appendSpool(path, { at: Date.now(), event: "PermissionRequest", payload });
    expect(await explainAgent(stage.crew, demo("cleo"))).toMatchObject({
      status: "needs_permission",
      by: "hook",
      hook: { kind: "permission", event: "PermissionRequest", sessionRef: "s-1" },
    });
    const rows = await stage.crew.context.store.db.selectFrom("agents").select("session_ref").execute();
    expect(rows).toEqual([{ session_ref: "s-1" }]);
    const ops = await stage.crew.context.store.db.selectFrom("events").select("op").execute();
    expect(ops.filter(({ op }) => op === "agent.session")).toHaveLength(1);
  });

  it("saves a capture that explains itself without an agent", async () => {
    await stage.enter("ada", { cli: "player", argv: PLAYER });
    await becomes("ada", "idle");
    const name = join(stage.server.dir, "reports", "wrong");
    expect(await saveCapture(stage.crew, demo("ada"), `${name}.txt`)).toEqual([
      `${name}.txt`,
      `${name}.ansi`,
      `${name}.meta`,
    ]);
    expect(await explainCapture(name, "player")).toMatchObject({ status: "idle", rule: "player.ready" });
    await expect(saveCapture(stage.crew, demo("ada"), `${name}.txt/x`)).rejects.toMatchObject({
      code: "capture.not_writable",
    });
  });

  it("follows changes as they come, and ends when told", async () => {
    const agent = await stage.enter("sue");
    const end = new AbortController();
    const seen: string[] = [];
    for await (const { agent: name, status } of followAgents(stage.crew, "demo", end.signal)) {
      seen.push(`${name} ${status}`);
      if (seen.length === 1) await stage.crew.tmux.sendKeys({ pane: agent.pane ?? "", keys: ["sleep 1000", "Enter"] });
      if (seen.length === 2) await stage.crew.tmux.sendKeys({ pane: agent.pane ?? "", keys: ["C-c"] });
      if (seen.length === 3) await stage.server.raw("kill-pane", "-t", agent.pane ?? "");
      if (seen.length === 4) end.abort();
    }
    expect(seen).toEqual(["sue idle", "sue busy", "sue idle", "sue terminated"]);
  });
});

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { interruptAgent } from "../../src/agents/pane.js";
import { observeAgents } from "../../src/agents/status/observe.js";
import { freezeCrew, thawCrew } from "../../src/crew/freeze.js";
import { processTrees } from "../../src/processes.js";
import { workstreamRow } from "../../src/workstreams/workstream.js";
import { openStage, PLAYER, type Stage } from "../support/stage.js";
import { describeTmux, eventually } from "../support/tmux.js";

describeTmux("a crew that is frozen", () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage();
  });
  afterEach(() => stage.end());

  const ref = (name: string) => ({ workstream: "demo", name });
  const status = async (name: string) => (await observeAgents(stage.crew)).find(({ agent }) => agent === name)?.status;
  const file = (name: string) => join(stage.server.dir, name);
  const states = async (pid: number) =>
    ((await processTrees(stage.crew, [pid])).get(pid) ?? [])
      .filter((one) => one.pid !== pid && !one.zombie)
      .map((one) => one.stopped);

  it("stops what runs below a pane, ends the turn of a CLI that is the pane itself, and goes on with both", async () => {
    const { crew } = stage;
    const workstream = await workstreamRow(crew.context.store.db, "demo");
    const env = {
      MU_PLAYER_SCRIPT: JSON.stringify({
        acts: [{ when: "long", steps: [{ work: 600_000 }] }, { steps: [{ say: "Done." }] }],
      }),
      MU_PLAYER_RECEIPTS: file("ada.receipts"),
    };
    const ada = await stage.enter("ada", { cli: "player", argv: PLAYER, env });
    await stage.work("build", ada);
    await eventually("ada is ready", async () => (await status("ada")) === "idle");
    await crew.tmux.paste({ pane: ada.pane ?? "", text: "long work", enter: true });
    await eventually("ada is busy", async () => (await status("ada")) === "busy");
    const sue = await stage.enter("sue");
    await eventually("a prompt", async () => /[$#]/.test(await stage.shows(sue)));
    await crew.tmux.paste({
      pane: sue.pane ?? "",
      text: "sh -c 'while [ ! -f go ]; do sleep 0.05; done; echo > on'",
      enter: true,
    });
    await eventually("it sleeps", async () => (await states(sue.pid ?? 0)).length > 0);

    const frozen = await freezeCrew(crew, workstream, "the bill");
    expect(frozen.map(({ agent, as }) => [agent, as])).toEqual([
      ["ada", "interrupted"],
      ["sue", "stopped"],
    ]);
    await eventually("ada's turn is over", async () => (await status("ada")) === "idle");
    await eventually("sue's program stands still", async () => (await states(sue.pid ?? 0)).every(Boolean));
    // Once more changes nothing.
    await freezeCrew(crew, workstream, "again");
    writeFileSync(file("go"), "");
    expect((await states(sue.pid ?? 0)).every(Boolean)).toBe(true);

    expect(await thawCrew(crew, workstream, "10:00")).toEqual(["ada", "sue"]);
    await eventually("sue's line goes on", async () => existsSync(file("on")));
    const told = () => (existsSync(file("ada.receipts")) ? readFileSync(file("ada.receipts"), "utf8") : "");
    await eventually("ada is told", async () => told().includes("The crew stood still since 10:00"));
    expect(told()).toContain("Go on with build.");
  });

  it("an idle agent and a dialog are not interrupted", async () => {
    const env = { MU_PLAYER_SCRIPT: JSON.stringify({ acts: [{ steps: [{ permission: "rm x" }] }] }) };
    const ada = await stage.enter("ada", { cli: "player", argv: PLAYER, env });
    await eventually("ada is ready", async () => (await status("ada")) === "idle");
    await expect(interruptAgent(stage.crew, ref("ada"))).rejects.toMatchObject({ code: "agent.not_busy" });
    await stage.crew.tmux.paste({ pane: ada.pane ?? "", text: "go", enter: true });
    await eventually("ada asks", async () => (await status("ada")) === "needs_permission");
    await expect(interruptAgent(stage.crew, ref("ada"))).rejects.toMatchObject({ code: "agent.not_busy" });
    expect(await status("ada")).toBe("needs_permission");
  });
});

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { closeAgent } from "../../src/crew/close.js";
import { spawnAgent } from "../../src/crew/spawn.js";
import { createWorkspace } from "../../src/workspaces/create.js";
import { freeWorkspace } from "../../src/workspaces/free.js";
import { recreateWorkspace } from "../../src/workspaces/recreate.js";
import { type PrivateCrew, privateCrew } from "../support/crew.js";
import { describeTmux } from "../support/tmux.js";

describeTmux("a workspace in which an agent is open", () => {
  const w1 = { workstream: "demo", name: "w1" };
  let crew: PrivateCrew;
  beforeEach(async () => {
    crew = await privateCrew();
  });
  afterEach(() => crew.dispose());

  const open = async () => {
    const projectRoot = join(crew.server.dir, "plain");
    mkdirSync(projectRoot);
    writeFileSync(join(projectRoot, "a.txt"), "a");
    const { path } = await createWorkspace(crew.crew, w1, { projectRoot });
    const { agent } = await spawnAgent(crew.crew, w1, { command: "cat", cwd: path });
    await crew.crew.context.store.db
      .updateTable("agent_status")
      .set({ status: "idle", reason: "is idle", at: new Date().toISOString() })
      .execute();
    return { path, agent };
  };

  it("is neither freed nor made anew under it, idle as it is, before it is closed", async () => {
    const { path } = await open();
    for (const verb of [freeWorkspace, recreateWorkspace]) {
      await expect(verb(crew.crew, w1)).rejects.toMatchObject({
        code: "workspace.in_use",
        message: expect.stringContaining("is open"),
        nextSteps: [{ command: "mu agent close demo/w1" }, { command: "mu agent close demo/w1 --discard-workspace" }],
      });
    }
    expect(existsSync(path)).toBe(true);
    expect(await closeAgent(crew.crew, w1)).toMatchObject({ workspace: { freed: true } });
    expect(await recreateWorkspace(crew.crew, w1)).toMatchObject({ workspace: { path } });
  });

  it("is freed by the agent itself, and by who says so", async () => {
    const { agent, path } = await open();
    const inside = crew.other({ env: { TMUX: `x,${agent.server?.split("@")[0]},0`, TMUX_PANE: agent.pane ?? "" } });
    expect(await recreateWorkspace(inside, w1)).toMatchObject({ workspace: { path } });
    expect(await freeWorkspace(crew.crew, w1, { whileBusy: "go on" })).toMatchObject({ changed: true });
  });
});

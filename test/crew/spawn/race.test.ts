import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, expect, it } from "vitest";
import { listAgents } from "../../../src/agents/agent.js";
import { bundleChild } from "../../support/child.js";
import { type PrivateCrew, privateCrew } from "../../support/crew.js";
import { describeTmux } from "../../support/tmux.js";

describeTmux("processes that spawn at once", () => {
  let crew: PrivateCrew;
  const children: ChildProcess[] = [];
  beforeEach(async () => {
    crew = await privateCrew();
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill();
    await crew.dispose();
  });

  const start = async (program: string, name: string) => {
    const argv = [program, crew.crew.databaseEnv["MU_DB_PATH"] ?? "", name, crew.server.dir];
    const child = spawn(process.execPath, argv, {
      env: crew.server.env,
      stdio: ["pipe", "pipe", "inherit"],
    });
    children.push(child);
    await once(child.stdout, "data");
    return child;
  };

  it("are eight agents of one session", async () => {
    const program = await bundleChild(crew.server.dir, "spawn-child");
    const all = await Promise.all(Array.from({ length: 8 }, (_, i) => start(program, `worker-${i}`)));
    const said = all.map((child) => once(child.stdout, "data"));
    for (const child of all) child.stdin.end("go\n");
    const panes = (await Promise.all(said)).map(([data]) => String(data).trim());
    expect(new Set(panes).size).toBe(8);
    const agents = await listAgents(crew.crew.context.store.db, "demo");
    expect(agents.map(({ pane }) => pane).sort()).toEqual(panes.sort());
    const found = await crew.panes();
    expect(found.map(({ id }) => id).sort()).toEqual(panes);
    expect(new Set(found.map(({ session }) => session))).toEqual(new Set(["mu-demo"]));
  });
});

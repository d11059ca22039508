import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createWorkspace } from "../../src/workspaces/create.js";
import { freeWorkspace } from "../../src/workspaces/free.js";
import { listWorkspaces } from "../../src/workspaces/inspect.js";
import { recreateWorkspace, reviveWorkspace } from "../../src/workspaces/recreate.js";
import { portsOf } from "../../src/workspaces/setup/ports.js";
import { workspaceEnv } from "../../src/workspaces/setup/setup.js";
import { changeSetting } from "../../src/workstreams/workstream.js";
import { onEachDialect } from "../support/database.js";
import { newWorkshop, type Workshop } from "../support/workshop.js";

const w1 = { workstream: "demo", name: "w1" };

onEachDialect("the setup of a workspace that is made", (bench) => {
  let shop: Workshop;
  beforeEach(async () => {
    shop = await newWorkshop({ "README.md": "hello\n", ".gitignore": ".env\n" }, bench.context);
    shop.repository.write({ ".env": "SECRET=1\n", ".worktreeinclude": ".env\n" });
  });
  afterEach(() => shop.end());

  const make = () => createWorkspace(shop.crew, w1, { projectRoot: shop.repository.root });
  const set = (key: string, value: string) => changeSetting(bench.context, "demo", `setup.${key}`, value);

  it("comes with it, with it anew, and with a folder that was lost", async () => {
    await set("command", "echo $MU_PORT_0 > .env.port");
    await set("ports", "2");
    const { path } = await make();
    const env = await workspaceEnv(shop.crew, w1, path);
    expect(env).toMatchObject({ MU_WORKSPACE: path, MU_PROJECT_ROOT: shop.repository.root });
    for (const again of [
      async () => {},
      () => recreateWorkspace(shop.crew, w1, {}),
      async () => {
        rmSync(path, { recursive: true });
        await reviveWorkspace(shop.crew, w1);
      },
    ]) {
      await again();
      expect(readFileSync(join(path, ".env"), "utf8")).toBe("SECRET=1\n");
      expect(readFileSync(join(path, ".env.port"), "utf8").trim()).toBe(
        (await workspaceEnv(shop.crew, w1, path))["MU_PORT_0"],
      );
    }
    await freeWorkspace(shop.crew, w1);
    expect(await bench.context.store.db.selectFrom("port_leases").selectAll().execute()).toEqual([]);
  });

  it("that is red leaves no workspace, no folder, no port and no worktree", async () => {
    await set("command", "touch made; exit 7");
    await set("ports", "1");
    await expect(make()).rejects.toMatchObject({ code: "setup.failed", details: { exitCode: 7 } });
    expect(await listWorkspaces(shop.crew, "demo")).toEqual([]);
    expect(existsSync(join(shop.crew.stateDir, "workspaces", "demo", "w1"))).toBe(false);
    expect((await shop.repository.git("worktree", "list")).split("\n")).toHaveLength(1);
    const rows = await bench.context.store.db.selectFrom("workspaces").select("id").execute();
    for (const { id } of rows) expect(await portsOf(bench.context.store.db, id)).toEqual([]);
    await set("command", "true");
    expect((await make()).state).toBe("ready");
  });

  it("that nobody approved leaves nothing either", async () => {
    shop.repository.write({ ".mu/workspace.yaml": "command: echo hello\n" });
    await expect(make()).rejects.toMatchObject({ code: "setup.not_approved" });
    expect(await listWorkspaces(shop.crew, "demo")).toEqual([]);
    expect(existsSync(join(shop.crew.stateDir, "workspaces", "demo", "w1"))).toBe(false);
  });
});

import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { agentRows, getAgent } from "../../src/agents/agent.js";
import { createArchive, readArchive } from "../../src/archives.js";
import { readBundle } from "../../src/bundles/read.js";
import { spawnAgent } from "../../src/crew/spawn.js";
import { destroyCrew, endStrays, listEmpty, previewCrewDestroy, renameCrew } from "../../src/crew/workstream.js";
import { compareTables } from "../../src/journal/replay.js";
import { undoGroup } from "../../src/journal/undo/undo.js";
import { addTask } from "../../src/tasks/add.js";
import { getTask } from "../../src/tasks/task.js";
import { initWorkstream, listWorkstreams } from "../../src/workstreams/workstream.js";
import { type PrivateCrew, privateCrew } from "../support/crew.js";
import { describeTmux } from "../support/tmux.js";

describeTmux("a workstream's session", () => {
  let crew: PrivateCrew;
  beforeEach(async () => {
    crew = await privateCrew();
  });
  afterEach(() => crew.dispose());

  const spawn = async (name: string, workstream = "demo") =>
    (await spawnAgent(crew.crew, { workstream, name }, { command: "cat", cwd: crew.server.dir })).agent;
  const db = () => crew.crew.context.store.db;

  it("goes with its workstream, strangers in it are named before, and a namesake's stays", async () => {
    await initWorkstream(crew.crew.context, "demo-2");
    await spawn("worker-1");
    await spawn("worker-1", "demo-2");
    await crew.server.tmux.openSession("mu-demo", crew.server.dir);
    await crew.server.raw("new-window", "-d", "-t", "=mu-demo:", "-n", "mine", "cat");
    const preview = await previewCrewDestroy(crew.crew, "demo");
    expect(preview).toMatchObject({
      closing: ["worker-1"],
      sessionAlive: true,
      strangers: [{ pane: expect.any(String) }],
    });
    expect(await crew.panes()).toHaveLength(3);
    await destroyCrew(crew.crew, "demo");
    expect((await crew.panes()).map(({ session }) => session)).toEqual(["mu-demo-2"]);
    expect((await listWorkstreams(db())).map(({ name }) => name)).toEqual(["demo-2"]);
    expect(await db().selectFrom("agent_status").select("agent_id").execute()).toHaveLength(1);
  });

  it("stays while an agent works; once destroyed, the workstream comes back without its panes", async () => {
    const busy = { cli: "shell", command: "sleep 1000", cwd: crew.server.dir };
    await spawnAgent(crew.crew, { workstream: "demo", name: "worker-1" }, busy);
    await crew.give("build", "worker-1");
    await expect(destroyCrew(crew.crew, "demo")).rejects.toMatchObject({
      kind: "conflict",
      code: "workstream.in_use",
      message: expect.stringContaining("worker-1 is busy"),
    });
    expect(await crew.panes()).toHaveLength(1);
    const group = "feedface00";
    await destroyCrew({ ...crew.crew, context: { ...crew.crew.context, group } }, "demo", { whileBusy: "go on" });
    expect(await crew.panes()).toEqual([]);
    await undoGroup(crew.crew.context, group);
    expect(await getTask(db(), { workstream: "demo", name: "build" })).toMatchObject({ status: "OPEN", owner: null });
    expect(await agentRows(db(), "demo")).toEqual([]);
    expect(await compareTables(db())).toEqual([]);
    expect((await spawn("worker-1")).name).toBe("worker-1");
  });

  it("is exported before it goes, unless that is not wanted, and stays where it cannot be", async () => {
    const { context, stateDir } = crew.crew;
    await addTask(context, "demo", { name: "build", title: "Build it", blockedBy: [] });
    const preview = await previewCrewDestroy(crew.crew, "demo");
    expect(preview.exportedTo).toContain(join(stateDir, "exports", "demo-"));
    expect(existsSync(join(stateDir, "exports"))).toBe(false);
    expect(await previewCrewDestroy(crew.crew, "demo", { export: "none" })).toMatchObject({ exportedTo: null });

    mkdirSync(stateDir, { recursive: true });
    writeFileSync(join(stateDir, "exports"), "in the way");
    await expect(destroyCrew(crew.crew, "demo")).rejects.toMatchObject({ code: "file.not_writable" });
    expect((await getTask(db(), { workstream: "demo", name: "build" })).status).toBe("OPEN");
    rmSync(join(stateDir, "exports"));

    const archive = { archive: "v1" };
    await expect(previewCrewDestroy(crew.crew, "demo", archive)).rejects.toMatchObject({ code: "archive.not_found" });
    await expect(destroyCrew(crew.crew, "demo", archive)).rejects.toMatchObject({ code: "archive.not_found" });
    await createArchive(context, "v1");
    const { exportedTo } = await destroyCrew(crew.crew, "demo", archive);
    expect(await readArchive(db(), "v1")).toMatchObject([{ workstream: "demo", tasks: [{ name: "build" }] }]);
    expect(await readBundle(exportedTo ?? "")).toMatchObject([{ workstream: "demo", tasks: [{ name: "build" }] }]);
  });

  it("of what is empty is named first and then gone; what holds anything stays", async () => {
    const { context, tmux } = crew.crew;
    const { raw, dir } = crew.server;
    for (const name of ["empty", "planned", "peopled", "used"]) {
      await initWorkstream(context, name);
      await tmux.openSession(`mu-${name}`, dir);
    }
    await addTask(context, "planned", { name: "build", title: "Build it" });
    await spawn("worker-1", "peopled");
    await raw("new-window", "-d", "-t", "=mu-used:", "-n", "mine", "cat");
    await tmux.openSession("mu-stray", dir);
    await raw("new-session", "-d", "-s", "mu-foreign", "cat");

    const found = await listEmpty(crew.crew);
    expect(found).toEqual({ workstreams: ["demo", "empty"], strays: ["mu-stray"] });
    await destroyCrew(crew.crew, "empty");
    await endStrays(crew.crew, found.strays);
    expect(await listEmpty(crew.crew)).toEqual({ workstreams: ["demo"], strays: [] });
    expect((await tmux.listSessions()).sort()).toEqual(["mu-foreign", "mu-peopled", "mu-planned", "mu-used"]);
  });

  it("is renamed with its workstream, and its agents stay who they are", async () => {
    const { pane } = await spawn("worker-1");
    await crew.server.raw("new-session", "-d", "-s", "mu-taken", "cat");
    await expect(renameCrew(crew.crew, "demo", "taken")).rejects.toMatchObject({
      kind: "conflict",
      code: "session.exists",
    });
    expect((await listWorkstreams(db())).map(({ name }) => name)).toEqual(["demo"]);
    await renameCrew(crew.crew, "demo", "prod");
    expect((await crew.panes()).find(({ id }) => id === pane)).toMatchObject({ session: "mu-prod" });
    expect(await getAgent(db(), { workstream: "prod", name: "worker-1" })).toMatchObject({ pane });
    await spawn("worker-2", "prod");
    expect((await crew.panes()).filter(({ session }) => session === "mu-prod")).toHaveLength(2);
  });
});

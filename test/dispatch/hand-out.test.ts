import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { observeAgents } from "../../src/agents/status/observe.js";
import { write } from "../../src/db/write.js";
import type { DispatchWorld } from "../../src/dispatch/dispatch.js";
import type { Scene } from "../../src/dispatch/facts.js";
import { handOut } from "../../src/dispatch/hand-out.js";
import { DEFAULT_SETTINGS } from "../../src/project/settings.js";
import { addTask } from "../../src/tasks/add.js";
import { claimTask } from "../../src/tasks/claim.js";
import { closeTask } from "../../src/tasks/lifecycle.js";
import { listNotes } from "../../src/tasks/notes.js";
import { getTask, taskRow } from "../../src/tasks/task.js";
import { workstreamRow } from "../../src/workstreams/workstream.js";
import { openStage, PLAYER, type Stage } from "../support/stage.js";
import { describeTmux, eventually } from "../support/tmux.js";

describeTmux("a dispatcher with a crew", () => {
  let stage: Stage;
  let scene: Scene;
  let world: DispatchWorld;
  beforeEach(async () => {
    stage = await openStage();
    const { id, name } = await workstreamRow(stage.crew.context.store.db, "demo");
    scene = {
      workstream: { id, name, root: stage.server.dir },
      ...{ settings: DEFAULT_SETTINGS, stateDir: stage.server.dir, max: 9 },
    };
    const launch = () => Promise.reject(new Error("no runs here"));
    world = { ...stage.crew, transport: "child", scene: async () => scene, launch };
  });
  afterEach(() => stage.end());

  const said: string[] = [];
  const hand = () => handOut(world, scene, (text) => said.push(text));
  const add = (name: string, role?: string) =>
    addTask(stage.crew.context, "demo", { name, title: `Do ${name}`, ...(role !== undefined && { role }) });
  const task = (name: string) => getTask(stage.crew.context.store.db, { workstream: "demo", name });
  const receipts = (name: string) => {
    const file = join(stage.server.dir, `${name}.receipts`);
    if (!existsSync(file)) return [];
    return readFileSync(file, "utf8")
      .trimEnd()
      .split("\n")
      .map((line): string => JSON.parse(line).text.split("\n")[0]);
  };
  async function play(name: string, role: string) {
    const env = {
      MU_PLAYER_SCRIPT: JSON.stringify({}),
      MU_PLAYER_RECEIPTS: join(stage.server.dir, `${name}.receipts`),
    };
    const { id } = await stage.enter(name, { cli: "player", argv: PLAYER, env });
    const spec = { op: "agent.spawn", scope: "demo", subject: `demo/${name}` };
    await write(stage.crew.context, spec, (tx) => tx.patch("agents", id, { role }));
    await becomes(name, "idle");
  }
  const becomes = (agent: string, status: string) =>
    eventually(`${agent} is ${status}`, async () =>
      (await observeAgents(stage.crew)).some((one) => one.agent === agent && one.status === status),
    );

  it("gives each idle agent one task of its role, proved, and the next when that is closed", async () => {
    await play("ada", "code");
    await play("bob", "qa");
    for (const [name, role] of [
      ["a", "code"],
      ["b", "code"],
      ["c", "qa"],
    ] as const)
      await add(name, role);
    // Two dispatchers at once hand nothing out twice.
    await Promise.all([hand(), hand()]);
    expect((await hand()).sort()).toEqual(["a", "c"]);
    expect(await task("a")).toMatchObject({ status: "IN_PROGRESS", owner: "ada" });
    expect(await task("c")).toMatchObject({ status: "IN_PROGRESS", owner: "bob" });
    expect(await task("b")).toMatchObject({ status: "OPEN" });
    await eventually("both are told", async () => receipts("ada").length + receipts("bob").length === 2);
    expect(receipts("ada")).toEqual(["Your next task is demo/a: Do a"]);
    await closeTask(stage.crew.context, { workstream: "demo", name: "a" }, { agent: "ada" });
    await eventually("ada has the next one", async () => (await hand()).includes("b"));
    await eventually("ada is told", async () => receipts("ada").length === 2);
  });

  it("hands nothing to an agent that is busy or has a task, and nothing while the brake is on", async () => {
    await play("ada", "code");
    await add("own", "code");
    await add("other", "code");
    await claimTask(stage.crew.context, { workstream: "demo", name: "own" }, { agent: "ada" });
    expect(await hand()).toEqual([]);
    await closeTask(stage.crew.context, { workstream: "demo", name: "own" }, { agent: "ada" });
    writeFileSync(join(stage.server.dir, "kill_switch"), "stop\n");
    expect(await hand()).toEqual([]);
    expect(await task("other")).toMatchObject({ status: "OPEN" });
  });

  it("gives a task back whose prompt was refused, with a note, and does not try the same agent again", async () => {
    await play("ada", "code");
    await add("a", "code");
    const { db } = stage.crew.context.store;
    expect(await hand()).toEqual(["a"]);
    const { id } = await taskRow(db, { workstream: "demo", name: "a" });
    await stage.crew.context.store.write((tx) =>
      tx.updateTable("deliveries").set({ state: "refused", reason: "a dialog" }).where("task_id", "=", id).execute(),
    );
    expect(await hand()).toEqual([]);
    expect(await task("a")).toMatchObject({ status: "OPEN", owner: null });
    const notes = await listNotes(db, { workstream: "demo", name: "a" });
    expect(notes.map(({ text }) => text)).toEqual(["ada could not be given it: a dialog"]);
    expect(await hand()).toEqual([]);
  });
});

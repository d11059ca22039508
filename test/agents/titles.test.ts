import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { observeAgents } from "../../src/agents/status/observe.js";
import { agentNext } from "../../src/operations/agent/next.js";
import { agentRefresh } from "../../src/operations/agent/refresh.js";
import { markedWindow, windowBase } from "../../src/tmux/appearance.js";
import { changeSetting } from "../../src/workstreams/workstream.js";
import { openStage, PLAYER, type Stage } from "../support/stage.js";
import { describeTmux, eventually } from "../support/tmux.js";

describeTmux("what tmux shows of an agent", () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage();
  });
  afterEach(() => stage.end());

  const ask = async (pane: string | null, format: string) =>
    (await stage.server.raw("display-message", "-p", "-t", pane ?? "", format)).trimEnd();
  const becomes = (name: string, status: string) =>
    eventually(`${name} is ${status}`, async () =>
      (await observeAgents(stage.crew)).some((one) => one.agent === name && one.status === status),
    );

  it("is its name, and with `titles: status` also its status and task; a program's own title stays", async () => {
    const [ada, sue] = [await stage.enter("ada"), await stage.enter("sue")];
    await stage.work("build", ada);
    await stage.server.raw("select-pane", "-t", sue.pane ?? "", "-T", "my own title");
    await becomes("ada", "idle");
    expect(await ask(ada.pane, "#{pane_title}")).toBe("ada");
    await changeSetting(stage.crew.context, "demo", "titles", "status");
    await observeAgents(stage.crew);
    expect(await ask(ada.pane, "#{pane_title} #{@mu_agent}")).toBe("ada · idle · build ada");
    expect(await ask(sue.pane, "#{pane_title} #{@mu_agent}")).toBe("my own title sue");
    await changeSetting(stage.crew.context, "demo", "titles", undefined);
    await observeAgents(stage.crew);
    expect(await ask(ada.pane, "#{pane_title}")).toBe("ada");
  });

  it("is all brought up to date by what a hook calls, and rings once where the settings have the bell", async () => {
    const { context } = stage.crew;
    const root = join(stage.server.dir, "project");
    mkdirSync(join(root, ".mu"), { recursive: true });
    writeFileSync(join(root, ".mu", "settings.json"), JSON.stringify({ notifications: { bell: true } }));
    await context.store.write((db) => db.updateTable("workstreams").set({ root }).execute());
    const refresh = () => agentRefresh.run({ context, crew: async () => stage.crew } as never, { workstream: "demo" });
    const script = { acts: [{ steps: [{ permission: "rm -rf build" }] }] };
    const env = { MU_PLAYER_SCRIPT: JSON.stringify(script) };
    const [ada, sue] = [await stage.enter("ada", { cli: "player", argv: PLAYER, env }), await stage.enter("sue")];
    await becomes("ada", "idle");
    await stage.crew.tmux.paste({ pane: ada.pane ?? "", text: "go", enter: true });
    await eventually("the dialog", async () => (await stage.shows(ada)).includes("Allow this command?"));
    const shown = "#{@mu_status}|#{window_name}|#{@mu_waiting}";
    expect(await ask(ada.pane, shown)).toBe("idle|ada|");
    expect(await refresh()).toMatchObject({ notices: 1 });
    expect(await ask(ada.pane, shown)).toBe("needs_permission|ada ?|! ada");
    expect(await ask(sue.pane, "#{T:status-right}")).toContain("! ada");
    expect(await ask(sue.pane, "#{status-right}")).toContain("%H:%M");
    await eventually("the bell", async () => (await ask(ada.pane, "#{window_bell_flag}")) === "1");
    expect(await refresh()).toMatchObject({ notices: 0 });
    const lengths = async () => (await ask(sue.pane, "#{status-right}")).split("@mu_waiting").length;
    const before = await lengths();
    await stage.crew.tmux.sendKeys({ pane: ada.pane ?? "", keys: ["y"] });
    await becomes("ada", "idle");
    expect(await ask(ada.pane, shown)).toBe("idle|ada|");
    expect(await lengths()).toBe(before);
  });

  it("stores nothing of an agent that has ended: a hook fires also in the middle of its restart", async () => {
    const { context } = stage.crew;
    const refresh = () => agentRefresh.run({ context, crew: async () => stage.crew } as never, { workstream: "demo" });
    const ada = await stage.enter("ada");
    await becomes("ada", "idle");
    const statuses = () => context.store.db.selectFrom("observations").select("status").orderBy("id").execute();
    const before = await statuses();
    await stage.server.raw("kill-pane", "-t", ada.pane ?? "");
    expect(await refresh()).toEqual({ agents: [], notices: 0 });
    expect(await statuses()).toEqual(before);
    await becomes("ada", "terminated");
    expect(await statuses()).not.toEqual(before);
  });

  it("has a way to whoever has waited longest", async () => {
    const { context } = stage.crew;
    const next = () => agentNext.run({ context, crew: async () => stage.crew } as never, { workstream: undefined });
    expect(await next()).toMatchObject({ agent: null, waiting: 0 });
    for (const name of ["ada", "bob"]) {
      const script = { acts: [{ steps: [{ permission: `rm ${name}` }] }] };
      const env = { MU_PLAYER_SCRIPT: JSON.stringify(script) };
      const { pane } = await stage.enter(name, { cli: "player", argv: PLAYER, env });
      await becomes(name, "idle");
      await stage.crew.tmux.paste({ pane: pane ?? "", text: "go", enter: true });
      await becomes(name, "needs_permission");
    }
    expect(await next()).toMatchObject({ agent: "ada", workstream: "demo", moved: false, waiting: 2 });
    expect(await ask("=mu-demo:", "#{@mu_agent}")).toBe("ada");
  });

  it("says in the window's name, which the window list and choose-tree show, that it waits for a person", async () => {
    const script = { acts: [{ steps: [{ permission: "rm -rf build" }] }] };
    const env = { MU_PLAYER_SCRIPT: JSON.stringify(script) };
    const ada = await stage.enter("ada", { cli: "player", argv: PLAYER, env });
    await becomes("ada", "idle");
    expect(await ask(ada.pane, "#{window_name}")).toBe("ada");
    await stage.crew.tmux.paste({ pane: ada.pane ?? "", text: "go", enter: true });
    await becomes("ada", "needs_permission");
    expect(await ask(ada.pane, "#{window_name}")).toBe("ada ?");
    const cwd = stage.server.dir;
    const size = { width: 120, height: 40 };
    const beside = { session: "mu-demo", window: "ada", shared: true, cwd, argv: ["cat"] as [string], size };
    expect((await stage.crew.tmux.openPane(beside)).window).toBe(ada.window);
    await stage.crew.tmux.sendKeys({ pane: ada.pane ?? "", keys: ["y"] });
    await becomes("ada", "idle");
    expect(await ask(ada.pane, "#{window_name}")).toBe("ada");
  });
});

it("marks a window with those who wait in it, and takes the mark off again", () => {
  expect(markedWindow("ada", ["ada"])).toBe("ada ?");
  expect(markedWindow("crew ? eve", ["ada", "bob"])).toBe("crew ? ada, bob");
  expect(markedWindow("crew ? ada, bob", [])).toBe("crew");
  expect(["crew", "crew ?", "crew ? ada", "why?", "a?b"].map(windowBase)).toEqual([
    "crew",
    "crew",
    "crew",
    "why?",
    "a?b",
  ]);
});

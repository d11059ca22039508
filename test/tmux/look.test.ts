import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { LAYOUTS, type Layout } from "../../src/tmux/appearance.js";
import { serverPid } from "../../src/tmux/panes.js";
import { catPane, describeTmux, eventually, type PrivateTmux, privateTmux } from "../support/tmux.js";

describeTmux("how panes look and where they are", () => {
  let server: PrivateTmux;
  beforeEach(() => {
    server = privateTmux();
  });
  afterEach(() => server.dispose());

  const open = (window: string, shared = false, layout: Layout = "tiled") =>
    server.tmux.openPane({ session: "mu-demo", window, shared, layout, cwd: server.dir, argv: ["cat"] });
  const listed = async (pane: string) => (await server.tmux.listPanes()).find(({ id }) => id === pane);
  const ask = async (pane: string, format: string) =>
    (await server.raw("display-message", "-p", "-t", pane, format)).trim();

  it("an identity can be given to a pane that exists", async () => {
    const { pane } = await catPane(server.tmux, server.dir);
    await server.tmux.setPaneIdentity(pane, { agent: "alice", agentId: "4" });
    expect(await listed(pane)).toMatchObject({ agent: "alice", agentId: "4", title: "alice" });
    await expect(server.tmux.setPaneIdentity("%99", { agent: "a", agentId: "1" })).rejects.toMatchObject({
      code: "pane.not_found",
    });
  });

  it("labels of many panes are set at once, and the missing ones do no harm", async () => {
    const [a, b] = [await open("a"), await open("b")];
    const task = "it's; a #(touch x) task\nof $(two) lines;";
    await server.tmux.setPaneLabels([
      { pane: a.pane, status: "busy", task },
      { pane: "%99", status: "busy" },
      { pane: b.pane, status: "needs_input", task: "" },
      { pane: a.pane },
    ]);
    expect(await ask(a.pane, "#{@mu_status}|#{@mu_task}")).toBe(`busy|${task}`);
    expect(await ask(b.pane, "#{@mu_status}|#{@mu_task}")).toBe("needs_input|");
    expect(existsSync(join(server.dir, "x"))).toBe(false);
  });

  it("borders say name, status and task, and can be taken away", async () => {
    const { pane } = await open("a");
    await server.tmux.setPaneIdentity(pane, { agent: "alice", agentId: "4" });
    await server.tmux.setPaneLabels([{ pane, status: "busy", task: "build" }]);
    await server.tmux.setPaneBorders(pane, "on");
    expect(await ask(pane, "#{E:pane-border-format}")).toBe("alice · busy · build");
    expect(await ask(pane, "#{pane-border-status}")).toBe("top");
    await server.tmux.setPaneLabels([{ pane, task: "" }]);
    expect(await ask(pane, "#{E:pane-border-format}")).toBe("alice · busy");
    await server.tmux.setPaneBorders(pane, "off");
    expect(await ask(pane, "#{pane-border-status}")).toBe("off");
  });

  it.each(LAYOUTS)("a shared window is arranged as %s", async (layout) => {
    const [a, b] = [await open("crew", true, layout), await open("crew", true, layout)];
    const [left, right] = [await listed(a.pane), await listed(b.pane)];
    const sideBySide = layout === "even-horizontal" || layout === "main-vertical";
    expect((left?.height ?? 0) === (right?.height ?? 0) && (left?.height ?? 0) > 20).toBe(sideBySide);
  });

  it("a pane moves out of a shared window into one of its own", async () => {
    const [a, b] = [await open("crew", true), await open("crew", true)];
    expect((await listed(b.pane))?.window).toBe(a.window);
    await server.tmux.movePane(b.pane, { session: "mu-demo", window: "b #{x}" });
    expect(await listed(b.pane)).toMatchObject({ windowName: "b #{x}", pid: b.pid });
    expect((await listed(b.pane))?.window).not.toBe(a.window);
    await server.tmux.renameWindow(b.pane, "c #{x};");
    expect((await listed(b.pane))?.windowName).toBe("c #{x};");
    const elsewhere = server.tmux.movePane("%99", { session: "mu-demo", window: "x" });
    await expect(elsewhere).rejects.toMatchObject({ code: "pane.not_found" });
  });

  it("a pane alone in its window moves to another session", async () => {
    await server.tmux.openPane({ session: "mu-other", window: "x", cwd: server.dir, argv: ["cat"] });
    const { pane } = await open("a");
    await server.tmux.movePane(pane, { session: "mu-other", window: "moved" });
    expect(await listed(pane)).toMatchObject({ session: "mu-other", windowName: "moved" });
  });

  it("what a pane prints goes through a pipe whose command is taken literally", async () => {
    const { pane } = await open("a");
    const file = join(server.dir, "%H %% #{pane_id} #(touch x) it's.log");
    await server.tmux.pipePane(pane, `exec cat >>'${file.replaceAll("'", "'\\''")}'`);
    await server.tmux.paste({ pane, text: "recorded\n" });
    await eventually("the record", async () => existsSync(file) && readFileSync(file, "utf8").includes("recorded"));
    expect(existsSync(join(server.dir, "x"))).toBe(false);
  });

  it("a person outside attaches, one inside the same server switches, one inside another server attaches anew", async () => {
    const { pane, server: id } = await open("a");
    const command = (env: Record<string, string>, target?: string) =>
      server.client({ env }).attachCommand("mu-demo", target);
    expect(await command({})).toMatchObject({ args: ["-u", "-L", "t", "attach-session", "-t", "=mu-demo:"] });
    const inside = { TMUX: `${server.dir}/s,${serverPid(id)},0`, TMUX_PANE: pane, MU_AGENT: "x" };
    const within = await command(inside, pane);
    expect(within.args).toEqual(["-u", "-L", "t", "switch-client", "-t", pane]);
    expect(within.env).toMatchObject({ TMUX_PANE: pane });
    expect(within.env).not.toHaveProperty("MU_AGENT");
    const elsewhere = await command({ TMUX: "/tmp/other,1,0", TMUX_PANE: "%0" });
    expect(elsewhere.args).toContain("attach-session");
    expect(elsewhere.env).not.toHaveProperty("TMUX");
  });
});

import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { execProgram } from "../../src/exec.js";
import { callerPane, findServer, serverPid } from "../../src/tmux/panes.js";
import { createTmux } from "../../src/tmux/tmux.js";
import { catPane, describeTmux, eventually, type PrivateTmux, privateTmux } from "../support/tmux.js";

describeTmux("listing panes", () => {
  let server: PrivateTmux;
  beforeEach(() => {
    server = privateTmux();
  });
  afterEach(() => server.dispose());

  it("no server is no panes, no screens and nothing to close", async () => {
    expect(await server.tmux.listPanes()).toEqual([]);
    expect(await findServer(server.tmux.run)).toBeUndefined();
    expect(await server.tmux.captureScreens(["%0"])).toEqual(new Map());
    await server.tmux.setPaneLabels([{ pane: "%0", status: "busy" }]);
    await server.tmux.killPane("%0");
    await server.tmux.killSession("mu-demo");
  });

  it("a socket that a dead server left behind is no server", async () => {
    const { pane, server: id } = await catPane(server.tmux, server.dir);
    process.kill(serverPid(id), "SIGKILL");
    await eventually("the server ends", async () => (await server.tmux.listPanes()).length === 0);
    expect(await server.tmux.captureScreens([pane])).toEqual(new Map());
    await server.tmux.killPane(pane);
    await expect(server.tmux.paste({ pane, text: "x" })).rejects.toMatchObject({ code: "pane.not_found" });
  });

  it("a server that is killed in the middle takes its panes along, and the next one is another", async () => {
    const before = await catPane(server.tmux, server.dir);
    await server.raw("kill-server");
    expect(await server.tmux.listPanes()).toEqual([]);
    await expect(server.tmux.sendKeys({ pane: before.pane, keys: ["Enter"] })).rejects.toMatchObject({
      kind: "missing",
      code: "pane.not_found",
    });
    const after = await catPane(server.tmux, server.dir);
    expect(after.pane).toBe(before.pane);
    expect(after.server).not.toBe(before.server);
  });

  it("text for an agent of the server before never reaches the pane that got its id", async () => {
    const identity = { agent: "worker-1", agentId: "17" };
    const spec = { session: "mu-demo", window: "w", cwd: server.dir, argv: ["cat"] as [string] };
    const before = await server.tmux.openPane({ ...spec, identity });
    await server.raw("kill-server");
    const stranger = await catPane(server.tmux, server.dir);
    expect(stranger.pane).toBe(before.pane);
    await expect(server.tmux.paste({ pane: before.pane, text: "echo HIJACK", agentId: "17" })).rejects.toMatchObject({
      kind: "conflict",
      code: "pane.stranger",
    });
    await expect(server.tmux.sendKeys({ pane: before.pane, keys: ["Enter"], agentId: "17" })).rejects.toMatchObject({
      code: "pane.stranger",
    });
    expect((await server.tmux.readPane(stranger.pane, 10)).join("")).toBe("");
    expect(await server.raw("list-buffers")).toBe("");
  });

  it("titles, names and options with separators, tabs, newlines and unicode do not shift a field", async () => {
    const odd = ["a|b\tc,d:e;f", "日本 🎉 ‖ é", "%1 @2 #{pane_id} #[fg=red] ##[x ##", "'\"\\ $(x)", " lead and trail "];
    for (const [i, text] of odd.entries()) {
      const { pane } = await server.tmux.openPane({
        session: `mu-${i}`,
        window: text,
        cwd: server.dir,
        argv: ["sh", "-c", "exec cat", text],
        identity: { agent: `${text}\nsecond\tline`, agentId: `${i}`, title: text },
      });
      expect(pane).toMatch(/^%\d+$/);
    }
    const panes = await server.tmux.listPanes();
    expect(panes.map(({ agent }) => agent)).toEqual(odd.map((text) => `${text}\nsecond\tline`));
    expect(panes.map(({ session, agentId }) => [session, agentId])).toEqual(odd.map((_, i) => [`mu-${i}`, `${i}`]));
    expect(panes.slice(1).map(({ title }) => title)).toEqual(odd.slice(1));
    expect(panes.slice(1, 3).map(({ windowName }) => windowName)).toEqual(odd.slice(1, 3));
  });

  it("a program's own title is seen, and does not touch the identity or the window's name", async () => {
    const title = "printf '\\033]2;✳ Claude Code\\007\\033kstolen\\033\\\\'; exec cat";
    const { pane } = await server.tmux.openPane({
      session: "mu-demo",
      window: "worker-1",
      cwd: server.dir,
      argv: ["sh", "-c", title],
      identity: { agent: "worker-1", agentId: "17" },
    });
    await eventually("title", async () => (await server.tmux.listPanes())[0]?.title === "✳ Claude Code");
    expect((await server.tmux.listPanes())[0]).toMatchObject({ id: pane, agent: "worker-1", windowName: "worker-1" });
  });

  it("a full-screen program and a scrolling person are seen", async () => {
    const { pane } = await server.tmux.openPane({
      session: "mu-demo",
      window: "w",
      cwd: server.dir,
      argv: ["sh", "-c", "printf '\\033[?1049h\\033[3;7H'; exec cat"],
    });
    await eventually("alternate screen", async () => (await server.tmux.listPanes())[0]?.alternate);
    await server.raw("copy-mode", "-t", pane);
    expect((await server.tmux.listPanes())[0]).toMatchObject({ alternate: true, inMode: true, cursorX: 6, cursorY: 2 });
  });

  it("two servers on one machine know nothing of each other", async () => {
    const byPath = createTmux({
      exec: execProgram,
      env: { ...server.env, MU_TMUX_SOCKET: join(server.dir, "other.sock") },
    });
    const here = await catPane(server.tmux, server.dir, "mu-here");
    const there = await catPane(byPath, server.dir, "mu-there");
    try {
      expect(here.pane).toBe(there.pane);
      expect(here.server).not.toBe(there.server);
      expect((await byPath.listPanes()).map(({ session }) => session)).toEqual(["mu-there"]);
      expect((await server.tmux.listPanes()).map(({ session }) => session)).toEqual(["mu-here"]);
    } finally {
      await byPath.run([["kill-server"]]);
    }
  });

  it("without a socket of its own mu uses the server of $TMUX, else the default one", async () => {
    const { pane, server: id } = await catPane(server.tmux, server.dir);
    const inside = `${server.dir}/tmux-${process.getuid?.()}/t`;
    const { MU_TMUX_SOCKET: _, ...env } = server.env;
    const byTmux = createTmux({
      exec: execProgram,
      env: { ...env, TMUX: `${inside},${serverPid(id)},0`, TMUX_PANE: pane },
    });
    expect(await findServer(byTmux.run)).toBe(id);
    expect(await findServer(createTmux({ exec: execProgram, env }).run)).toBeUndefined();
  });

  it("a caller knows its pane and server from its environment alone", () => {
    expect(callerPane({ TMUX: "/tmp/a,b/s,4711,0", TMUX_PANE: "%3" })).toEqual({
      pane: "%3",
      serverPid: 4711,
      socket: "/tmp/a,b/s",
    });
    expect(callerPane({ TMUX: "/tmp/s,4711,0" })).toBeUndefined();
    expect(callerPane({ TMUX_PANE: "%3" })).toBeUndefined();
    expect(callerPane({ TMUX: "", TMUX_PANE: "3" })).toBeUndefined();
  });
});

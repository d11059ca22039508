import { spawn } from "node:child_process";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Exec, execProgram } from "../../src/exec.js";
import { createTmux, type Tmux } from "../../src/tmux/tmux.js";
import { bundleChild } from "../support/child.js";
import { catPane, describeTmux, eventually, type PrivateTmux, privateTmux } from "../support/tmux.js";

describeTmux("a client that stays", () => {
  let server: PrivateTmux;
  let leaving: AbortController;
  let held: Tmux;
  /** What was run by a client of its own. */
  let started: string[];
  beforeEach(() => {
    server = privateTmux();
    leaving = new AbortController();
    started = [];
    const exec: Exec = (file, args, options) => {
      started.push(args.join(" "));
      return execProgram(file, args, options);
    };
    held = createTmux({ exec, env: server.env }).holding("mu-demo", leaving.signal);
  });
  afterEach(async () => {
    leaving.abort();
    await server.dispose();
  });

  const clients = async () => (await server.raw("list-clients")).trim();
  const nobody = () => eventually("no client", async () => (await clients()) === "");

  it("says what clients of their own say, and changes nothing of the session", async () => {
    const guards = ["%begin 1 2 1", "%end 1 2 1", "%error 1 2 1", "日本 ✓"];
    const { pane } = await server.tmux.openPane({
      ...{ session: "mu-demo", window: "w", cwd: server.dir },
      argv: ["sh", "-c", 'printf "%s\\n" "$@"; exec cat', "sh", ...guards],
    });
    await server.tmux.setPaneLabels([{ pane, status: "idle", task: "it's; #[x]" }]);
    const before = [await server.raw("list-windows", "-F", "#{window_width}x#{window_height}")];
    before.push(await server.raw("show-environment", "-t", "=mu-demo:"));
    const look = await eventually("its text", async () => {
      const found = await held.survey({ screens: [pane, "%99"], shown: pane });
      return found.screens.get(pane)?.lines.includes("日本 ✓") && found;
    });
    expect(await clients()).toContain("control-mode");
    const count = started.length;
    const more = await Promise.all([1, 2, 3].map(() => held.survey({ screens: [pane, "%99"], shown: pane })));
    expect(more).toEqual([look, look, look]);
    expect(await held.run([["list-panes", "-t", "=no:"], ["list-sessions"]])).toEqual(
      await server.tmux.run([["list-panes", "-t", "=no:"], ["list-sessions"]]),
    );
    expect(started).toHaveLength(count);
    expect(await server.tmux.survey({ screens: [pane], shown: pane })).toEqual(look);
    expect(before[0]).toBe(await server.raw("list-windows", "-F", "#{window_width}x#{window_height}"));
    expect(before[1]).toBe(await server.raw("show-environment", "-t", "=mu-demo:"));
    leaving.abort();
    await nobody();
  });

  it("gives way to clients of their own where its session, its server or it itself has ended", async () => {
    const { pane } = await catPane(server.tmux, server.dir, "mu-other");
    expect((await held.survey({})).panes).toHaveLength(1);
    expect(await clients()).toBe("");
    held = createTmux({ exec: execProgram, env: server.env }).holding("mu-other", leaving.signal);
    expect((await held.captureScreens([pane])).size).toBe(1);
    expect(await clients()).toContain("control-mode");
    await server.raw("detach-client", "-s", "=mu-other");
    expect((await held.captureScreens([pane])).size).toBe(1);
    await server.raw("kill-server");
    expect(await held.survey({ screens: [pane] })).toEqual({ panes: [], screens: new Map() });
  });

  it("is not there where programs are told that somebody looks at them", async () => {
    await catPane(server.tmux, server.dir);
    await server.raw("set-option", "-s", "focus-events", "on");
    expect((await held.survey({})).panes).toHaveLength(1);
    expect(await clients()).toBe("");
  });

  it("ends with the process that holds it, also if that is killed", async () => {
    await catPane(server.tmux, server.dir);
    const program = await bundleChild(server.dir, "hold-child");
    const child = spawn(process.execPath, [program], { env: server.env, stdio: "ignore" });
    try {
      await eventually("its client", async () => (await clients()).includes("control-mode"));
    } finally {
      child.kill("SIGKILL");
    }
    await nobody();
  });
});

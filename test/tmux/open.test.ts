import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { OpenPane } from "../../src/tmux/open.js";
import { findServer } from "../../src/tmux/panes.js";
import { describeTmux, eventually, type PrivateTmux, privateTmux } from "../support/tmux.js";

describeTmux("opening a pane", () => {
  let server: PrivateTmux;
  beforeEach(() => {
    server = privateTmux();
  });
  afterEach(() => server.dispose());

  const open = (spec: Partial<OpenPane> = {}) =>
    server.client().openPane({ session: "mu-demo", window: "worker-1", cwd: server.dir, argv: ["cat"], ...spec });
  const listed = async (pane: string) => (await server.tmux.listPanes()).find(({ id }) => id === pane);

  it("makes the session, the window and the pane, and says who they are", async () => {
    const opened = await open({ identity: { agent: "worker-1", agentId: "17" } });
    expect(await findServer(server.tmux.run)).toBe(opened.server);
    expect(await listed(opened.pane)).toMatchObject({
      id: opened.pane,
      pid: opened.pid,
      window: opened.window,
      server: opened.server,
      session: "mu-demo",
      windowName: "worker-1",
      title: "worker-1",
      agent: "worker-1",
      agentId: "17",
      dead: false,
      inMode: false,
    });
    expect(await server.tmux.listPanes()).toHaveLength(1);
  });

  it("eight processes that open into a new session at once get eight panes of one session", async () => {
    const opened = await Promise.all(Array.from({ length: 8 }, (_, i) => open({ window: `worker-${i}` })));
    const panes = await server.tmux.listPanes();
    expect(new Set(opened.map(({ pane }) => pane)).size).toBe(8);
    expect(panes.map(({ id }) => id).sort()).toEqual(opened.map(({ pane }) => pane).sort());
    expect(new Set(panes.map(({ session }) => session))).toEqual(new Set(["mu-demo"]));
    expect(new Set(panes.map(({ window }) => window)).size).toBe(8);
  });

  it("eight processes that share a new window at once end up in one window", async () => {
    const size = { width: 200, height: 50 };
    const opened = await Promise.all(Array.from({ length: 8 }, () => open({ window: "crew", shared: true, size })));
    const panes = await server.tmux.listPanes();
    expect(panes).toHaveLength(8);
    expect(new Set(panes.map(({ window }) => window)).size).toBe(1);
    expect(new Set(opened.map(({ pane }) => pane)).size).toBe(8);
  });

  it("a session that vanishes between two panes is made again", async () => {
    await open();
    await server.tmux.killSession("mu-demo");
    const second = await open();
    expect(await server.tmux.listPanes()).toMatchObject([{ id: second.pane, session: "mu-demo" }]);
  });

  it("a session whose name begins with another one's stays untouched", async () => {
    await open({ session: "mu-foobar" });
    const opened = await open({ session: "mu-foo" });
    expect(await listed(opened.pane)).toMatchObject({ session: "mu-foo" });
    await server.tmux.killSession("mu-fo");
    await server.tmux.killSession("mu-foo");
    expect((await server.tmux.listPanes()).map(({ session }) => session)).toEqual(["mu-foobar"]);
  });

  it("arguments, names, paths and variables arrive verbatim: no shell and no tmux format sees them", async () => {
    const cwd = join(server.dir, "a b #(touch format) $(touch shell) 'q'");
    mkdirSync(cwd);
    const nasty = [
      "two words",
      "$(touch shell)",
      "`touch shell`",
      "it's",
      'say "x"',
      "a\nb\tc",
      ";",
      "end;",
      "\\;",
      "-n",
    ];
    nasty.push("#{pane_id}", "#(touch format)", "%H%M", "", "日本 🎉", "*", "~", "\\");
    const opened = await open({
      cwd,
      window: "#(touch format)#{pane_id} $(x)",
      identity: { agent: "it's #(touch format);", agentId: "a,b}#{pane_id};", title: "#(touch format) 100% %H;" },
      env: { ODD: "x;y=$(touch shell)\n;", SEMI: "a;" },
      argv: [
        "sh",
        "-c",
        'for a; do printf "%s\\0" "$a"; done >out; printf "%s\\0" "$ODD" "$SEMI" "$PWD" >env; exec cat',
        "sh",
        ...nasty,
      ],
    });
    const read = (name: string) =>
      eventually(
        name,
        async () => (await listed(opened.pane))?.command === "cat" && readFileSync(join(cwd, name), "utf8"),
      );
    expect((await read("out")).split("\0").slice(0, -1)).toEqual(nasty);
    expect((await read("env")).split("\0").slice(0, -1)).toEqual(["x;y=$(touch shell)\n;", "a;", cwd]);
    expect(await listed(opened.pane)).toMatchObject({
      windowName: "#(touch format)#{pane_id} $(x)",
      title: "#(touch format) 100% %H;",
      agent: "it's #(touch format);",
      agentId: "a,b}#{pane_id};",
    });
    expect([...readdirSync(server.dir), ...readdirSync(cwd)]).not.toContain("format");
    expect([...readdirSync(server.dir), ...readdirSync(cwd)]).not.toContain("shell");
  });

  it("a program alone, without arguments, is not a command line", async () => {
    const opened = await open({ argv: ["no such $(program)"] });
    await eventually("death", async () => (await listed(opened.pane))?.dead);
    const death = await server.tmux.confirmPane(opened.pane);
    expect(death?.status).toBe(127);
    expect(death?.lines.join("\n")).toContain("no such $(program): not found");
  });

  it("what a program said before it died can be read, and then nothing is left behind", async () => {
    const opened = await open({ argv: ["/bin/sh", "-c", "seq 1 80; echo 'fatal: no key' >&2; sleep 0.2; exit 3"] });
    await eventually("death", async () => (await listed(opened.pane))?.dead);
    const death = await server.tmux.confirmPane(opened.pane);
    expect(death?.status).toBe(3);
    expect(death?.lines.slice(-3)).toEqual(["79", "80", "fatal: no key"]);
    expect(death?.lines).toHaveLength(50);
    expect(await server.tmux.listPanes()).toEqual([]);
  });

  it("a program that a signal ended says which", async () => {
    const opened = await open({ argv: ["/bin/sh", "-c", "echo bye; sleep 0.2; kill -KILL $$"] });
    await eventually("death", async () => (await listed(opened.pane))?.dead);
    const death = await server.tmux.confirmPane(opened.pane);
    expect(death?.lines).toEqual(["bye"]);
    expect(death?.signal ?? "9").toMatch(/^(9|KILL)$/i);
  });

  it("a confirmed pane goes when its program ends", async () => {
    await open({ window: "other" });
    const opened = await open();
    expect(await server.tmux.confirmPane(opened.pane)).toBeUndefined();
    await server.tmux.sendKeys({ pane: opened.pane, keys: ["C-d"] });
    await eventually("the pane goes", async () => (await listed(opened.pane)) === undefined);
  });

  it("a pane that somebody closed meanwhile is dead without last words", async () => {
    const opened = await open();
    await server.tmux.killPane(opened.pane);
    await server.tmux.killPane(opened.pane);
    expect(await server.tmux.confirmPane(opened.pane)).toEqual({ lines: [] });
  });

  it("a folder that does not exist is said, not replaced by the home folder", async () => {
    const opened = await open({ cwd: join(server.dir, "gone") });
    await eventually("death", async () => (await listed(opened.pane))?.dead);
    expect((await server.tmux.confirmPane(opened.pane))?.lines.join("\n")).toMatch(/cd:.*gone/);
  });

  it("panes keep 10,000 rows of scrollback, from the first pane of a session on", async () => {
    const first = await open({});
    const second = await open({ window: "worker-2" });
    const limit = (pane: string) => server.raw("display-message", "-p", "-t", pane, "#{history_limit}");
    expect([await limit(first.pane), await limit(second.pane)]).toEqual(["10000\n", "10000\n"]);
  });

  it("windows have the asked size while nobody is attached, also a tiny one", async () => {
    const first = await open({ size: { width: 20, height: 5 } });
    const second = await open({ window: "worker-2", size: { width: 120, height: 40 } });
    expect(await listed(first.pane)).toMatchObject({ width: 20, height: 5 });
    expect(await listed(second.pane)).toMatchObject({ width: 120, height: 40 });
  });

  it("a window too small to be shared is a conflict, and leaves nothing behind", async () => {
    const size = { width: 20, height: 5 };
    const results: unknown[] = [];
    for (let i = 0; i < 12; i++)
      results.push(await open({ window: "crew", shared: true, size }).catch((error) => error));
    const faults = results.filter((result) => result instanceof Error);
    expect(faults[0]).toMatchObject({ kind: "conflict", code: "pane.no_space" });
    expect(await server.tmux.listPanes()).toHaveLength(12 - faults.length);
  });

  it("a server that mu starts knows no MU_ variables, so no agent is taken for its starter", async () => {
    await server.client({ env: { MU_AGENT: "starter", MU_AGENT_ID: "1", KEEP: "me" } }).openPane({
      session: "mu-demo",
      window: "worker-1",
      cwd: server.dir,
      argv: ["/bin/sh", "-c", "env >env.txt; exec cat"],
      env: { MU_AGENT: "worker-1" },
    });
    const text = await eventually("env", async () => {
      const [pane] = await server.tmux.listPanes();
      return pane?.command === "cat" && readFileSync(join(server.dir, "env.txt"), "utf8");
    });
    expect(
      text
        .split("\n")
        .filter((line) => /^(MU_|KEEP)/.test(line))
        .sort(),
    ).toEqual(["KEEP=me", "MU_AGENT=worker-1"]);
    expect(await server.raw("show-environment", "-g")).not.toContain("MU_");
  });

  it("a command that tmux cannot take is refused with what to do instead", async () => {
    await expect(open({ argv: ["echo", "x".repeat(20_000)] })).rejects.toMatchObject({
      kind: "usage",
      code: "tmux.command_too_long",
    });
    expect(await server.tmux.listPanes()).toEqual([]);
  });

  it("an exit status that tmux hears of later than of the death is waited for", async () => {
    const opened = await open({ argv: ["false"] });
    await eventually("death", async () => (await listed(opened.pane))?.dead);
    let looks = 0;
    const early = server.client({
      run: async (commands, options) => {
        const answer = await server.tmux.run(commands, options);
        return commands[0]?.[0] === "if-shell" && looks++ < 3
          ? { stdout: answer.stdout.replace(/^(\w+) .*/, "$1  ") }
          : answer;
      },
    });
    expect(await early.confirmPane(opened.pane)).toEqual({ status: 1, lines: [] });
    expect(await server.tmux.listPanes()).toEqual([]);
  });

  it("a pane that cannot be set up is taken away again", async () => {
    await open({ window: "other" });
    const failing = server.client({
      run: async (commands, options) => {
        const refusal = commands.some(([name]) => name === "respawn-pane") ? "fork failed" : undefined;
        return refusal === undefined ? server.tmux.run(commands, options) : { stdout: "", refusal };
      },
    });
    const spec = { session: "mu-demo", window: "w", cwd: server.dir, argv: ["cat"] as [string] };
    await expect(failing.openPane(spec)).rejects.toMatchObject({ kind: "unavailable", code: "tmux.failed" });
    expect((await server.tmux.listPanes()).map(({ windowName }) => windowName)).toEqual(["other"]);
  });

  it("a session of a person who destroys unattached sessions survives", async () => {
    await server.raw(
      "-f",
      "/dev/null",
      "new-session",
      "-d",
      "-s",
      "person",
      ";",
      "set-option",
      "-g",
      "remain-on-exit",
      "on",
    );
    await server.raw("set-option", "-t", "person", "destroy-unattached", "off");
    await server.raw("set-option", "-g", "destroy-unattached", "on");
    await server.raw("set-option", "-g", "base-index", "5");
    const opened = await open();
    expect(await server.tmux.confirmPane(opened.pane)).toBeUndefined();
    expect(await listed(opened.pane)).toMatchObject({ session: "mu-demo" });
  });
});

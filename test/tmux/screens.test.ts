import { afterEach, beforeEach, expect, it } from "vitest";
import { lastLines } from "../../src/tmux/screens.js";
import { describeTmux, eventually, type PrivateTmux, privateTmux } from "../support/tmux.js";

describeTmux("reading screens", () => {
  let server: PrivateTmux;
  beforeEach(() => {
    server = privateTmux();
  });
  afterEach(() => server.dispose());

  /** A pane that shows `script`'s output and then waits. */
  async function show(script: string, size = { width: 80, height: 24 }) {
    const argv = ["sh", "-c", `${script}; printf '\\033]2;done\\007'; exec cat`] as [string, string, string];
    const { pane } = await server.tmux.openPane({ session: "mu-demo", window: "w", cwd: server.dir, argv, size });
    await eventually("the output", async () => (await titleOf(pane)) === "done");
    return pane;
  }
  const titleOf = async (pane: string) => (await server.tmux.listPanes()).find(({ id }) => id === pane)?.title;

  it("gives every pane its own rows, cursor and title, in one call", async () => {
    const panes = [
      await show("echo one"),
      await show("printf '\\033[31mtwo\\033[0m  three\\n日本 🎉'"),
      await show("printf x"),
    ];
    let calls = 0;
    const counting = server.client({
      run: (...args) => {
        calls++;
        return server.tmux.run(...args);
      },
    });
    const screens = await counting.captureScreens(panes);
    expect(calls).toBe(1);
    expect(panes.map((pane) => screens.get(pane)?.lines.slice(0, 2))).toEqual([
      ["one", ""],
      ["two  three", "日本 🎉"],
      ["x", ""],
    ]);
    expect(screens.get(panes[1] ?? "")).toMatchObject({ cursorX: 7, cursorY: 1, title: "done" });
    expect(screens.get(panes[0] ?? "")?.lines).toHaveLength(24);
  });

  it("a pane that is gone is left out and does not cost the others theirs", async () => {
    const [a, b] = [await show("echo a"), await show("echo b")];
    const screens = await server.tmux.captureScreens(["%90", a, "%91", "%92", b, a, "%93"]);
    expect([...screens.keys()]).toEqual([a, b]);
    expect([...screens.values()].map(({ lines }) => lines[0])).toEqual(["a", "b"]);
  });

  it("hundreds of panes fit, in as few calls as tmux allows", async () => {
    const pane = await show("echo a");
    let calls = 0;
    const counting = server.client({
      run: (...args) => {
        calls++;
        return server.tmux.run(...args);
      },
    });
    const { pane: other } = await server.tmux.openPane({
      session: "mu-b",
      window: "w",
      cwd: server.dir,
      argv: ["cat"],
    });
    const screens = await counting.captureScreens(Array.from({ length: 400 }, (_, i) => (i % 2 ? pane : other)));
    expect(screens.size).toBe(2);
    expect(calls).toBe(1);
    await counting.setPaneLabels(
      Array.from({ length: 400 }, () => ({ pane, status: "busy", task: "build-the-parser" })),
    );
    expect(calls).toBeLessThan(12);
  });

  it("colours stay when asked for", async () => {
    const pane = await show("printf '\\033[31mred\\033[0m'");
    const screen = (await server.tmux.captureScreens([pane], { escapes: true })).get(pane);
    expect(screen?.lines[0]).toContain("\u001b[31mred");
  });

  it("the last lines are as many as asked, from the scrollback too, without the blanks below", async () => {
    const pane = await show("seq 1 100", { width: 20, height: 5 });
    expect(await server.tmux.readPane(pane, 3)).toEqual(["98", "99", "100"]);
    expect(await server.tmux.readPane(pane, 60)).toEqual(Array.from({ length: 60 }, (_, i) => `${i + 41}`));
    expect(await server.tmux.readPane(pane, 5000)).toHaveLength(100);
    await expect(server.tmux.readPane("%99", 3)).rejects.toMatchObject({ kind: "missing", code: "pane.not_found" });
  });

  it("a pane of 20×5 is five rows", async () => {
    const pane = await show("printf 'a wide line that wraps around'", { width: 20, height: 5 });
    expect((await server.tmux.captureScreens([pane])).get(pane)?.lines).toEqual([
      "a wide line that wra",
      "ps around",
      "",
      "",
      "",
    ]);
  });

  it("a server that is killed between two looks leaves no screens", async () => {
    const pane = await show("echo a");
    await server.raw("kill-server");
    expect(await server.tmux.captureScreens([pane])).toEqual(new Map());
  });

  it("blank rows at the end do not count", () => {
    expect(lastLines(["a", "", "b", " ", ""], 2)).toEqual(["", "b"]);
    expect(lastLines(["", " "], 2)).toEqual([]);
    expect(lastLines(["a"], 0)).toEqual([]);
  });
});

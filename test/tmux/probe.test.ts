import { readdirSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findServer } from "../../src/tmux/panes.js";
import { isSupported, parseVersion } from "../../src/tmux/probe.js";
import { catPane, describeTmux, type PrivateTmux, privateTmux } from "../support/tmux.js";

describe("a tmux version", () => {
  it.each([
    ["tmux 3.2", "3.2", true],
    ["tmux 3.2a", "3.2a", true],
    ["tmux 3.3a\n", "3.3a", true],
    ["tmux next-3.6", "3.6", true],
    ["tmux 3.10", "3.10", true],
    ["tmux 4.0-rc", "4.0", true],
    ["tmux 3.1c", "3.1c", false],
    ["tmux 2.9", "2.9", false],
    ["tmux next-3.1", "3.1", false],
    ["tmux master", undefined, true],
    ["tmux openbsd-7.5", undefined, true],
    ["", undefined, true],
  ])("%j is %s, good enough: %s", (printed, text, supported) => {
    const version = parseVersion(printed);
    expect(version?.text).toBe(text);
    expect(isSupported(version)).toBe(supported);
  });
});

describeTmux("the probe", () => {
  let server: PrivateTmux;
  beforeEach(() => {
    server = privateTmux();
  });
  afterEach(() => server.dispose());

  it("tries what this tmux can do on a server of its own, and leaves no trace", async () => {
    const { server: id } = await catPane(server.tmux, server.dir);
    const probe = await server.tmux.probe();
    expect(probe).toMatchObject({
      supported: true,
      features: { exactTargets: true, paneTitles: true, paneDiedHook: true },
    });
    expect(`tmux ${probe.version}`).toContain((await server.raw("-V")).trim().replace("next-", ""));
    expect(Object.values(probe.features).every((value) => typeof value === "boolean")).toBe(true);
    expect(await server.tmux.listPanes()).toHaveLength(1);
    expect(await findServer(server.tmux.run)).toBe(id);
    expect(readdirSync(`${server.dir}/tmux-${process.getuid?.()}`)).toEqual(["t"]);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Exec, ExecResult } from "../../src/exec.js";
import { findServer } from "../../src/tmux/panes.js";
import { createRun, formatText, inCalls, LONGEST_CALL, quoteCommands } from "../../src/tmux/run.js";
import { createTmux } from "../../src/tmux/tmux.js";

const ended: ExecResult = { code: 0, stdout: "", stderr: "", timedOut: false };

/** An exec that gives `result` and remembers how it was called. */
function fakeExec(result: Partial<ExecResult> = {}) {
  const calls: { args: readonly string[]; env: Readonly<Record<string, string | undefined>> }[] = [];
  const exec: Exec = async (_, args, options = {}) => {
    calls.push({ args, env: options.env ?? {} });
    return { ...ended, ...result };
  };
  return { exec, calls };
}

const tmuxThat = (result: Partial<ExecResult>) => createTmux({ exec: fakeExec(result).exec, env: {} });

describe("the executor", () => {
  it.each([
    ["crew", ["-L", "crew"]],
    ["/run/crew.sock", ["-S", "/run/crew.sock"]],
    ["./crew", ["-S", "./crew"]],
    ["", []],
    [undefined, []],
  ])("MU_TMUX_SOCKET=%s leads to %j", async (socket, expected) => {
    const { exec, calls } = fakeExec();
    await createRun({ exec, env: { MU_TMUX_SOCKET: socket } })([["list-panes", "-a"]]);
    expect(calls[0]?.args).toEqual(["-u", ...expected, "list-panes", "-a"]);
  });

  it("keeps MU_ variables from tmux and everything else as it is", async () => {
    const { exec, calls } = fakeExec();
    const env = { MU_AGENT: "a", MU_TMUX_SOCKET: "s", TMUX: "/tmp/s,1,0", TMUX_TMPDIR: "/tmp", MUSIC: "on" };
    await createRun({ exec, env })([["kill-server"]]);
    expect(calls[0]?.env).toEqual({ TMUX: "/tmp/s,1,0", TMUX_TMPDIR: "/tmp", MUSIC: "on" });
  });

  it("joins commands, and a word that ends in a semicolon stays a word", async () => {
    const { exec, calls } = fakeExec();
    await createRun({ exec, env: {} })([
      ["a", ";", "b;"],
      ["c\\;", ";d", ""],
    ]);
    expect(calls[0]?.args).toEqual(["-u", "a", "\\;", "b\\;", ";", "c\\\\;", ";d", ""]);
  });

  it("commands are split into calls that fit, in order, none lost", () => {
    const length = fc.integer({ min: 1, max: 3000 });
    fc.assert(
      fc.property(fc.array(length), (lengths) => {
        const calls = inCalls(lengths, (n) => [["x".repeat(n)]]);
        expect(calls.flat()).toEqual(lengths);
        for (const call of calls) expect(call.reduce((sum, n) => sum + n, 0)).toBeLessThanOrEqual(LONGEST_CALL);
      }),
    );
  });

  it("quotes and escapes what tmux would read as syntax", () => {
    expect(
      quoteCommands([
        ["set", "it's"],
        ["x", ""],
      ]),
    ).toBe("'set' 'it'\\''s' ; 'x' ''");
    expect(formatText("a#(x)#{y},}#[z")).toBe("a##(x)##{y#}#,#}#[z");
  });
});

describe("what goes wrong with tmux", () => {
  it("it is not installed", async () => {
    const tmux = tmuxThat({ code: null, notStarted: "ENOENT" });
    const fault = { kind: "unavailable", code: "tmux.not_installed", exitCode: 5 };
    await expect(tmux.listPanes()).rejects.toMatchObject(fault);
    await expect(tmux.probe()).rejects.toMatchObject(fault);
  });

  it("it is too old", async () => {
    const tmux = tmuxThat({ stdout: "tmux 3.1c\n" });
    const spec = { session: "s", window: "w", cwd: "/", argv: ["x"] as [string] };
    await expect(tmux.openPane(spec)).rejects.toMatchObject({ kind: "unavailable", code: "tmux.too_old" });
  });

  it("it does not answer", async () => {
    await expect(tmuxThat({ code: null, timedOut: true }).listPanes()).rejects.toMatchObject({ code: "tmux.failed" });
  });

  it.each([
    "no server running on /tmp/tmux-0/default",
    "error connecting to /tmp/tmux-0/default (No such file or directory)",
    "error connecting to /tmp/tmux-0/default (Connection refused)",
    "server exited unexpectedly",
    "lost server",
  ])("%j means no panes", async (stderr) => {
    const tmux = tmuxThat({ code: 1, stderr });
    expect(await tmux.listPanes()).toEqual([]);
    expect(await findServer(tmux.run)).toBeUndefined();
  });

  it.each(["Operation not permitted", "Permission denied", "Resource temporarily unavailable"])(
    "a socket that answers %j may have panes behind it, so nobody is declared dead",
    async (reason) => {
      const tmux = tmuxThat({ code: 1, stderr: `error connecting to /tmp/tmux-0/default (${reason})` });
      await expect(tmux.listPanes()).rejects.toMatchObject({ kind: "unavailable", code: "tmux.unreachable" });
    },
  );

  it("every fault says it in words of its own and what to do next", async () => {
    const faults = await Promise.all([
      tmuxThat({ code: 1, stderr: "protocol version mismatch (client 8, server 7)" }).listPanes().catch(String),
      tmuxThat({ code: 1, stderr: "can't find pane: %1" }).focusPane("%1").catch(String),
    ]);
    expect(faults[0]).toContain('Cannot list the panes: tmux says "protocol version mismatch');
    expect(faults[1]).toContain("Pane %1 does not exist");
    await expect(tmuxThat({ code: 1, stderr: "?" }).listPanes()).rejects.toMatchObject({
      nextSteps: [{ command: "mu doctor" }],
    });
  });
});

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../src/clock.js";
import { execProgram } from "../src/exec.js";
import {
  commandLines,
  endGroup,
  endProcessTrees,
  findProcess,
  listProcesses,
  type Process,
  parsePs,
  parseStat,
  processTrees,
  signalGroup,
} from "../src/processes.js";
import { describeTmux, eventually, type PrivateTmux, privateTmux } from "./support/tmux.js";

const host = { exec: execProgram, context: { clock: systemClock } };

describe("processes", { timeout: 60_000 }, () => {
  let dir: string;
  const started: number[] = [];
  beforeEach(() => {
    dir = realpathSync(mkdtempSync(join(tmpdir(), "mu-p-")));
  });
  afterEach(() => {
    for (const pid of started.splice(0)) signalGroup(pid, "SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  });

  /** Runs a script in a process session of its own, as a pane does, until it has written `count` pids to `pids`. */
  async function run(script: string, count: number): Promise<{ root: number; pids: number[] }> {
    const child = spawn("/bin/sh", ["-c", script], { cwd: dir, detached: true, stdio: "ignore" });
    const root = child.pid ?? 0;
    started.push(root);
    const pids = await eventually("the processes", async () => {
      const lines = read("pids").split("\n").slice(0, -1);
      return lines.length >= count && lines.map(Number);
    });
    return { root, pids };
  }
  const read = (name: string) => {
    try {
      return readFileSync(join(dir, name), "utf8");
    } catch {
      return "";
    }
  };
  const isAlive = async (pid: number) => {
    const found = await findProcess(host, { pid });
    return found !== undefined && !found.zombie;
  };

  it("finds this process, with its parent and its start", async () => {
    const [me] = (await listProcesses(host)).filter(({ pid }) => pid === process.pid);
    expect(me).toMatchObject({ parent: process.ppid, zombie: false });
    expect(me?.start).not.toBe("");
  });

  it("ends a whole tree, including grandchildren and processes that ignore TERM and HUP", async () => {
    const stubborn = "trap '' TERM HUP; echo $$ >>pids; while :; do sleep 0.1; done";
    const { root, pids } = await run(
      `sh -c "${stubborn.replaceAll("$", "\\$")}" & sleep 100 & echo $! >>pids; wait`,
      2,
    );
    expect(await endProcessTrees(host, [{ pid: root }], { graceMs: 200 })).toEqual([]);
    expect(await Promise.all([root, ...pids].map(isAlive))).toEqual([false, false, false]);
  });

  it.runIf(process.platform === "linux")("finds children whose parent has gone", async () => {
    const { root, pids } = await run("(trap '' HUP; sleep 100 & echo $! >>pids) & wait; exit 0", 1);
    await eventually("the root ends", async () => !(await isAlive(root)));
    expect(await isAlive(pids[0] ?? 0)).toBe(true);
    expect(await endProcessTrees(host, [{ pid: root }], { graceMs: 2000 })).toEqual([]);
    expect(await isAlive(pids[0] ?? 0)).toBe(false);
  });

  it("leaves a reused pid alone", async () => {
    const { root, pids } = await run("sleep 100 & echo $! >>pids; wait", 1);
    const stale = { pid: root, start: "another time" };
    expect(await findProcess(host, stale)).toBeUndefined();
    expect(await endProcessTrees(host, [stale])).toEqual([]);
    expect(await isAlive(root)).toBe(true);
    expect(await isAlive(pids[0] ?? 0)).toBe(true);
  });

  it("ending a process that has ended is a no-op", async () => {
    const { root } = await run("echo $$ >>pids", 1);
    await eventually("the end", async () => !(await isAlive(root)));
    expect(await endProcessTrees(host, [{ pid: root }])).toEqual([]);
  });

  it("ends a group that ignores TERM", async () => {
    const { root, pids } = await run("trap '' TERM; echo $$ >>pids; sleep 100 & echo $! >>pids; wait", 2);
    await endGroup(host, root, { graceMs: 100 });
    expect(await Promise.all(pids.map(isAlive))).toEqual([false, false]);
  });

  it("does not wait for processes of a group that have ended and that nobody has reaped", async () => {
    const { root } = await run("echo $$ >>pids; exec sleep 100", 1);
    const line = `${root} 1 ${root} -1 Z Mon Nov  2 13:24:00 2026 ended`;
    const exec = async () => ({ code: 0, stdout: line, stderr: "", timedOut: false });
    const sleep = () => Promise.reject(new Error("it waits"));
    await endGroup({ exec, context: { clock: { ...systemClock, sleep } }, platform: "darwin" }, root);
  });

  it("reports what survived the timeout", async () => {
    const line = "4194999 1 4194999 -1 D Mon Nov  2 13:24:00 2026 stuck";
    const exec = async () => ({ code: 0, stdout: line, stderr: "", timedOut: false });
    const stuck = { ...host, exec, platform: "darwin" as const };
    const survivors = await endProcessTrees(stuck, [{ pid: 4194999 }], { graceMs: 0, killMs: 0 });
    expect(survivors).toMatchObject([{ pid: 4194999, name: "stuck" }]);
  });

  it.each([0, 1, -1, Number.NaN])("refuses to signal pid %d", async (pid) => {
    expect(await endProcessTrees(host, [{ pid }])).toEqual([]);
    expect(signalGroup(pid, "SIGCONT")).toBe(false);
  });

  it("reads /proc lines with a misleading process name", () => {
    const rest = "S 1 42 42 34816 77 4194560 1 0 0 0 0 0 0 0 20 0 1 0 123456 0 0";
    expect(parseStat(`42 (evil) R 9 (x) ${rest}`)).toMatchObject({
      pid: 42,
      name: "evil) R 9 (x",
      parent: 1,
      group: 42,
      session: 42,
      foreground: 77,
      start: "123456",
      zombie: false,
    });
    expect(parseStat("")).toBeUndefined();
  });

  it("reads ps lines", () => {
    expect(parsePs("   42     1    42    77 Ss+  Mon Nov  2 13:24:00 2026 /usr/local/bin/node x")).toEqual({
      pid: 42,
      parent: 1,
      group: 42,
      foreground: 77,
      start: "Mon Nov 2 13:24:00 2026",
      name: "/usr/local/bin/node x",
      zombie: false,
      stopped: false,
    } satisfies Process);
    expect(parsePs("  1 0 1 -1 Z Mon Nov  2 13:24:00 2026 init")).toMatchObject({ zombie: true });
    expect(parsePs("PID")).toBeUndefined();
  });

  it.each(["linux", "darwin"] as const)("sees that a group is stopped (%s)", async (platform) => {
    const { root } = await run("sleep 100 & echo $! >>pids; wait", 1);
    const tree = async () => (await processTrees({ ...host, platform }, [root])).get(root) ?? [];
    expect((await tree()).map(({ stopped }) => stopped)).toEqual([false, false]);
    const commands = async () => {
      const pids = (await tree()).map(({ pid }) => pid);
      return [...(await commandLines({ ...host, platform }, pids)).values()];
    };
    // A child is its parent's copy until it becomes its own program.
    await eventually("the child is sleep", async () => (await commands()).some(([name]) => name === "sleep"));
    signalGroup(root, "SIGSTOP");
    await eventually("it stops", async () => (await tree()).every(({ stopped }) => stopped));
    expect(await commands()).toContainEqual(["sleep", "100"]);
  });

  it("reads the same from ps where there is no /proc", async () => {
    const elsewhere = { ...host, platform: "darwin" as const };
    const { root } = await run("sleep 100 & echo $! >>pids; wait", 1);
    const family = async (on: typeof host) =>
      (await listProcesses(on)).filter(({ pid, parent }) => pid === root || parent === root);
    const byPs = await family(elsewhere);
    expect(byPs).toHaveLength(2);
    expect(byPs.map(({ pid }) => pid)).toEqual((await family(host)).map(({ pid }) => pid));
    expect(
      await endProcessTrees(elsewhere, [{ pid: root, start: byPs.find((one) => one.pid === root)?.start ?? "" }]),
    ).toEqual([]);
    expect(await isAlive(root)).toBe(false);
  });
});

describeTmux("the processes of a pane", () => {
  let server: PrivateTmux;
  beforeEach(() => {
    server = privateTmux();
  });
  afterEach(() => server.dispose());

  it("ends a program that outlives its pane, with its children", async () => {
    const script =
      "trap '' HUP; (trap '' HUP; exec sleep 100) & printf '\\033]2;ready\\007'; while :; do sleep 0.1; done";
    const { pane, pid } = await server.tmux.openPane({
      session: "mu-demo",
      window: "w",
      cwd: server.dir,
      argv: ["sh", "-c", script],
    });
    await eventually("ready", async () => (await server.tmux.listPanes())[0]?.title === "ready");
    const tree = (await listProcesses(host)).filter((one) => one.pid === pid || one.parent === pid);
    expect(tree.length).toBeGreaterThan(1);
    await server.tmux.killPane(pane);
    expect(await endProcessTrees(host, [{ pid, start: tree.find((one) => one.pid === pid)?.start ?? "" }])).toEqual([]);
    const left = await listProcesses(host);
    expect(
      left.filter((one) => !one.zombie && tree.some((other) => other.pid === one.pid && other.start === one.start)),
    ).toEqual([]);
  });

  it.each(["linux", "darwin"] as const)("the foreground group is what Ctrl-C would reach (%s)", async (platform) => {
    const { pane, pid } = await server.tmux.openPane({
      session: "mu-demo",
      window: "w",
      cwd: server.dir,
      argv: ["bash", "--norc", "-i"],
    });
    const group = async () => {
      const [root, ...below] = (await processTrees({ ...host, platform }, [pid])).get(pid) ?? [];
      return [root, ...below].flatMap((one) => (one !== undefined && one.group === root?.foreground ? [one] : []));
    };
    await eventually("the shell", async () => (await group())[0]?.pid === pid);
    await server.tmux.sendKeys({ pane, keys: ["sleep 100 | cat"], as: "characters" });
    await server.tmux.sendKeys({ pane, keys: ["Enter"] });
    const found = await eventually("the pipeline", async () => {
      const members = await group();
      const names = members.map(({ name }) => name.replace(/^.*\//, "")).sort();
      return names.join(" ") === "cat sleep" && members;
    });
    expect(signalGroup(found[0]?.group ?? 0, "SIGINT")).toBe(true);
    await eventually("the shell again", async () => (await group())[0]?.pid === pid);
    expect(signalGroup(found[0]?.group ?? 0, "SIGINT")).toBe(false);
  });

  it.each(["linux", "darwin"] as const)("a process that does not exist has no tree (%s)", async (platform) => {
    expect(await processTrees({ ...host, platform }, [99_999_999])).toEqual(new Map([[99_999_999, []]]));
  });
});

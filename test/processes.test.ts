import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../src/clock.js";
import { execProgram } from "../src/exec.js";
import {
  endProcessTree,
  findProcess,
  foregroundGroup,
  listProcesses,
  type Process,
  parsePs,
  parseStat,
  processTree,
  signalGroup,
} from "../src/processes.js";
import { describeTmux, eventually, type PrivateTmux, privateTmux } from "./support/tmux.js";

const world = { exec: execProgram, clock: systemClock };

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
    const found = await findProcess(world, { pid });
    return found !== undefined && !found.zombie;
  };

  it("finds this process, with its parent and its start", async () => {
    const [me] = (await listProcesses(world)).filter(({ pid }) => pid === process.pid);
    expect(me).toMatchObject({ parent: process.ppid, zombie: false });
    expect(me?.start).not.toBe("");
  });

  it("a tree is the root, its children and theirs", async () => {
    const { root, pids } = await run("sleep 100 & echo $! >>pids; sh -c 'sleep 100 & echo $! >>pids; wait' & wait", 2);
    const tree = await processTree(world, { pid: root });
    expect(tree[0]?.pid).toBe(root);
    expect(tree.map(({ pid }) => pid)).toEqual(expect.arrayContaining(pids));
    expect(tree).toHaveLength(4);
  });

  it("ends a whole tree, also grandchildren and who ignores TERM and the hang-up", async () => {
    const stubborn = "trap '' TERM HUP; echo $$ >>pids; while :; do sleep 0.1; done";
    const { root, pids } = await run(
      `sh -c "${stubborn.replaceAll("$", "\\$")}" & sleep 100 & echo $! >>pids; wait`,
      2,
    );
    expect(await endProcessTree(world, { pid: root }, { graceMs: 200 })).toEqual([]);
    expect(await Promise.all([root, ...pids].map(isAlive))).toEqual([false, false, false]);
  });

  it.runIf(process.platform === "linux")("finds children whose parent has gone", async () => {
    const { root, pids } = await run("(trap '' HUP; sleep 100 & echo $! >>pids) & wait; exit 0", 1);
    await eventually("the root ends", async () => !(await isAlive(root)));
    expect(await isAlive(pids[0] ?? 0)).toBe(true);
    expect(await endProcessTree(world, { pid: root }, { graceMs: 2000 })).toEqual([]);
    expect(await isAlive(pids[0] ?? 0)).toBe(false);
  });

  it("a pid that belongs to another process now is left alone", async () => {
    const { root, pids } = await run("sleep 100 & echo $! >>pids; wait", 1);
    const stale = { pid: root, start: "another time" };
    expect(await findProcess(world, stale)).toBeUndefined();
    expect(await processTree(world, stale)).toEqual([]);
    expect(await endProcessTree(world, stale)).toEqual([]);
    expect(await isAlive(root)).toBe(true);
    expect(await isAlive(pids[0] ?? 0)).toBe(true);
  });

  it("ending what has ended is nothing", async () => {
    const { root } = await run("echo $$ >>pids", 1);
    await eventually("the end", async () => !(await isAlive(root)));
    expect(await endProcessTree(world, { pid: root })).toEqual([]);
  });

  it("says who survived when the time is over", async () => {
    const line = "4194999 1 4194999 -1 D Mon Nov  2 13:24:00 2026 stuck";
    const exec = async () => ({ code: 0, stdout: line, stderr: "", timedOut: false });
    const stuck = { ...world, exec, platform: "darwin" as const };
    const survivors = await endProcessTree(stuck, { pid: 4194999 }, { graceMs: 0, killMs: 0 });
    expect(survivors).toMatchObject([{ pid: 4194999, name: "stuck" }]);
  });

  it.each([0, 1, -1, Number.NaN])("%d is nobody to end", async (pid) => {
    expect(await processTree(world, { pid })).toEqual([]);
    expect(await endProcessTree(world, { pid })).toEqual([]);
    expect(signalGroup(pid, "SIGCONT")).toBe(false);
  });

  it("reads /proc lines whose name is made to mislead", () => {
    const rest = "S 1 42 42 34816 77 4194560 1 0 0 0 0 0 0 0 20 0 1 0 123456 0 0";
    expect(parseStat(`42 (evil) R 9 (x) ${rest}`)).toMatchObject({
      pid: 42,
      name: "evil) R 9 (x",
      parent: 1,
      group: 42,
      session: 42,
      tty: 34816,
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
    } satisfies Process);
    expect(parsePs("  1 0 1 -1 Z Mon Nov  2 13:24:00 2026 init")).toMatchObject({ zombie: true });
    expect(parsePs("PID")).toBeUndefined();
  });

  it("a machine without /proc is read by ps, and agrees", async () => {
    const elsewhere = { ...world, platform: "darwin" as const };
    const { root } = await run("sleep 100 & echo $! >>pids; wait", 1);
    const byPs = await processTree(elsewhere, { pid: root });
    expect(byPs.map(({ pid }) => pid)).toEqual((await processTree(world, { pid: root })).map(({ pid }) => pid));
    expect(await endProcessTree(elsewhere, { pid: root, start: byPs[0]?.start ?? "" })).toEqual([]);
    expect(await isAlive(root)).toBe(false);
  });
});

describeTmux("the processes of a pane", () => {
  let server: PrivateTmux;
  beforeEach(() => {
    server = privateTmux();
  });
  afterEach(() => server.dispose());

  it("a program that survives its pane is ended with its tree", async () => {
    const script =
      "trap '' HUP; (trap '' HUP; exec sleep 100) & printf '\\033]2;ready\\007'; while :; do sleep 0.1; done";
    const { pane, pid } = await server.tmux.openPane({
      session: "mu-demo",
      window: "w",
      cwd: server.dir,
      argv: ["sh", "-c", script],
    });
    await eventually("ready", async () => (await server.tmux.listPanes())[0]?.title === "ready");
    const tree = await processTree(world, { pid });
    await server.tmux.killPane(pane);
    expect(await endProcessTree(world, { pid, ...(tree[0] && { start: tree[0].start }) })).toEqual([]);
    const left = await listProcesses(world);
    expect(
      left.filter((one) => !one.zombie && tree.some((other) => other.pid === one.pid && other.start === one.start)),
    ).toEqual([]);
  });

  it.each(["linux", "darwin"] as const)(
    "the group in the foreground is what Ctrl-C would reach (%s)",
    async (platform) => {
      const { pane, pid } = await server.tmux.openPane({
        session: "mu-demo",
        window: "w",
        cwd: server.dir,
        argv: ["bash", "--norc", "-i"],
      });
      const tty = (await server.tmux.listPanes())[0]?.tty ?? "";
      const group = () => foregroundGroup({ ...world, platform }, tty);
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
    },
  );

  it("a terminal that does not exist has nobody in the foreground", async () => {
    expect(await foregroundGroup(world, "/dev/pts/99999")).toEqual([]);
  });
});

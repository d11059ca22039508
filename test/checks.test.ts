import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type CheckOptions, runCheck, tailOf } from "../src/checks.js";
import { systemClock } from "../src/clock.js";
import { execProgram } from "../src/exec.js";
import { findProcess } from "../src/processes.js";
import { temporaryFolder } from "./support/database.js";

const world = { exec: execProgram, env: process.env, context: { clock: systemClock } };

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const check = (command: string, options: Partial<CheckOptions> = {}) =>
  runCheck(world, { command, cwd: folder.path, timeoutMs: 120_000, ...options });

/** The pids that the command printed, one a line. */
const pids = (text: string) => text.split("\n").map(Number);
const alive = async (pid: number) =>
  (await findProcess({ exec: execProgram, context: { clock: systemClock } }, { pid }))?.zombie === false;

describe("a check", () => {
  it("runs in its folder, is heard as it goes, and ends with its exit code and last words", async () => {
    const heard: Uint8Array[] = [];
    const run = await check("pwd; echo $COLOUR >&2; echo end; exit 3", {
      env: { COLOUR: "blue" },
      onOutput: (chunk) => heard.push(chunk),
    });
    const text = `${folder.path}\nblue\nend\n`;
    expect(run).toMatchObject({ exitCode: 3, timedOut: false, interrupted: false });
    expect(run.tail).toBe(text.trimEnd());
    expect(Buffer.concat(heard).toString()).toBe(text);
    expect(run.seconds).toBeGreaterThanOrEqual(0);
  });

  it("keeps the last 50 lines, and those before a line without an end", async () => {
    expect((await check("seq 1 1000")).tail.split("\n")).toEqual(Array.from({ length: 50 }, (_, at) => `${951 + at}`));
    const { tail } = await check("seq 1 60; head -c 3000000 /dev/zero | tr '\\0' x");
    expect(tail.split("\n")).toHaveLength(50);
    expect(tail).toMatch(/^12\n[\s\S]*\n60\n…x{1000}$/);
  });

  it("keeps no secrets of its environment, and shows what it prints as it is", async () => {
    const heard: Uint8Array[] = [];
    const env = { DEPLOY_TOKEN: "hunter2hunter2" };
    const run = await check("echo with $DEPLOY_TOKEN; printf 'sk-ant-abcdefghijkl'", {
      env,
      onOutput: (chunk) => heard.push(chunk),
    });
    expect(run.tail).toBe("with [redacted]\n[redacted]");
    expect(Buffer.concat(heard).toString()).toBe("with hunter2hunter2\nsk-ant-abcdefghijkl");
  });

  it("prints a gigabyte and mu stays small", async () => {
    const before = process.memoryUsage.rss();
    let largest = 0;
    let bytes = 0;
    const run = await check("yes | head -c 1G", {
      onOutput: (chunk) => {
        bytes += chunk.length;
        largest = Math.max(largest, process.memoryUsage.rss());
      },
    });
    expect([run.exitCode, bytes]).toEqual([0, 1024 ** 3]);
    expect(run.tail).toBe(Array(50).fill("y").join("\n"));
    expect(largest - before).toBeLessThan(300 * 1024 ** 2);
  }, 120_000);

  it("may print what is no text", async () => {
    expect((await check("head -c 100000 /dev/urandom; printf '\\nend\\377\\n'")).tail).toMatch(/\nend\ufffd$/);
  });

  it("is over when it ends: what it left running is ended, a daemon that holds its output is not waited for", async () => {
    const left = await check("sleep 1000 & echo $!; sleep 1000 >/dev/null 2>&1 & echo $!");
    expect(left.exitCode).toBe(0);
    expect(pids(left.tail)).toHaveLength(2);
    for (const pid of pids(left.tail)) expect(await alive(pid)).toBe(false);

    const daemon = await check("setsid sh -c 'echo $$; exec sleep 1000' & sleep 0.3");
    const [pid = 0] = pids(daemon.tail);
    expect(await alive(pid)).toBe(true);
    process.kill(pid);
  });

  it("is ended with all its processes when its time is up", async () => {
    const run = await check("sleep 1000 & echo $!; setsid sleep 1000 & echo $!; sleep 1000", { timeoutMs: 500 });
    expect(run).toMatchObject({ exitCode: null, timedOut: true, interrupted: false });
    expect(pids(run.tail)).toHaveLength(2);
    for (const pid of pids(run.tail)) expect(await alive(pid)).toBe(false);
  });

  it("is killed when it does not want to end", async () => {
    const run = await check("trap '' TERM; echo $$; while :; do sleep 0.1; done", { timeoutMs: 300 });
    expect(run).toMatchObject({ exitCode: null, timedOut: true });
    expect(await alive(pids(run.tail)[0] ?? 0)).toBe(false);
  });

  it("is ended when the person wants no more of it", async () => {
    const ending = new AbortController();
    const run = await check("echo $$; sleep 1000", { signal: ending.signal, onOutput: () => ending.abort() });
    expect(run).toMatchObject({ exitCode: null, timedOut: false, interrupted: true });
    expect(await alive(pids(run.tail)[0] ?? 0)).toBe(false);
    expect(await check("sleep 1000", { signal: AbortSignal.abort() })).toMatchObject({ interrupted: true });
  });

  it("is not waited for longer when the person wants no more of it while what it left running does not end", async () => {
    const ending = new AbortController();
    const sleep = (ms: number, signal?: AbortSignal) => {
      if (signal !== undefined) ending.abort();
      return systemClock.sleep(ms, signal);
    };
    const command = "(trap '' TERM; touch ready; exec sleep 1000) & echo $!; until [ -e ready ]; do sleep 0.01; done";
    const options = { command, cwd: folder.path, timeoutMs: 60_000, signal: ending.signal };
    const run = await runCheck({ ...world, context: { clock: { ...systemClock, sleep } } }, options);
    expect([run.exitCode, ending.signal.aborted]).toEqual([0, true]);
    expect(await alive(pids(run.tail)[0] ?? 0)).toBe(false);
  });

  it("says that it ended by a signal, is no command, or cannot be started", async () => {
    expect(await check("kill -9 $$")).toMatchObject({ exitCode: null, timedOut: false, interrupted: false });
    expect(await check("nosuchprogram")).toMatchObject({
      exitCode: 127,
      tail: expect.stringContaining("nosuchprogram"),
    });
    expect(await check("if")).toMatchObject({ exitCode: 2 });
    await expect(check("echo \0")).rejects.toMatchObject({ code: "check.not_started" });
    rmSync(folder.path, { recursive: true });
    await expect(check("true")).rejects.toMatchObject({ kind: "unavailable", code: "check.not_started" });
  });

  it("does not hear which repository a hook that runs mu is about", async () => {
    const inHook = { ...world, env: { ...process.env, GIT_DIR: "/elsewhere", GIT_INDEX_FILE: "/elsewhere/index" } };
    const run = await runCheck(inHook, {
      command: "echo [$GIT_DIR$GIT_INDEX_FILE]",
      cwd: folder.path,
      timeoutMs: 60_000,
    });
    expect(run.tail).toBe("[]");
  });
});

const LIMITS = { lines: 5, bytes: 12 };

/** The tail of the whole text at once; letters of one byte only. */
function expected(text: string): string {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const cut = (line: string) => (line.length > LIMITS.bytes ? `…${line.slice(-LIMITS.bytes)}` : line);
  return lines.slice(-LIMITS.lines).map(cut).join("\n");
}

function tail(...chunks: (string | Uint8Array)[]): string {
  const kept = tailOf(LIMITS);
  for (const chunk of chunks) kept.add(Buffer.from(chunk as string));
  return kept.text();
}

it("is the end of the output, however it was cut in pieces", () => {
  const piece = fc.oneof(
    fc.string({ unit: fc.constantFrom("a", "b", "\n") }),
    fc.string({ unit: fc.constantFrom("x"), maxLength: 40 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      expect(tail(...pieces)).toBe(expected(pieces.join("")));
    }),
  );
});

it("keeps the lines before a line without an end, and the end of that line", () => {
  expect(tail("one\ntwo\n", "x".repeat(100_000), "end")).toBe(`one\ntwo\n…${"x".repeat(9)}end`);
});

it("bears what is no UTF-8, and cuts no letter in two", () => {
  expect(tail(Uint8Array.of(0xff, 0x61, 0xc3))).toBe("\ufffda\ufffd");
  expect(tail("ä".repeat(50))).toBe(`…${"ä".repeat(6)}`);
  expect(tail(`a${"ä".repeat(50)}b`)).toBe(`…${"ä".repeat(5)}b`);
});

it("needs no time while its program is stopped, as in a freeze", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const running = check("echo $$ > pid; kill -STOP $$; echo on", { timeoutMs: 5_000 });
    const path = join(folder.path, "pid");
    const pid = () => (existsSync(path) ? Number(readFileSync(path, "utf8")) : 0);
    const stopped = async () => pid() > 0 && (await findProcess(world, { pid: pid() }))?.stopped;
    await vi.waitFor(async () => expect(await stopped()).toBe(true), { interval: 0, timeout: 60_000 });
    for (let second = 0; second < 20; second++) await vi.advanceTimersByTimeAsync(1_000);
    process.kill(pid(), "SIGCONT");
    expect(await running).toMatchObject({ exitCode: 0, timedOut: false, tail: "on" });
  } finally {
    vi.useRealTimers();
  }
});

it("leaves out colours, and what a progress bar has written over", () => {
  expect(tail("\u001b[1mr\u001b[0m\r\n10%\r99%\rdone\n")).toBe("r\ndone");
});

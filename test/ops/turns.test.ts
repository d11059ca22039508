import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Crew } from "../../src/agents/crew.js";
import { openPiPrint } from "../../src/agents/turns/headless.js";
import { openPi } from "../../src/agents/turns/pi-rpc.js";
import type { TurnOptions, Turns } from "../../src/agents/turns/turns.js";
import { systemClock } from "../../src/clock.js";
import { execProgram } from "../../src/exec.js";
import { openTurns } from "../../src/operations/ops/world.js";
import { temporaryFolder } from "../support/database.js";
import { piNotes, piStarts, STUB_PI } from "../support/pi.js";

let folder: ReturnType<typeof temporaryFolder>;
let log: string;
const open: Turns[] = [];
beforeEach(() => {
  folder = temporaryFolder();
  log = join(folder.path, "pi.log");
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((turns) => turns.close()));
  folder.remove();
});

const env = (more: Record<string, string> = {}) => ({
  ...{ PATH: process.env["PATH"], HOME: folder.path, STUB_PI_LOG: log, ...more },
});

function options(more: Partial<TurnOptions> = {}, own: Record<string, string> = {}): TurnOptions {
  return { command: STUB_PI, cwd: folder.path, system: "Be brief.", timeoutMs: 60_000, env: env(own), ...more };
}

const host = (own: Record<string, string> = {}) =>
  ({ context: { clock: systemClock }, exec: execProgram, env: env(own), stateDir: folder.path }) as unknown as Crew;

async function conversation(more: Partial<TurnOptions> = {}, own: Record<string, string> = {}): Promise<Turns> {
  const turns = await openPi(host(), options(more, own), (flag) => flag === "--no-context-files");
  open.push(turns);
  return turns;
}

function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

const gone = (pids: (number | undefined)[]) =>
  expect.poll(() => pids.filter((pid) => isRunning(pid ?? 0)), { timeout: 60_000 }).toEqual([]);
const noted = (what: keyof ReturnType<typeof piNotes>[number]) =>
  piNotes(log)
    .map((one) => one[what])
    .filter(Boolean);

describe("a conversation with pi", () => {
  it("is one process for all turns, which is told the rules and what to load", async () => {
    const turns = await conversation({ provider: "acme", model: "acme-1", thinking: "high", skills: ["a", "b"] });
    expect(await turns.ask("one")).toBe("done: one");
    expect(await turns.ask("two\nlines")).toBe("done: lines");
    const [first, ...others] = piStarts(log);
    expect(others).toEqual([]);
    expect(first?.args).toEqual([
      ...["--mode", "rpc", "--no-session", "--no-context-files", "--append-system-prompt", "Be brief."],
      ...["--provider", "acme", "--model", "acme-1", "--thinking", "high", "--skill", "a", "--skill", "b"],
    ]);
    expect(turns.isOpen()).toBe(true);
    await turns.close();
    expect(turns.isOpen()).toBe(false);
    await gone([first?.pid]);
  });

  it("ends a line at a line feed alone, and passes over what is no message", async () => {
    const turns = await conversation();
    expect(await turns.ask("a\u2028b [strange]")).toBe("one\u2028two\r");
    expect(noted("prompt")).toEqual(["a\u2028b [strange]"]);
    expect(await turns.ask("and on")).toBe("done: and on");
  });

  it("gives an empty text where pi says nothing", async () => {
    expect(await (await conversation()).ask("[nothing]")).toBe("");
  });

  it("says why pi refused a prompt, and is over", async () => {
    const turns = await conversation();
    await expect(turns.ask("[refuse]")).rejects.toMatchObject({
      ...{ code: "turn.refused", message: "pi refused the prompt: no model" },
    });
    expect(turns.isOpen()).toBe(false);
    await expect(turns.ask("again")).rejects.toMatchObject({ code: "turn.died" });
  });

  it("says what pi said when it died in a turn, without its keys", async () => {
    const turns = await conversation({}, { ACME_API_KEY: "sk-acme-0123456789abcdef" });
    const error = await turns.ask("[die]").catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "turn.died" });
    expect(error.message).toContain("ended with 3.\nthe provider is gone, key ");
    expect(error.message).not.toContain("0123456789abcdef");
    expect(turns.isOpen()).toBe(false);
  });

  it("waits for the try that follows an error", async () => {
    const turns = await conversation();
    expect(await turns.ask("[retry] it")).toBe("done: [retry] it");
    expect(await turns.ask("[retry in vain]")).toBe("done: [retry in vain]");
  });

  it("gives up a turn that does not end, tells pi, and ends its whole tree though it listens to nothing", async () => {
    const turns = await conversation({ timeoutMs: 1_000 }, { STUB_PI_STUBBORN: "1" });
    await expect(turns.ask("[hang]")).rejects.toMatchObject({ code: "turn.timeout" });
    expect(turns.isOpen()).toBe(false);
    const [start] = piStarts(log);
    expect([noted("child").length, noted("abort").length]).toEqual([1, 1]);
    await gone([start?.pid, ...(noted("child") as number[])]);
  });

  it("ends with the request that is interrupted", async () => {
    const turns = await conversation();
    const abort = new AbortController();
    const asked = turns.ask("[hang]", abort.signal).catch((thrown) => thrown);
    await expect.poll(() => noted("prompt"), { timeout: 60_000 }).toHaveLength(1);
    abort.abort();
    expect(await asked).toMatchObject({ code: "request.interrupted" });
    await gone(piStarts(log).map(({ pid }) => pid));
  });

  it("says that a program is none", async () => {
    const turns = await conversation({ command: "/no/such/pi" });
    await expect(turns.ask("one")).rejects.toMatchObject({ code: "turn.died" });
    const missing = openPi(host(), options({ cwd: join(folder.path, "gone") }), () => false);
    await expect(missing).rejects.toMatchObject({ code: "turn.not_started" });
  });
});

describe("pi in print mode", () => {
  it("is a process for each turn", async () => {
    const turns = openPiPrint(host(), options({ model: "acme-1" }), () => false);
    expect(await turns.ask("one")).toBe("done: one");
    expect(await turns.ask("$(two) 'three'")).toBe("done: $(two) 'three'");
    expect(piStarts(log).map(({ args }) => args?.slice(0, 2))).toEqual([
      ["--print", "--append-system-prompt"],
      ["--print", "--append-system-prompt"],
    ]);
    expect(new Set(piStarts(log).map(({ pid }) => pid)).size).toBe(2);
    await expect(turns.ask("[die]")).rejects.toMatchObject({
      ...{ code: "turn.died", message: expect.stringContaining("the provider is gone") },
    });
  });
});

describe("whom a request is put to", () => {
  const CLAUDE = `sh -c 'cat >/dev/null; echo "{\\"type\\":\\"result\\",\\"subtype\\":\\"success\\",\\"result\\":\\"from claude\\",\\"session_id\\":\\"s-1\\"}"' claude`;
  const wish = () => ({ cwd: folder.path, timeoutMs: 60_000 });
  const answer = async (own: Record<string, string>, more = {}) => {
    const turns = await openTurns(host(own), { ...wish(), ...more });
    open.push(turns);
    return turns.ask("who?");
  };

  it("is pi, and Claude Code where there is no pi or it is asked for", async () => {
    const both = { MU_PI_COMMAND: STUB_PI, MU_CLAUDE_COMMAND: CLAUDE };
    expect(await answer(both)).toBe("done: who?");
    expect(await answer(both, { session: "print" })).toBe("done: who?");
    expect(await answer(both, { provider: "claude-code" })).toBe("from claude");
    expect(await answer({ ...both, MU_PI_COMMAND: "/no/such/pi" })).toBe("from claude");
    expect(await answer({ ...both, MU_PI_COMMAND: "/no/such/pi" }, { command: STUB_PI })).toBe("done: who?");
  });

  it("is nobody where neither is there, and that is said", async () => {
    const none = { MU_PI_COMMAND: "/no/such/pi", MU_CLAUDE_COMMAND: "/no/such/claude" };
    await expect(answer(none)).rejects.toMatchObject({ code: "turn.no_program", kind: "unavailable" });
  });
});

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AgentCliKey } from "../../src/agents/clis/cli.js";
import { type Headless, type HeadlessRequest, type Output, unmetRestriction } from "../../src/agents/clis/headless.js";
import { limitEnd } from "../../src/agents/clis/limit-end.js";
import { AGENT_CLIS } from "../../src/agents/clis/table.js";

const CLIS = ["claude", "pi", "codex", "gemini", "opencode", "command"] as const;

const headlessOf = (key: AgentCliKey): Headless => AGENT_CLIS[key].headless ?? expect.fail(`${key} has none`);
const recorded = (name: string): Output =>
  JSON.parse(readFileSync(new URL(`../fixtures/headless/${name}.json`, import.meta.url), "utf8"));
const readRecorded = (name: string) => headlessOf(name.split("-")[0] as AgentCliKey).read(recorded(name));
const request = (asked: Partial<HeadlessRequest> = {}): HeadlessRequest => ({
  ...{
    prompt: "Fix it.",
    system: null,
    model: null,
    access: "full",
    allowedTools: null,
    sessionRef: null,
    maxUsd: null,
  },
  ...asked,
});
const argsOf = (key: AgentCliKey, asked: Partial<HeadlessRequest> = {}) => headlessOf(key).start(request(asked)).args;
const none = { cacheRead: 0, cacheWrite5m: 0, cacheWrite1h: 0 };

describe("what real CLIs printed", () => {
  test.each([
    [
      "claude-success",
      "Hello.\n### DONE",
      { model: "claude-opus-5-5", input: 1000, output: 5, ...none, costUsd: 0.0041 },
    ],
    ["pi-success", "Hello.\n### DONE", { model: "fake-1", input: 1000, output: 5, ...none, costUsd: 0.001025 }],
    [
      "codex-tool",
      /All finished\.$/,
      { model: "", input: 3380 - 912, output: 156, ...none, cacheRead: 912, costUsd: null },
    ],
    [
      "opencode-success",
      "Hello! How can I help you today?",
      { model: "", input: 1234, output: 78, ...none, cacheRead: 456, costUsd: 0.001624 },
    ],
    [
      "gemini-success",
      "Hello! How can I help you today?",
      { model: "gemini-3.5-flash-lite", input: 1234, output: 78, ...none, cacheRead: 456, costUsd: null },
    ],
  ])("%s", (name, text, usage) => {
    const report = readRecorded(name);
    expect(report).toMatchObject({ failure: null, reason: null, productive: true });
    expect(report.text).toMatch(text);
    expect(report.usage[0]).toEqual(usage);
    expect(report.sessionRef).toMatch(/\w{8}/);
  });

  test.each(["claude-tool", "pi-tool"])("%s: both answers of the turn are counted", (name) => {
    const { text, usage, costUsd, productive } = readRecorded(name);
    expect([text, productive]).toEqual(["It printed: from-tool\n### DONE", true]);
    expect(usage[0]?.input).toBe(2000);
    expect(costUsd).toBeGreaterThan(0.002);
  });

  test.each([
    ["claude-limit", "rate_limit", /\(429\)/],
    ["pi-limit", "rate_limit", /^429 /],
    ["codex-limit", "rate_limit", /last status: 429/],
    ["claude-auth", "auth", /Invalid API key/],
    ["pi-auth", "auth", /^401 /],
    ["codex-billing", "auth", /^Your credit balance is too low/],
    ["gemini-billing", "auth", /^Your credit balance is too low/],
    ["claude-denied", "permission_denied", /Bash/],
    ["opencode-denied", "permission_denied", /rejected permission/],
  ])("%s is %s", (name, failure, reason) => {
    const report = readRecorded(name);
    expect(report).toMatchObject({ failure, productive: false });
    expect(report.reason).toMatch(reason);
  });

  test("Claude Code says success of a failed call; its exit code and its status say otherwise", () => {
    expect(JSON.parse(recorded("claude-limit").stdout)).toMatchObject({ subtype: "success", is_error: true });
    expect(headlessOf("claude").read({ ...recorded("claude-limit"), exitCode: 0 }).failure).toBe("rate_limit");
  });

  test("denials do not matter to Claude Code's answer once another tool did its work", () => {
    const { stdout, ...rest } = recorded("claude-denied");
    const worked = JSON.stringify({ ...JSON.parse(stdout), num_turns: 5 });
    expect(headlessOf("claude").read({ stdout: worked, ...rest })).toMatchObject({ failure: null, productive: true });
  });

  test("Codex counts on over its thread, the others do not", () => {
    expect(readRecorded("codex-tool").counts).toBe("thread");
    for (const name of ["claude-tool", "pi-tool", "opencode-success"]) expect(readRecorded(name).counts).toBe("run");
  });

  test("Claude's totals count on in a resumed conversation, and not in a new one", () => {
    const model = { inputTokens: 3250, outputTokens: 65, cacheReadInputTokens: 1500, costUSD: 0.011 };
    const own = { input_tokens: 1500, output_tokens: 30, cache_read_input_tokens: 0 };
    const read = (usage: object | undefined) =>
      headlessOf("claude").read({
        stdout: JSON.stringify({
          type: "result",
          result: "ok",
          usage,
          modelUsage: { m: model },
          total_cost_usd: 0.011,
        }),
        ...{ stderr: "", exitCode: 0 },
      });
    expect(read(own)).toMatchObject({ counts: "thread", costUsd: 0.011, usage: [{ input: 3250, output: 65 }] });
    expect(read({ input_tokens: 3250, output_tokens: 65, cache_read_input_tokens: 1500 }).counts).toBe("run");
    expect(read(undefined).counts).toBe("run");
  });

  test("Gemini's thoughts are output, in its long form and in its short one", () => {
    const long = { prompt: 100, candidates: 5, thoughts: 20, cached: 40, tool: 3, total: 128 };
    const short = { total_tokens: 125, input_tokens: 100, output_tokens: 5, cached: 40 };
    const read = (used: object) =>
      headlessOf("gemini").read({
        stdout: JSON.stringify({ response: "ok", stats: { models: { m: used } } }),
        ...{ stderr: "", exitCode: 0 },
      }).usage[0];
    expect(read({ tokens: long })).toMatchObject({ input: 63, output: 25, cacheRead: 40 });
    expect(read(short)).toMatchObject({ input: 60, output: 25, cacheRead: 40 });
  });

  test.each([
    [41, "auth"],
    [42, "config"],
    [53, "crash"],
  ])("Gemini's exit code %i is %s", (exitCode, failure) => {
    const stdout = JSON.stringify({ response: "half", stats: {} });
    expect(headlessOf("gemini").read({ stdout, stderr: "", exitCode }).failure).toBe(failure);
  });

  test("a step of OpenCode without an end leaves its cost unknown", () => {
    const { stdout, ...rest } = recorded("opencode-success");
    const cut = stdout.split("\n").slice(0, 2).join("\n");
    expect(headlessOf("opencode").read({ stdout: cut, ...rest })).toMatchObject({ costUsd: null, partial: true });
  });

  test("pi's messages are counted once, though the end of a run has them again, and also where only that was kept", () => {
    const { stdout, ...rest } = recorded("pi-tool");
    const end = stdout.split("\n").filter((line) => line.includes('"agent_end"'));
    const whole = readRecorded("pi-tool");
    expect(headlessOf("pi").read({ stdout: end.join("\n"), ...rest }).usage).toEqual(whole.usage);
  });
});

describe("a program of one's own", () => {
  const read = (stdout: string, exitCode: number | null = 0) =>
    headlessOf("command").read({ stdout, stderr: "", exitCode });

  test("answers with what it prints", () => {
    expect(read("one\ntwo\n")).toMatchObject({ text: "one\ntwo", usage: [], costUsd: null, failure: null });
  });

  test("says its result on its last line, which the answer keeps where it has a verdict", () => {
    const line = '{"verdict":"done","cost_usd":0.25,"usage":{"model":"m","input_tokens":7,"output_tokens":2}}';
    expect(read(`work\n${line}\n\n`)).toMatchObject({
      text: `work\n${line}`,
      costUsd: 0.25,
      usage: [{ model: "m", input: 7, output: 2 }],
    });
    expect(read('work\n{"text":"all well","cost_usd":0}')).toMatchObject({ text: "all well", costUsd: 0 });
    expect(read('{"cost_usd":1}\nmore')).toMatchObject({ text: '{"cost_usd":1}\nmore', costUsd: null });
  });

  test("crashes with the last line of its errors", () => {
    const output = { stdout: "", stderr: "a\n\u001b[31mboom\u001b[0m\n\n", exitCode: 3 };
    expect(headlessOf("command").read(output)).toMatchObject({ failure: "crash", reason: "boom", productive: false });
  });
});

describe("how they are started", () => {
  test("the prompt is never among the arguments, whatever it begins with", () => {
    for (const key of CLIS) {
      const { args, stdin } = headlessOf(key).start(request({ prompt: "--version @file", system: "Be brief." }));
      expect(args.join(" ")).not.toContain("--version");
      expect(stdin.endsWith("--version @file")).toBe(true);
      expect([...args, stdin].join(" ")).toContain("Be brief.");
    }
  });

  test("a conversation goes on, with a model and a budget", () => {
    const asked = { sessionRef: "s-1", model: "m-1", maxUsd: 0.5 };
    expect(argsOf("claude", asked)).toEqual(
      expect.arrayContaining(["--resume", "s-1", "--model", "m-1", "--max-budget-usd", "0.5"]),
    );
    expect(argsOf("pi", asked)).toEqual(expect.arrayContaining(["--session", "s-1", "--model", "m-1"]));
    expect(argsOf("codex", asked).slice(-3)).toEqual(["resume", "s-1", "-"]);
    expect(argsOf("opencode", asked)).toEqual(expect.arrayContaining(["--session", "s-1"]));
    expect(argsOf("gemini", asked)).toEqual(expect.arrayContaining(["--resume", "s-1"]));
  });

  test("a read-only run gets no tool that writes", () => {
    const asked = { access: "read-only", allowedTools: ["read", "bash"] } as const;
    expect(argsOf("pi", asked)).toEqual(expect.arrayContaining(["--tools", "read"]));
    expect(argsOf("pi", { ...asked, allowedTools: ["bash"] })).toContain("--no-tools");
    expect(argsOf("claude", { access: "read-only" }).join(" ")).toContain("--disallowedTools=Edit,Write,NotebookEdit");
    expect(argsOf("codex", asked)).toContain('sandbox_mode="read-only"');
  });

  test("what cannot be restricted is told; a program of the user's own is the user's to restrict", () => {
    const unmet = (key: AgentCliKey, access: "full" | "read-only", allowedTools: string[] | null) =>
      Object.keys(unmetRestriction(AGENT_CLIS[key], { access, allowedTools }));
    expect(unmet("command", "read-only", null)).toEqual(["warn"]);
    expect(unmet("shell", "read-only", null)).toEqual(["refuse"]);
    expect(unmet("command", "full", ["x"])).toEqual(["warn"]);
    expect(unmet("codex", "read-only", ["x"])).toEqual(["warn"]);
    expect(unmet("claude", "read-only", ["x"])).toEqual([]);
    expect(unmet("command", "full", null)).toEqual([]);
  });
});

describe("when a limit ends", () => {
  const at = new Date("2026-11-30T10:00:30Z");
  test.each([
    ["Claude AI usage limit reached|1796050800", "2026-11-30T15:00:00.000Z"],
    ["Limit until 2026-12-01T01:00:00+01:00.", "2026-12-01T00:00:00.000Z"],
    ["You've hit your session limit · resets 3pm (UTC)", "2026-11-30T15:00:00.000Z"],
    ["You've hit your limit · resets 10:00am (Europe/Berlin)", "2026-12-01T09:00:00.000Z"],
    ["Please try again in 1 hour 5 minutes.", "2026-11-30T11:05:30.000Z"],
    ["Please retry in 12.5s.", "2026-11-30T10:00:42.500Z"],
    ['"retryDelay": "34s"', "2026-11-30T10:01:04.000Z"],
    ["retry-after: 30", "2026-11-30T10:01:00.000Z"],
    ["resets 3pm (Nowhere/Land)", null],
    ["Rate limit reached", null],
  ])("%s", (message, expected) => {
    expect(limitEnd(message, at)).toBe(expected);
  });

  test("only a whole date is understood without the time of the end", () => {
    expect(limitEnd("Please retry in 5s")).toBeNull();
    expect(limitEnd("limit reached|1796050800")).toBe("2026-11-30T15:00:00.000Z");
  });
});

describe("any output is read", () => {
  const scraps = [
    "claude-tool",
    "pi-tool",
    "codex-tool",
    "gemini-success",
    "gemini-stream",
    "opencode-denied",
    "claude-limit",
  ].map((name) => recorded(name).stdout);
  const bytes = fc.uint8Array({ maxLength: 400 }).map((found) => Buffer.from(found).toString("utf8"));
  const scrap = fc
    .tuple(fc.constantFrom(...scraps), fc.nat(3000), fc.nat(3000))
    .map(([text, from, length]) => text.slice(from, from + length));
  const json = fc
    .json()
    .map(
      (text) =>
        `{"type":"result","result":${text},"modelUsage":${text},"usage":${text},"stats":${text},"item":${text},"part":${text},"message":${text},"error":${text}}`,
    );
  const text = fc
    .array(fc.oneof(bytes, scrap, json, fc.constantFrom(...scraps)), { maxLength: 4 })
    .map((all) => all.join("\n"));

  test.each(CLIS)("%s", (key) => {
    const { read } = headlessOf(key);
    const law = fc.property(text, text, fc.option(fc.nat(255)), (stdout, stderr, exitCode) => {
      const report = read({ stdout, stderr, exitCode, endedAt: new Date(0) });
      expect(report.text === null || report.text.trim() !== "").toBe(true);
      expect(report.reason ?? "").not.toMatch(/\n/);
      if (exitCode !== null && exitCode !== 0) expect(report.failure).not.toBeNull();
      for (const used of report.usage) {
        const { model: _, costUsd, ...counts } = used;
        for (const count of Object.values(counts)) expect(Number.isSafeInteger(count) && count >= 0).toBe(true);
        expect(costUsd === null || (Number.isFinite(costUsd) && costUsd >= 0)).toBe(true);
      }
    });
    fc.assert(law, { numRuns: 150 });
  });

  test.each(CLIS)("%s, of a stream whose middle is gone", (key) => {
    const line = `${JSON.stringify({ type: "noise", text: "x".repeat(1000) })}\n`;
    const [head = "", tail = ""] = [line.repeat(2000), line.repeat(2000).slice(500)];
    const { stdout } = recorded(key === "claude" ? "claude-tool" : "pi-tool");
    const report = headlessOf(key).read({ stdout: `${head}\n… 1 GB …\n${tail}${stdout}`, stderr: "", exitCode: 0 });
    if (key === "claude" || key === "pi") expect(report.text).toBe("It printed: from-tool\n### DONE");
  });
});

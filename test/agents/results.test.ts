import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { getAgentCli } from "../../src/agents/clis/table.js";
import { CAPTURES } from "./captures.js";

const read = (file: string): string => readFileSync(`${CAPTURES}${file}`, "utf8");
const none = { cacheRead: 0, cacheWrite5m: 0, cacheWrite1h: 0 };

test.each([
  [
    "claude",
    "headless-json-result.json",
    0,
    {
      ok: true,
      sessionRef: "e9ccccb9-866c-48ad-9848-516459898776",
      costUsd: 0.0065872,
      tokens: { ...none, input: 1234, output: 78, cacheRead: 456 },
    },
  ],
  [
    "claude",
    "headless-stream-tool.jsonl",
    0,
    {
      ok: true,
      text: "The command printed: from-tool\nAll finished.",
      costUsd: 0.0131744,
      tokens: { ...none, input: 2468, output: 156, cacheRead: 912 },
    },
  ],
  ["claude", "headless-stream-hello.jsonl", 0, { ok: true, text: "Hello! How can I help you today?" }],
  ["claude", "headless-json-denied.json", 0, { ok: true, failureClass: "permission_denied" }],
  [
    "claude",
    "headless-json-400.json",
    1,
    { ok: false, error: "Credit balance is too low", failureClass: "auth", costUsd: 0 },
  ],
  ["claude", "headless-json-429.json", 1, { ok: false, failureClass: "rate_limit" }],
  [
    "codex",
    "headless-exec.jsonl",
    0,
    {
      ok: true,
      sessionRef: "01a1fc0a-42e3-7cf1-8523-1e59ffa008a4",
      tokens: { ...none, input: 2468, output: 156, cacheRead: 912 },
    },
  ],
  [
    "codex",
    "headless-400.jsonl",
    1,
    { ok: false, error: "Your credit balance is too low (fake)", failureClass: "auth" },
  ],
  ["codex", "headless-429.jsonl", 1, { ok: false, failureClass: "rate_limit" }],
  [
    "gemini",
    "headless.json",
    0,
    {
      ok: true,
      sessionRef: "61374d4c-3e24-4ab3-a0d4-9d408789afb5",
      text: "Hello! How can I help you today?",
      tokens: { ...none, input: 2468, output: 156, cacheRead: 912 },
    },
  ],
  [
    "gemini",
    "headless-stream.jsonl",
    0,
    {
      ok: true,
      sessionRef: "19befc5b-c923-4db3-9f03-861d76471422",
      tokens: { ...none, input: 3702, output: 234, cacheRead: 1368 },
    },
  ],
  [
    "opencode",
    "headless-run.jsonl",
    0,
    {
      ok: true,
      text: "Hello! How can I help you today?",
      costUsd: 0.001624,
      tokens: { ...none, input: 1234, output: 78, cacheRead: 456 },
    },
  ],
  ["opencode", "headless-run-tool-ask.jsonl", 0, { ok: false, failureClass: "permission_denied" }],
  ["opencode", "headless-400.jsonl", null, { ok: false, failureClass: "crash" }],
  [
    "pi",
    "headless-json.jsonl",
    0,
    {
      ok: true,
      sessionRef: "01a1fc19-d673-7a97-a79a-c84d4142c23f",
      text: "The command printed: from-tool\nAll finished.",
      tokens: { ...none, input: 2468, output: 156, cacheRead: 912 },
    },
  ],
])("%s: %s with exit code %s", (cli, file, exitCode, expected) => {
  expect(getAgentCli(cli).parseResult(read(`${cli}/${file}`), "", exitCode)).toMatchObject(expected);
});

test("gemini reports an API error at the end of a noisy stderr", () => {
  expect(getAgentCli("gemini").parseResult("", read("gemini/headless-400.json"), 144)).toMatchObject({
    ok: false,
    sessionRef: "78acf6d8-ab32-4d8f-b307-9f8a753dccef",
    error: "400 Your credit balance is too low (fake)",
    failureClass: "auth",
  });
});

test("pi counts the cost of every turn and reports its last error", () => {
  const result = getAgentCli("pi").parseResult(read("pi/headless-json.jsonl"), "", 0);
  expect(result.costUsd).toBeCloseTo(0.0033392, 10);
  const failed = {
    type: "message_end",
    message: { role: "assistant", content: [], stopReason: "error", errorMessage: "429 slow down" },
  };
  expect(getAgentCli("pi").parseResult(JSON.stringify(failed), "", 1)).toMatchObject({
    ok: false,
    error: "429 slow down",
    failureClass: "rate_limit",
  });
});

test("claude tells the two kinds of cache writes apart", () => {
  const usage = { cache_creation_input_tokens: 30, cache_creation: { ephemeral_1h_input_tokens: 20 } };
  const stdout = JSON.stringify({ type: "result", result: "x", is_error: false, usage });
  expect(getAgentCli("claude").parseResult(stdout, "", 0).tokens).toMatchObject({ cacheWrite5m: 10, cacheWrite1h: 20 });
});

test("a command answers in plain text, and may end with one line of JSON", () => {
  const command = getAgentCli("command");
  expect(command.parseResult("all\ngood\n", "", 0)).toMatchObject({ ok: true, text: "all\ngood" });
  expect(command.parseResult('log\n{"text":"done","costUsd":0.5,"tokens":{"input":3}}\n', "", 0)).toMatchObject({
    ok: true,
    text: "done",
    costUsd: 0.5,
    tokens: { ...none, input: 3, output: 0 },
  });
  expect(command.parseResult('{"error":"429 wait"}', "", 0)).toMatchObject({ ok: false, failureClass: "rate_limit" });
});

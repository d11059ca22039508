import { expect, test } from "vitest";
import { type LaunchOptions, launchOf } from "../../src/agents/clis/cli.js";
import { AGENT_CLIS, getAgentCli } from "../../src/agents/clis/table.js";
import { pane } from "./screens.js";

const CLIS = Object.entries(AGENT_CLIS).map(([key, cli]) => ({ key, cli }));
const OPTIONS: LaunchOptions = { stateDir: "/state/mu" };

test.each(CLIS)("$key keeps the contract of the table", ({ key, cli }) => {
  expect(getAgentCli(key)).toBe(cli);
  expect(cli.key).toBe(key);
  expect(cli.command).toMatch(/^\S+$/);
  expect(cli.pasteEnterDelayMs).toBeGreaterThanOrEqual(cli.reading.by === "shell" ? 0 : 60);
  expect(cli.homeColumn(pane([]))).toBeGreaterThanOrEqual(0);
  expect(cli.proof.by).toBe(cli.reading.by === "screen" ? "composer" : "echo");
  expect(launchOf(cli, { ...OPTIONS, access: "read-only" }, null).args).toEqual(
    expect.arrayContaining([...(cli.switches?.access["read-only"] ?? [])]),
  );
});

test.each(CLIS)("$key has rules that end in an idle composer, each named once and after its CLI", ({ key, cli }) => {
  if (cli.reading.by !== "screen") return;
  const names = cli.reading.rules.map((rule) => rule.name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.every((name) => name.startsWith(`${key}.`))).toBe(true);
  expect(cli.reading.rules.at(-1)).toMatchObject({ status: "idle" });
  const questions = key === "player" ? [] : ["needs_input"];
  expect(new Set(cli.reading.rules.map((rule) => rule.status))).toEqual(
    new Set(["busy", ...questions, "needs_permission", "idle"]),
  );
});

test.each<[string, LaunchOptions, string[], Record<string, string>]>([
  ["pi", { ...OPTIONS, eventsFile: "/e.ts", model: "m" }, ["--model", "m", "-e", "/e.ts"], {}],
  ["pi", { ...OPTIONS, access: "read-only" }, ["--tools", "read,grep,find,ls"], {}],
  [
    "claude",
    { ...OPTIONS, eventsFile: "/s.json" },
    ["--settings", "/s.json"],
    { CLAUDE_CODE_DISABLE_TERMINAL_TITLE: "1" },
  ],
  [
    "claude",
    { ...OPTIONS, access: "read-only" },
    ["--permission-mode", "plan"],
    { CLAUDE_CODE_DISABLE_TERMINAL_TITLE: "1" },
  ],
  [
    "codex",
    { ...OPTIONS, access: "read-only" },
    ["-c", 'sandbox_mode="read-only"', "-c", 'sandbox_workspace_write.writable_roots=["/state/mu"]'],
    {},
  ],
  ["gemini", { ...OPTIONS, access: "read-only", eventsFile: "/unused" }, ["--approval-mode=plan"], {}],
  [
    "opencode",
    { ...OPTIONS, eventsFile: "/p.js" },
    [],
    { OPENCODE_DISABLE_TERMINAL_TITLE: "1", OPENCODE_CONFIG_CONTENT: '{"plugin":["file:///p.js"]}' },
  ],
  ["shell", OPTIONS, [], {}],
])("%s starts with its own switches", (key, options, args, env) => {
  expect(launchOf(getAgentCli(key), options, null)).toEqual({ args, env });
});

test.each([
  ["pi", ["--session", "s1"]],
  ["claude", ["--resume", "s1"]],
  ["codex", ["resume", "s1"]],
  ["gemini", ["--resume", "s1"]],
  ["opencode", ["--session", "s1"]],
  ["shell", []],
])("%s resumes its own conversation", (key, args) => {
  expect(launchOf(getAgentCli(key), OPTIONS, "s1").args.slice(0, 2)).toEqual(args);
});

test("only a CLI that does not report its conversation is given a name for it", () => {
  const options = { ...OPTIONS, newSession: "s2" };
  expect(launchOf(getAgentCli("gemini"), options, null).args).toEqual(["--session-id", "s2"]);
  expect(launchOf(getAgentCli("gemini"), options, "s1").args).toEqual(["--resume", "s1"]);
  expect(launchOf(getAgentCli("claude"), options, null)).toEqual(launchOf(getAgentCli("claude"), OPTIONS, null));
});

test("an unknown key is a usage fault that names the known ones", () => {
  expect(() => getAgentCli("emacs")).toThrow(/pi, claude, codex, gemini, opencode, shell, command/);
});

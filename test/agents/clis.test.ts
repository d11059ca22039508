import fc from "fast-check";
import { expect, test } from "vitest";
import type { LaunchOptions } from "../../src/agents/clis/cli.js";
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
  expect(cli.interactive({ ...OPTIONS, access: "read-only" }).args).toEqual(
    expect.arrayContaining([...cli.access["read-only"]]),
  );
});

test.each(CLIS)("$key gives a headless prompt on, whole", ({ cli }) => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), (prompt) => {
      const { args, stdin } = cli.headless(prompt, OPTIONS);
      expect(stdin ?? args.at(-1)).toContain(prompt);
      if (stdin !== undefined) expect(args.join(" ")).toBe(cli.headless("another", OPTIONS).args.join(" "));
    }),
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

test.each(CLIS)("$key parses no output at all into a failure or a silent success", ({ key, cli }) => {
  const silent = cli.parseResult("", "", 0);
  expect(silent.ok).toBe(key === "shell" || key === "command");
  if (!silent.ok) expect(silent.failureClass).toBe("no_output");
  expect(cli.parseResult("", "", null)).toMatchObject({ ok: false, failureClass: "crash" });
  expect(cli.parseResult("", "boom", 3)).toMatchObject({ ok: false, error: "boom", failureClass: "nonzero" });
});

test.each(CLIS)("$key parses any output without a throw", ({ cli }) => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.json(),
    fc.array(fc.json()).map((lines) => lines.join("\n")),
  );
  fc.assert(fc.property(text, text, fc.option(fc.nat(255)), (out, err, code) => void cli.parseResult(out, err, code)));
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
  expect(getAgentCli(key).interactive(options)).toEqual({ args, env });
});

test.each([
  ["pi", ["--session", "s1"]],
  ["claude", ["--resume", "s1"]],
  ["codex", ["resume", "s1"]],
  ["gemini", ["--resume", "s1"]],
  ["opencode", ["--session", "s1"]],
  ["shell", undefined],
])("%s resumes its own conversation", (key, args) => {
  expect(getAgentCli(key).resume("s1", OPTIONS)?.args.slice(0, 2)).toEqual(args);
});

test("codex goes on with a headless conversation by its own subcommand", () => {
  expect(
    getAgentCli("codex")
      .headless("go", { ...OPTIONS, sessionRef: "s1" })
      .args.slice(0, 3),
  ).toEqual(["exec", "resume", "s1"]);
});

test("pi takes a prompt for a prompt even when it looks like a switch or a file", () => {
  expect(getAgentCli("pi").headless("--help me", OPTIONS).args.at(-1)).toBe("\n--help me");
  expect(getAgentCli("pi").headless("@file is broken", OPTIONS).args.at(-1)).toBe("\n@file is broken");
});

test("an unknown key is a usage fault that names the known ones", () => {
  expect(() => getAgentCli("emacs")).toThrow(/pi, claude, codex, gemini, opencode, shell, command/);
});

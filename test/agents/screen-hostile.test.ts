import fc from "fast-check";
import { expect, test } from "vitest";
import { AGENT_CLIS, getAgentCli } from "../../src/agents/clis/table.js";
import { explainScreen } from "../../src/agents/screen/verdict.js";
import { pane, piPane } from "./screens.js";

const CLIS = Object.values(AGENT_CLIS);
const readers = CLIS.filter((cli) => cli.reading.by === "screen");

test.each(CLIS)("$key: any text at any place is read without a throw, with grounds", (cli) => {
  const row = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("─".repeat(30), "❯ ", "› x", " > x", "  ┃  x", "  ╹▀▀▀", " ⠋ x", "Esc to cancel", "╭───╮", "→ Yes"),
  );
  const place = fc.record({ x: fc.integer({ min: -5, max: 300 }), y: fc.integer({ min: -5, max: 300 }) });
  fc.assert(
    fc.property(fc.array(row, { maxLength: 50 }), place, fc.string(), (rows, { x, y }, title) => {
      const found = explainScreen(cli, { ...pane([]), text: rows.join("\n"), title, cursorX: x, cursorY: y });
      expect(found.reason).not.toBe("");
      expect(found.evidence.length).toBeGreaterThan(0);
    }),
  );
});

test.each(readers)("$key: an empty screen is one that starts", (cli) => {
  expect(explainScreen(cli, pane([]))).toMatchObject({ status: "busy", rule: "blank" });
});

test.each(readers)("$key: a screen that no rule knows calls for a person", (cli) => {
  expect(explainScreen(cli, pane(["Segmentation", "weather"]))).toMatchObject({
    status: "needs_input",
    rule: "unrecognised",
    evidence: ["Segmentation", "weather"],
  });
});

const MEGABYTE = 1024 * 1024;
const fill = (unit: string): string => unit.repeat(Math.ceil(MEGABYTE / unit.length));

test.each(
  CLIS.flatMap((cli) =>
    [
      "x",
      " ",
      "─",
      "• ",
      "❯ 1. Yes ",
      "(1s ",
      "⠋ a",
      "\n",
      "─────────\n❯ \n",
      "  ┃ \n",
      "› 1. Yes\n",
      "\u001b[2m",
      "esc to ",
    ].map((unit) => [cli.key, JSON.stringify(unit), unit] as const),
  ),
)("%s reads a megabyte of %s", (key, _shown, unit) => {
  const text = fill(unit);
  expect(explainScreen(getAgentCli(key), { ...pane([]), text, ansi: text }).reason).not.toBe("");
});

test("a program that ended says why", () => {
  const rows = ["Error: cannot find module 'x'", "Pane is dead (status 7, Sat Nov 21 03:12:35 2026)"];
  expect(explainScreen(getAgentCli("pi"), pane(rows, { dead: true }))).toMatchObject({
    status: "terminated",
    rule: "ended",
    reason: "the program ended with status 7: Error: cannot find module 'x'",
    evidence: rows,
  });
});

test("a CLI that left its pane to a shell is gone", () => {
  const screen = pane(["bye", "me@host:~$ "], { command: "bash", cursorX: 11, cursorY: 39 });
  expect(explainScreen(getAgentCli("claude"), screen)).toMatchObject({ status: "terminated", rule: "shell" });
});

test("a CLI that stopped drawing on Ctrl-Z waits to be continued", () => {
  const under = { cursorX: 0, cursorY: 40 };
  const words = ["Claude Code is suspended. Run `fg` to bring it back.", "To undo typing, press ctrl+_."];
  const wanted = { status: "needs_input", reason: expect.stringContaining("mu agent kick") };
  expect(explainScreen(getAgentCli("pi"), { ...piPane([]), ...under })).toMatchObject(wanted);
  expect(explainScreen(getAgentCli("claude"), pane(words, under))).toMatchObject(wanted);
  expect(explainScreen(getAgentCli("pi"), piPane([]))).toMatchObject({ status: "idle" });
});

test("a shell is idle in front and busy behind a program; a plain command takes input while it lives", () => {
  const shell = (command: string) => explainScreen(getAgentCli("shell"), pane(["$ "], { command }));
  expect(shell("-zsh")).toMatchObject({ status: "idle", evidence: [expect.stringMatching(/^\$ +$/)] });
  expect(shell("vim")).toMatchObject({ status: "busy", reason: "vim" });
  expect(explainScreen(getAgentCli("command"), pane(["> "], { command: "repl" }))).toMatchObject({ status: "idle" });
  expect(explainScreen(getAgentCli("command"), pane([], { command: "repl", dead: true })).status).toBe("terminated");
});

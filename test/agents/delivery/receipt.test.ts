import fc from "fast-check";
import { expect, test } from "vitest";
import { getAgentCli } from "../../../src/agents/clis/table.js";
import { normalisePrompt, provedByFeed, provedByScreen } from "../../../src/agents/delivery/proof.js";
import { type FeedEvent, foldFeed } from "../../../src/agents/feed.js";
import { asText } from "../../../src/agents/json.js";
import { readCapture } from "../../../src/agents/screen/capture.js";
import type { Screen } from "../../../src/agents/screen/screen.js";
import { CAPTURES } from "../captures.js";
import { claudeFeed, codexFeed, piFeed } from "../feeds.js";
import { claudeDialog, claudePane, pane, piPane } from "../screens.js";

const prompt = (text: string, at = 1000): FeedEvent => ({ at, kind: "prompt", event: "UserPromptSubmit", text });
const how = (text: string, ...feed: FeedEvent[]) => provedByFeed(text, feed, 1000)?.how;

test("a prompt is proved by the event that brings it, and not by an older one", () => {
  const feed = [prompt("go", 500), prompt("stop", 1500), prompt("go", 2000)];
  expect(provedByFeed("go", feed, 1000)).toEqual({ how: "exact", event: feed[2] });
  expect(provedByFeed("go", feed, 2500)).toBeUndefined();
  expect(provedByFeed("go on", feed, 0)).toBeUndefined();
});

test("only prompts prove", () => {
  const feed: FeedEvent[] = [{ at: 2000, kind: "idle", event: "Stop", text: "go" }];
  expect(provedByFeed("go", feed, 1000)).toBeUndefined();
});

test.each([
  ["tabs that became four blanks", "a\tb", "a    b"],
  ["line ends of another system", "a\r\nb\rc", "a\nb\nc"],
  ["blanks at the ends of lines", "a  \nb\n\n", "a\nb"],
  ["Claude's wrapping of a paste", "a\nb", '\n\n<pasted_content id="f924">\na\nb\n</pasted_content id="f924">\n'],
  ["paste marks that were taken out", "a\u001b[201~b", "ab"],
  ["control characters that were taken out", "a\u0007\u0000b", "ab"],
])("a prompt is recognised in spite of %s", (_what, sent, received) => {
  expect(how(sent, prompt(received))).toBe("exact");
});

test.each([
  ["pi", "[paste #1 +3 lines]"],
  ["Claude", "[Pasted text #1 +2 lines]"],
  ["Codex", "[Pasted Content 14 chars]"],
  ["OpenCode", "[Pasted ~3 lines]"],
  ["Gemini", "[Pasted Text: 3 lines]"],
])("a paste that %s collapsed proves by its lines", (_cli, placeholder) => {
  expect(how("one\ntwo\nthree", prompt(placeholder))).toBe("collapsed");
  expect(how("a word: one\ntwo\nthree", prompt(`a word: ${placeholder}`))).toBe("collapsed");
  expect(how("other: one\ntwo\nthree", prompt(`a word: ${placeholder}`))).toBeUndefined();
});

test("a collapsed paste of other lines proves nothing", () => {
  expect(how("one\ntwo\nthree", prompt("[Pasted text #1 +38 lines]"))).toBeUndefined();
});

test("a text among others proves when it is long enough not to be there by chance", () => {
  expect(how("ERR400 please, and do it now", prompt("a draft ERR400 please, and do it now"))).toBe("within");
  expect(how("go", prompt("let us go on"))).toBeUndefined();
});

test("an empty event proves nothing but an empty text", () => {
  expect(how("something that is long enough", prompt(""))).toBeUndefined();
});

test("a prompt proves itself, whatever a CLI does to it", () => {
  const mangle = fc.constantFrom(
    (text: string) => text,
    (text: string) => text.replace(/\t/g, "    "),
    (text: string) => `\n\n<pasted_content id="0a1b">\n${text}\n</pasted_content id="0a1b">\n`,
    (text: string) => text.replace(/\n/g, "\r\n"),
    (text: string) => `${text}\n`,
  );
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), mangle, (text, change) => {
      expect(how(text, prompt(change(text)))).toBe("exact");
      expect(normalisePrompt(normalisePrompt(text))).toBe(normalisePrompt(text));
    }),
  );
});

test.each([
  ["line breaks", "\n"],
  ["blanks", " "],
  ["escapes", "\u001b["],
  ["brackets", "["],
  ["opened wrappers", '<pasted_content id="'],
  ["placeholders", "[Pasted text #1 +1 lines]"],
])("1 MB of %s is compared", (_what, unit) => {
  const text = unit.repeat(Math.ceil(1_000_000 / unit.length));
  expect(how(`a${text}b`, prompt(`a${text}b`), prompt(`${text}x`))).toBe("exact");
});

/** The 3021 characters that were really pasted into all CLIs. */
const LONG = codexFeed("%3")
  .flatMap((event) => event.payload["input-messages"])
  .map(asText)
  .find((text) => text?.startsWith("LONGPROMPT begins"));

test("the real long prompt, whose tabs and wrapping each CLI changed, proves in each", () => {
  const text = LONG ?? "";
  expect(text).toContain("\t");
  expect(provedByFeed(text, foldFeed(getAgentCli("codex"), codexFeed("%3")), 0)?.how).toBe("exact");
  expect(provedByFeed(text, foldFeed(getAgentCli("claude"), claudeFeed("%2")), 0)?.how).toBe("exact");
  const [cut] = foldFeed(getAgentCli("pi"), piFeed("%1")).filter((event) => event.text?.startsWith("LONGPROMPT"));
  expect(normalisePrompt(text).startsWith(cut?.text ?? "?")).toBe(true);
});

test("a real prompt that was glued to a draft is told from a clean one", () => {
  const feed = foldFeed(getAgentCli("claude"), claudeFeed("%2"));
  expect(provedByFeed("ERR500 please", feed, 0)?.how).toBe("exact");
  expect(provedByFeed("ERR500 pleaseERR40", feed, 0)?.how).toBe("within");
  expect(provedByFeed("ERR400 please", feed, 0)).toBeUndefined();
});

const capture = (name: string) => readCapture(`${CAPTURES}${name}`);
const proves = (cli: string, before: Screen, after: Screen, text = "go") =>
  provedByScreen(getAgentCli(cli), before, after, text);

test.each(["claude", "codex", "gemini", "opencode", "pi"])(
  "%s: real panes prove a prompt that was taken",
  async (cli) => {
    const idle = await capture(`${cli}/01-startup-idle`);
    expect(proves(cli, idle, await capture(`${cli}/03-busy-waiting-first-token`))).toBe(true);
    expect(proves(cli, idle, await capture(`${cli}/02-prompt-typed`).catch(() => idle))).toBe(false);
    expect(proves(cli, idle, idle)).toBe(false);
  },
);

test.each(["claude", "gemini", "opencode", "pi"])(
  "%s: a real pasted text that still waits for Enter is not proved",
  async (cli) => {
    const idle = await capture(`${cli}/01-startup-idle`);
    expect(proves(cli, idle, await capture(`${cli}/16-long-paste-typed`))).toBe(false);
  },
);

test.each(["claude", "pi"])("%s: a real prompt that was queued is proved by its queue", async (cli) => {
  const [busy, queued] = await Promise.all([
    capture(`${cli}/03-busy-waiting-first-token`),
    capture(`${cli}/14-queued-while-busy`),
  ]);
  expect(proves(cli, busy, queued)).toBe(true);
  expect(proves(cli, busy, busy)).toBe(false);
  expect(proves(cli, queued, queued)).toBe(false);
});

test("a dialog proves nothing: the text may have gone into it", () => {
  const before = claudePane(["● Done."], "? for shortcuts");
  const after = claudeDialog([" Do you want to proceed?", " ❯ 1. Yes", " Esc to cancel · Tab to amend"]);
  expect(proves("claude", before, after)).toBe(false);
});

test("a busy agent that shows no queue proves nothing", () => {
  const busy = piPane([" ⠇ Working...", ""]);
  expect(proves("pi", busy, piPane([" ⠙ Working...", ""]))).toBe(false);
});

/** A shell's pane: the rows, and the cursor behind the last of them. */
function shellPane(rows: readonly string[], width = 80): Screen {
  const cursor = { cursorY: rows.length - 1, cursorX: rows.at(-1)?.length ?? 0 };
  return { ...pane([]), text: rows.join("\n"), width, height: 24, command: "bash", ...cursor };
}

test.each<[string, string[], string[], string, boolean]>([
  ["a command that was taken", ["$ "], ["$ ls", "a b", "$ "], "ls", true],
  ["a command that still runs", ["$ "], ["$ sleep 9", ""], "sleep 9", true],
  ["a command whose Enter was lost", ["$ "], ["$ ls"], "ls", false],
  ["nothing at all", ["$ "], ["$ "], "ls", false],
  ["another command", ["$ "], ["$ rm x", "$ "], "ls", false],
  ["the same command, whose Enter was lost now", ["$ ls", "a", "$ "], ["$ ls", "a", "$ ls"], "ls", false],
  [
    "the same command three times, and the fourth lost",
    ["$ ls", "$ ls", "$ ls", "$ "],
    ["$ ls", "$ ls", "$ ls", "$ "],
    "ls",
    false,
  ],
  ["the same command again", ["$ ls", "a", "$ "], ["$ ls", "a", "$ ls", "a", "$ "], "ls", true],
  ["a screen that scrolled", ["x", "y", "z", "$ "], ["z", "$ ls", "a", "$ "], "ls", true],
  [
    "a command of several lines",
    ["$ "],
    ["$ for i in 1 2", "> do echo $i", "> done", "1", "2", "$ "],
    "for i in 1 2\ndo echo $i\ndone",
    true,
  ],
  ["a command that wraps", ["$ "], ["$ echo aaaaaaa", "bbbbbb", "aaaaaaabbbbbb", "$ "], "echo aaaaaaabbbbbb", true],
  ["tabs and blanks", ["$ "], ["$ a    b", "$ "], "a\tb", true],
  ["a program without a prompt", [""], ["hello", "hello", ""], "hello", true],
  ["no text", ["$ "], ["$ ", "$ "], "", false],
])("a shell's echo: %s", (_what, before, after, text, proved) => {
  expect(proves("shell", shellPane(before), shellPane(after), text)).toBe(proved);
});

test("a text longer than the screen is proved by its last lines", () => {
  const lines = Array.from({ length: 100 }, (_, n) => `line ${n}`);
  const shown = [...lines.slice(-20).map((line) => `> ${line}`), "$ "];
  expect(proves("shell", shellPane(["$ "]), shellPane(shown), lines.join("\n"))).toBe(true);
  expect(proves("shell", shellPane(["$ "]), shellPane(shown.slice(0, 10)), lines.join("\n"))).toBe(false);
});

test("no two screens make the proof throw", () => {
  const screen = fc.record({
    text: fc.string({ unit: "binary" }),
    cursorX: fc.nat(200),
    cursorY: fc.nat(60),
    command: fc.string(),
  });
  const cli = fc.constantFrom("claude", "pi", "codex", "gemini", "opencode", "shell", "command");
  fc.assert(
    fc.property(cli, screen, screen, fc.string(), (key, before, after, text) => {
      expect(typeof proves(key, { ...pane([]), ...before }, { ...pane([]), ...after }, text)).toBe("boolean");
    }),
  );
});

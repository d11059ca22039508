import type { Screen } from "../../src/agents/screen/screen.js";

const RULE = "─".repeat(100);

/** A pane of 100 × 40 with these rows at its bottom; the cursor stands where the facts say, else behind the last row. */
export function pane(rows: readonly string[], facts: Partial<Screen> = {}): Screen {
  const text = [...Array.from({ length: Math.max(0, 40 - rows.length) }, () => ""), ...rows].join("\n");
  return { text, title: "", command: "node", cursorX: 100, cursorY: 39, width: 100, height: 40, ...facts };
}

/** Claude Code with its composer; `footer` is the row under it. */
export function claudePane(transcript: readonly string[], footer: string, input = ""): Screen {
  const rows = [...transcript, "", RULE, `❯ ${input}`, RULE, `  ${footer}`];
  return pane(rows, { title: "✳ Claude Code", command: "claude", cursorX: 2 + input.length, cursorY: 37 });
}

/** Claude Code with a dialog in the composer's place. */
export function claudeDialog(rows: readonly string[]): Screen {
  return pane(["❯ do it", "", "● I will.", "", RULE, ...rows], {
    title: "✳ Claude Code",
    command: "claude",
    cursorX: 1,
  });
}

export function codexPane(transcript: readonly string[], title = "proj"): Screen {
  const rows = [
    ...transcript,
    "",
    "",
    "› Ask Codex to do anything",
    "",
    "  fake-1 default · ~/proj",
    "  ? for shortcuts",
  ];
  return pane(rows, { title, cursorX: 2, cursorY: 36 });
}

export function geminiPane(transcript: readonly string[], title: string): Screen {
  const foot = [
    " Shift+Tab to accept edits",
    "",
    " >   Type your message or @path/to/file",
    "",
    " workspace",
    " ~/proj",
  ];
  return pane([...transcript, RULE, ...foot], { title, cursorX: 3, cursorY: 36 });
}

export function opencodePane(transcript: readonly string[], footer: string): Screen {
  const box = ["  ┃", "  ┃", "  ┃", "  ┃  Build · Fake 1 Fake", `  ╹${"▀".repeat(90)}`];
  return pane([...transcript, "", ...box, `   ${footer}`, ""], {
    title: "OC | x",
    command: "opencode",
    cursorX: 5,
    cursorY: 34,
  });
}

export function piPane(transcript: readonly string[], editor: readonly string[] = [""]): Screen {
  const foot = [RULE, "~/proj (main)", "↑1.2k ↓78 R456 $0.002 1.4%/128k (auto)        (fake) fake-1"];
  return pane([...transcript, "", RULE, ...editor, ...foot], {
    title: "π - proj",
    command: "pi",
    cursorX: 0,
    cursorY: 36,
  });
}

import fc from "fast-check";
import { expect, test } from "vitest";
import { getAgentCli } from "../../src/agents/clis/table.js";
import { readCapture } from "../../src/agents/screen/capture.js";
import { type Drawing, layOut, nonEmpty, type Screen, screenRows } from "../../src/agents/screen/screen.js";
import { type Explanation, explainScreen } from "../../src/agents/screen/verdict.js";
import { listCaptures } from "./captures.js";

/** Those of one size; the others are recorded as they are at other widths. */
const captures = await Promise.all(
  listCaptures({ nested: false }).map(async (capture) => {
    const { ansi: _colours, ...recorded } = await readCapture(capture.path);
    const screen = { ...recorded, text: recorded.text.replace(/ +$/gm, "") };
    return { ...capture, screen, said: verdict(explainScreen(getAgentCli(capture.cli), screen)) };
  }),
);

/** What must stay the same. Reasons quote the screen and may change with it. */
function verdict({ status, rule, draft }: Explanation) {
  return { status, rule, draft };
}

function drawingOf(cli: string): Drawing {
  const { reading } = getAgentCli(cli);
  if (reading.by !== "screen") throw new Error(`${cli} has no screen`);
  return reading;
}

test.each(captures)("$cli/$name with other figures and names says the same", ({ cli, screen, said }) => {
  const word = fc.stringMatching(/^[a-z][a-z-]{2,20}$/);
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 }),
      word,
      word,
      (digits, path, model) => {
        let at = 0;
        const changed = screen.text
          .replace(/\/home\/dev\/src\/sandbox/g, `/srv/${path}`)
          .replace(/fake-1|Fake 1|Opus 5\.5|\bAuto$/gm, model)
          .replace(/\(master\)|:master/g, `(${path})`)
          .replace(/hello there|SLOWTEXT|Fake title|RUN:/gi, path)
          .replace(/\d/g, () => String(digits[at++ % digits.length]));
        expect(verdict(explainScreen(getAgentCli(cli), { ...screen, text: changed }))).toEqual(said);
      },
    ),
    { numRuns: 20 },
  );
});

/** Rows that stand on some screen when a CLI works, asks or fails. */
const MARKERS = [
  "esc to interrupt",
  "⏸ manual mode on · esc to interrupt",
  "✢ Grooving… (6s · ↓ 78 tokens · esc to interrupt)",
  "• Working (4s • esc to interrupt)",
  "◦ Working (4s • esc to interrupt)",
  "⬝⬝■■■■■■  esc interrupt",
  "⠋ Thinking... (esc to cancel, 4s)",
  "⠇ Working...",
  "Retrying (1/3) in 2s... (escape to cancel)",
  "Do you want to proceed?",
  "❯ 1. Yes",
  "  3. No, and tell Claude what to do differently (esc)",
  "Esc to cancel · Tab to amend",
  "Enter to select · ↑/↓ to navigate · Esc to cancel",
  "Would you like to run the following command?",
  "› 1. Yes, proceed (y)",
  "Press enter to confirm or esc to cancel",
  "△ Permission required",
  "↑↓ select  enter submit  esc dismiss",
  "│ ● 1. Allow once",
  "Apply this change?",
  "→ Yes",
  "↑↓ navigate  enter select  escape/ctrl+c cancel",
  "Action Required",
];

/** How far each CLI indents the text of an answer. */
const INDENT: Readonly<Record<string, number>> = { pi: 1, claude: 2, codex: 2, gemini: 2, opencode: 5 };

const withTranscript = captures.filter(({ cli, screen, said }) => {
  const calm = /composer|editor/.test(said.rule) || said.status === "busy";
  return calm && layOut(drawingOf(cli), screen).regions.above.length > 3;
});

test.each(withTranscript)("$cli/$name is not fooled by a transcript that quotes markers", ({ cli, screen, said }) => {
  const { above, block } = layOut(drawingOf(cli), screen).regions;
  const fixed = said.status === "busy" ? block.length + 2 : 2;
  const rows = above.slice(0, -fixed).map((row) => row.index);
  if (rows.length === 0) return;
  const quote = fc.record({ row: fc.constantFrom(...rows), marker: fc.constantFrom(...MARKERS) });
  fc.assert(
    fc.property(fc.array(quote, { minLength: 1, maxLength: 8 }), (quotes) => {
      const lines = screen.text.split("\n");
      for (const { row, marker } of quotes) lines[row] = " ".repeat(INDENT[cli] ?? 2) + marker;
      const found = verdict(explainScreen(getAgentCli(cli), { ...screen, text: lines.join("\n") }));
      expect({ status: found.status, draft: found.draft }).toEqual({ status: said.status, draft: said.draft });
    }),
    { numRuns: 40 },
  );
});

/** The same pane at another width: rules and paddings stretch or shrink, what is still too long is wrapped. */
function atWidth(screen: Screen, width: number): Screen {
  const rows: string[] = [];
  let cursorY = screen.cursorY;
  for (const [index, line] of screen.text.split("\n").entries()) {
    if (index === screen.cursorY) cursorY = rows.length;
    rows.push(...wrap(stretch(line, screen.width, width), width));
  }
  const cursorX = screen.cursorX >= screen.width - 2 ? width : screen.cursorX;
  return { ...screen, text: rows.join("\n"), width, height: rows.length, cursorX, cursorY };
}

function stretch(line: string, from: number, to: number): string {
  if (line.length < from - 12) return line;
  const longest = [...line.matchAll(/([ ─╌▀])\1{7,}/g)].sort((a, b) => b[0].length - a[0].length)[0];
  if (!longest) return line;
  const length = Math.max(1, longest[0].length + to - from);
  return (
    line.slice(0, longest.index) + (longest[1] ?? " ").repeat(length) + line.slice(longest.index + longest[0].length)
  );
}

function wrap(line: string, width: number): string[] {
  if (line.length <= width) return [line];
  const indent = " ".repeat(Math.min(10, line.search(/\S|$/)) || 2);
  const bar = /^\s*┃\s+/.exec(line)?.[0] ?? indent;
  return [line.slice(0, width), ...wrap(bar + line.slice(width), width)];
}

test.each(captures.flatMap((capture) => [80, 200].map((width) => ({ ...capture, width }))))(
  "$cli/$name at $width columns says the same",
  ({ cli, screen, said, width }) => {
    expect(verdict(explainScreen(getAgentCli(cli), atWidth(screen, width)))).toEqual(said);
  },
);

test("a pane of 20 × 5 is read without a fault, and a busy CLI is never taken for an idle one by its title", () => {
  for (const { cli, screen } of captures) {
    const rows = nonEmpty(screenRows(screen)).slice(-5);
    const text = rows.map((row) => row.text.slice(0, 20)).join("\n");
    const small = { ...screen, text, width: 20, height: 5, cursorX: Math.min(20, screen.cursorX), cursorY: 2 };
    const found = explainScreen(getAgentCli(cli), small);
    expect(found.evidence.join("")).not.toBe("");
    if (/^[⠋-⠿✦] /.test(screen.title)) expect(found.status).not.toBe("idle");
  }
});

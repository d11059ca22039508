import { stripVTControlCharacters } from "node:util";
import { type PlayerState, phaseOf, questionOf } from "./player-state.js";

/**
 * How to read the scripted agent's screen: every pattern is for the last `bottomLines` lines of the pane that are not
 * blank, joined by newlines, trailing spaces allowed.
 *
 * - `idle`: the footer says `player · ready`
 * - `busy`: the footer says `player · working (esc to interrupt)`, whatever else is on the screen
 * - `permission`: the dialog is the last line; the composer is gone
 * - `draft`: the composer, between rule and footer, is not empty (idle or busy)
 * - `error`: the last line above the composer of an idle agent
 * - `homeColumn`: the cursor's column while the composer is empty
 */
export const PLAYER_SCREEN = {
  bottomLines: 12,
  homeColumn: 2,
  idle: /(?:^|\n)player · ready\s*$/,
  busy: /(?:^|\n)player · working \(esc to interrupt\)\s*$/,
  permission: /(?:^|\n)Allow this command\? {2}\[y\] yes {2}\[n\] no\s*$/,
  draft: /(?:^|\n)─{3,}\n>(?! *\nplayer · )(?:(?!\n─{3,}\n)[\s\S])*\nplayer · [^\n]*\s*$/,
  error: /(?:^|\n)(Error: [^\n]*)\n─{3,}\n[^─]*\nplayer · ready\s*$/,
} as const;

/** The lines under the transcript, and where the cursor stands in them. */
export interface Frame {
  lines: string[];
  cursor: { row: number; column: number };
}

const SPINNER = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FOOTERS = { ready: "player · ready", working: "player · working (esc to interrupt)", asking: "", gone: "" };

/** Draws the bottom of the screen for a terminal of this size; no line is wider than `columns`. */
export function drawFrame(state: PlayerState, { columns, rows }: { columns: number; rows: number }): Frame {
  const rule = "─".repeat(columns);
  const question = questionOf(state);
  if (question !== undefined) return drawDialog(rule, question, columns);
  const phase = phaseOf(state);
  const above = phase === "working" ? [cut(spinnerLine(state), columns), rule] : [rule];
  const composer = drawComposer(state, columns, Math.max(1, rows - above.length - 2));
  const lines = [...above, ...composer.lines, cut(FOOTERS[phase], columns)];
  return { lines, cursor: { row: above.length + composer.lines.length - 1, column: composer.column } };
}

/** A title like the ones that real CLIs set: it changes with every state and says nothing about who runs here. */
export function titleOf(state: PlayerState, folder: string): string {
  const mark = { ready: "○", working: "◐", asking: "?", gone: "·" }[phaseOf(state)];
  return `${mark} player - ${folder}`;
}

/** `text` without anything that would move the cursor. */
export function plainText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach the terminal
  return stripVTControlCharacters(text.replaceAll("\t", "    ")).replace(/[\x00-\x1f\x7f-\x9f]/g, "");
}

function spinnerLine({ ticks, queue }: PlayerState): string {
  const waiting = queue.length > 0 ? ` · ${queue.length} queued` : "";
  return `${SPINNER[ticks % SPINNER.length]} Working…${waiting}`;
}

function drawDialog(rule: string, question: string, columns: number): Frame {
  const lines = [rule, ...question.split("\n").map((line) => cut(`  ${plainText(line)}`, columns))];
  const dialog = cut("Allow this command?  [y] yes  [n] no", columns);
  return { lines: [...lines.slice(0, 6), dialog], cursor: { row: Math.min(lines.length, 6), column: dialog.length } };
}

/** The draft's last `height` lines, wrapped, after the prompt sign. */
function drawComposer({ draft }: PlayerState, columns: number, height: number): { lines: string[]; column: number } {
  const text = draft.map(({ shown }) => shown).join("");
  const room = Math.max(1, columns - 3);
  const wrapped = text.split("\n").flatMap((line) => wrap(plainText(line), room));
  const lines = wrapped.map((line, at) => (at === 0 ? `> ${line}` : `  ${line}`)).slice(-height);
  return { lines, column: 2 + widthOf(wrapped.at(-1) ?? "") };
}

function wrap(line: string, width: number): string[] {
  const pieces: string[] = [];
  let piece = "";
  for (const character of line) {
    if (widthOf(piece + character) > width) {
      pieces.push(piece);
      piece = "";
    }
    piece += character;
  }
  return [...pieces, piece];
}

function cut(line: string, columns: number): string {
  return wrap(line, columns)[0] ?? "";
}

/** Columns that a terminal may need for `text`. Guessing too wide only leaves a gap, too narrow would break a line. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += mayBeWide(character.codePointAt(0) ?? 0) ? 2 : 1;
  return width;
}

function mayBeWide(code: number): boolean {
  return code >= 0x1100 && !(code >= 0x2000 && code < 0x2e80);
}

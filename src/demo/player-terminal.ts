import { stripVTControlCharacters } from "node:util";
import type { Clock } from "../clock.js";
import { type Key, type PlayerInput, type PlayerState, phaseOf, questionOf } from "./player-machine.js";

/** A terminal with a transcript that grows upwards and a frame under it that is redrawn in place. */
export interface PlayerTerminal {
  /** Adds lines to the transcript; they appear with the next `draw`. */
  print(lines: readonly string[]): void;
  draw(state: PlayerState, folder: string): void;
  /** Erases the frame, keeps the transcript and restores the terminal. */
  close(): void;
}

export function openTerminal(stdout: NodeJS.WriteStream, options: { bracketedPaste: boolean }): PlayerTerminal {
  let pending: string[] = [];
  let recent: string[] = [];
  let title = "";
  let cursorRow = 0;
  let redraw = () => {};

  const print = (lines: readonly string[]) => {
    pending.push(...lines.map(plainText));
    recent = [...recent, ...lines.map(plainText)].slice(-sizeOf(stdout).rows);
  };
  const flushTranscript = () => {
    const text = pending.map((line) => `${line}\r\n`).join("");
    pending = [];
    return text;
  };
  const draw = (state: PlayerState, folder: string) => {
    const frame = drawFrame(state, sizeOf(stdout));
    const retitle = titleOf(state, folder) === title ? "" : `\x1b]0;${titleOf(state, folder)}\x07`;
    title = titleOf(state, folder);
    const up = moveUp(frame.lines.length - 1 - frame.cursor.row);
    const lines = `${frame.lines.join("\r\n")}${up}\r${moveRight(frame.cursor.column)}`;
    stdout.write(`${retitle}${HIDE_CURSOR}${eraseFrame(cursorRow)}${flushTranscript()}${lines}${SHOW_CURSOR}`);
    cursorRow = frame.cursor.row;
    redraw = () => draw(state, folder);
  };
  const repaint = () => {
    stdout.write(ERASE_SCREEN);
    cursorRow = 0;
    pending = [...recent];
    redraw();
  };

  if (options.bracketedPaste) stdout.write(BRACKETED_PASTE_ON);
  stdout.on("resize", repaint);
  return {
    print,
    draw,
    close() {
      stdout.off("resize", repaint);
      stdout.write(`${eraseFrame(cursorRow)}${flushTranscript()}${BRACKETED_PASTE_OFF}${SHOW_CURSOR}`);
    },
  };
}

const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";
const BRACKETED_PASTE_ON = "\x1b[?2004h";
const BRACKETED_PASTE_OFF = "\x1b[?2004l";
/** Lines have moved after a resize, so nothing on the screen can be reused. */
const ERASE_SCREEN = "\x1b[H\x1b[J";

function eraseFrame(cursorRow: number): string {
  return `${moveUp(cursorRow)}\r\x1b[J`;
}

function moveUp(rows: number): string {
  return rows > 0 ? `\x1b[${rows}A` : "";
}

function moveRight(columns: number): string {
  return columns > 0 ? `\x1b[${columns}C` : "";
}

/** A pipe has no size; a pane of 80 by 24 is what a terminal falls back to. */
function sizeOf({ columns, rows }: NodeJS.WriteStream): { columns: number; rows: number } {
  return { columns: columns || 80, rows: rows || 24 };
}

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

/** A terminal sends the rest of an escape sequence in the same breath; what stays alone is the Escape key. */
const ESCAPE_MS = 25;

/** Reads keys from `stdin` until it is closed. All keys of one chunk are taken together. */
export function openKeyboard(
  stdin: NodeJS.ReadStream,
  clock: Clock,
  take: (inputs: readonly PlayerInput[]) => void,
): { close(): void } {
  let typed = "";
  let latest = new AbortController();

  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.setEncoding("utf8").on("data", receive).on("end", hangUp);
  return {
    close() {
      latest.abort();
      stdin.off("data", receive).off("end", hangUp).pause();
      if (stdin.isTTY) stdin.setRawMode(false);
    },
  };

  function receive(chunk: string | Buffer): void {
    latest.abort();
    latest = new AbortController();
    press(decodeKeys(typed + chunk));
    if (typed !== "") void endSequence(latest.signal);
  }

  async function endSequence(signal: AbortSignal): Promise<void> {
    await clock.sleep(ESCAPE_MS, signal);
    if (!signal.aborted) press(flushKeys(typed));
  }

  function press({ keys, rest }: ReturnType<typeof decodeKeys>): void {
    typed = rest;
    if (keys.length > 0) take(keys.map((key) => ({ kind: "key", key })));
  }

  function hangUp(): void {
    take([{ kind: "hangup" }]);
  }
}

/** The keys in a chunk of terminal input, and the start of a sequence whose end has not arrived yet. */
export interface Decoded {
  keys: Key[];
  rest: string;
}

const PASTE_START = "\x1b[200~";
const PASTE_END = "\x1b[201~";

const CONTROLS: Readonly<Record<string, Key>> = {
  "\r": { name: "enter" },
  "\n": { name: "newline" },
  "\x7f": { name: "backspace" },
  "\b": { name: "backspace" },
  "\x15": { name: "clear" },
  "\x03": { name: "interrupt" },
  "\x04": { name: "end" },
  "\t": { name: "text", text: "    " },
};

/** Splits `input` into keys. What it cannot use (arrows, function keys, answers of the terminal) is dropped. */
export function decodeKeys(input: string): Decoded {
  const keys: Key[] = [];
  let rest = input;
  while (rest !== "") {
    const token = nextToken(rest);
    if (!token) break;
    if (token.key) keys.push(token.key);
    rest = rest.slice(token.length);
  }
  return { keys, rest };
}

/** What an unfinished sequence means when nothing follows it: a bare ESC is the Escape key. */
export function flushKeys(rest: string): Decoded {
  if (rest.startsWith(PASTE_START) || rest === "") return { keys: [], rest };
  const after = decodeKeys(rest.slice(1));
  return { keys: [{ name: "escape" }, ...after.keys], rest: after.rest };
}

interface Token {
  length: number;
  key?: Key;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal speaks in them
const PLAIN_TEXT = /^[^\x00-\x1f\x7f]+/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal speaks in them
const ESCAPE_SEQUENCE = /^\x1b(?:\[[\x20-\x3f]*[\x40-\x7e]|O[\x20-\x7e]|[\]P][^\x07\x1b]*(?:\x07|\x1b\\))/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal speaks in them
const UNFINISHED_SEQUENCE = /^\x1b(?:\[[\x20-\x3f]*|O|[\]P][^\x07\x1b]*\x1b?)?$/;

/** The first key of `input`; undefined if it needs more input. */
function nextToken(input: string): Token | undefined {
  const text = PLAIN_TEXT.exec(input)?.[0];
  if (text !== undefined) return { length: text.length, key: { name: "text", text } };
  if (input.startsWith(PASTE_START)) return pasteToken(input);
  if (!input.startsWith("\x1b")) return controlToken(input);
  const sequence = ESCAPE_SEQUENCE.exec(input)?.[0];
  if (sequence !== undefined) return { length: sequence.length };
  if (UNFINISHED_SEQUENCE.test(input)) return undefined;
  return { length: 1, key: { name: "escape" } };
}

function pasteToken(input: string): Token | undefined {
  const end = input.indexOf(PASTE_END);
  if (end < 0) return undefined;
  const text = input.slice(PASTE_START.length, end).replace(/\r\n?/g, "\n");
  return { length: end + PASTE_END.length, key: { name: "paste", text } };
}

function controlToken(input: string): Token {
  const key = CONTROLS[input.charAt(0)];
  return key ? { length: 1, key } : { length: 1 };
}

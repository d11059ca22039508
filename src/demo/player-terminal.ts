import { drawFrame, plainText, titleOf } from "./player-screen.js";
import type { PlayerState } from "./player-state.js";

/** A terminal with a transcript that grows upwards and a frame under it that is redrawn in place. */
export interface PlayerTerminal {
  /** Adds lines to the transcript; they appear with the next `draw`. */
  print(lines: readonly string[]): void;
  draw(state: PlayerState, folder: string): void;
  /** Takes the frame away, leaves the transcript and gives the terminal back as it was. */
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

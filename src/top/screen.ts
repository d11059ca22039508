import type { WriteStream } from "node:tty";
import { ASK_FOR_KEYS, ASK_NO_MORE } from "./keys.js";
import { CONTROLS } from "./sequences.js";

/** What `Screen` needs of a terminal. */
export type Terminal = Pick<WriteStream, "write"> & { columns?: number; rows?: number };

const ENTER = `\x1b[?1049h\x1b[22;0t\x1b[?25l\x1b[?7l${ASK_FOR_KEYS}\x1b[2J`;
const LEAVE = `${ASK_NO_MORE}\x1b[?7h\x1b[0m\x1b[?25h\x1b[23;0t\x1b[?1049l`;
/** Around a frame: a terminal that knows these shows it at once. */
const [BEGIN, END] = ["\x1b[?2026h", "\x1b[?2026l"];

/** A terminal's second screen: frames are drawn by the rows that changed, and what was there before comes back. */
export interface Screen {
  /** Draws a frame, given as its rows; the cursor stands at `cursor`, or is hidden. */
  draw(rows: readonly string[], cursor?: { row: number; column: number }): void;
  /** The terminal's title, where it shows one. */
  title(text: string): void;
  enter(): void;
  /** Gives the terminal back as it was; as often as one likes. */
  leave(): void;
}

/** Nothing is written before `enter`. */
export function openScreen(terminal: Terminal): Screen {
  let shown: readonly string[] = [];
  let [isOpen, titled, cursorAt] = [false, "", ""];
  return {
    draw(rows, cursor) {
      if (!isOpen) return;
      const changed = rows.flatMap((row, at) =>
        row === shown[at] ? [] : [`\x1b[${at + 1};1H\x1b[0m\x1b[2K${row}\x1b[0m`],
      );
      const below = rows.length < shown.length ? `\x1b[${rows.length + 1};1H\x1b[0m\x1b[J` : "";
      const caret = cursor ? `\x1b[${cursor.row + 1};${cursor.column + 1}H\x1b[?25h` : "\x1b[?25l";
      if (changed.length === 0 && below === "" && caret === cursorAt) return;
      terminal.write(`${BEGIN}\x1b[?25l${changed.join("")}${below}${caret}${END}`);
      [shown, cursorAt] = [rows, caret];
    },
    title(text) {
      if (!isOpen || text === titled) return;
      titled = text;
      terminal.write(`\x1b]0;${text.replace(CONTROLS, " ")}\x07`);
    },
    enter() {
      [isOpen, shown, titled, cursorAt] = [true, [], "", ""];
      terminal.write(ENTER);
    },
    leave() {
      if (isOpen) terminal.write(LEAVE);
      isOpen = false;
    },
  };
}

/** What a pane shows at one moment, with the facts that tmux knows about it. Rows and columns count from 0. */
export interface Screen {
  /** The visible rows, from the top, without escape sequences. */
  text: string;
  /** The same rows with their colours; with it a placeholder can be told from a typed text. */
  ansi?: string;
  title: string;
  /** The program in the foreground of the pane, as the operating system names it (`pane_current_command`). */
  command: string;
  cursorX: number;
  cursorY: number;
  width: number;
  height: number;
  /** The pane's program has ended; the pane is kept for its last words. */
  dead?: boolean;
}

/** What an agent does, as far as its screen tells. `idle` means: ready for a prompt. */
export type ScreenStatus = "busy" | "needs_input" | "needs_permission" | "idle" | "terminated";

/** One row of the screen that a rule looked at. */
export interface Row {
  index: number;
  text: string;
}

/** Longer rows are cut and further rows left out, far beyond any real pane: it bounds the work on a hostile screen. */
const MAX_COLUMNS = 1000;
const MAX_ROWS = 1000;

/** The rows of a screen without their trailing blanks, blank rows included, so that an index is a screen row. */
export function screenRows(screen: Pick<Screen, "text">): Row[] {
  return screen.text
    .split("\n", MAX_ROWS)
    .map((line, index) => ({ index, text: line.slice(0, MAX_COLUMNS).trimEnd() }));
}

/** Only the rows that show something. */
export function nonEmpty(rows: readonly Row[]): Row[] {
  return rows.filter((row) => row.text.trim() !== "");
}

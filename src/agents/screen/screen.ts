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

/** Where the input box is: `top` and `bottom` are its outermost rows (frame included), `input` the first text row. */
export interface Composer {
  top: number;
  input: number;
  bottom: number;
}

/**
 * What a CLI's screen is made of. A screen has a composer, or a dialog that took its place (`dialog` is its first
 * row); with neither, all rows count as dialog.
 */
export interface Geometry {
  composer?: Composer;
  dialog?: number;
}

/**
 * The named parts of a screen that rules look at.
 * - `title`: the pane title; `screen`: every row.
 * - `composer`: the input box with its frame; `above` and `footer`: what is over and under it.
 * - `turn`: the rows of `above` since the last prompt of the user; `block`: the last block of `above`.
 * - `dialog`: what took the composer's place. It is empty when there is a composer, so no transcript can fake one;
 *   in the same way the composer's parts are empty under a dialog.
 */
export type Region = "title" | "screen" | "composer" | "above" | "footer" | "turn" | "block" | "dialog";

export interface Layout {
  regions: Readonly<Record<Region, readonly Row[]>>;
  composer?: Composer;
  screen: Screen;
}

/** How a CLI draws its screen. */
export interface Drawing {
  findGeometry(rows: readonly Row[]): Geometry;
  /** The first row of a user's prompt in the transcript. */
  turnStart?: RegExp;
  /** The first row of a block of the transcript; without it the last paragraph is the block. */
  blockStart?: RegExp;
}

/** Cuts a screen into its regions. All of them hold non-empty rows only. */
export function layOut(drawing: Drawing, screen: Screen): Layout {
  const rows = screenRows(screen);
  const { composer, dialog } = drawing.findGeometry(rows);
  const title = { index: -1, text: screen.title.trim() };
  const above = composer ? rows.slice(0, composer.top) : [];
  const regions = {
    title: nonEmpty([title]),
    screen: nonEmpty(rows),
    composer: composer ? nonEmpty(rows.slice(composer.top, composer.bottom + 1)) : [],
    above: nonEmpty(above),
    footer: composer ? nonEmpty(rows.slice(composer.bottom + 1)) : [],
    turn: nonEmpty(fromLast(above, drawing.turnStart)),
    block: nonEmpty(drawing.blockStart ? fromLast(above, drawing.blockStart) : lastParagraph(above)),
    dialog: composer ? [] : nonEmpty(rows.slice(dialog ?? 0)),
  };
  return { regions, screen, ...(composer && { composer }) };
}

/** The index of the last row that fits, or -1. */
export function findLastRow(rows: readonly Row[], pattern: RegExp, before = rows.length): number {
  return rows.slice(0, Math.max(0, before)).findLastIndex((row) => pattern.test(row.text));
}

function fromLast(rows: readonly Row[], pattern: RegExp | undefined): readonly Row[] {
  const start = pattern ? findLastRow(rows, pattern) : -1;
  return start < 0 ? rows : rows.slice(start);
}

function lastParagraph(rows: readonly Row[]): readonly Row[] {
  const end = rows.findLastIndex((row) => row.text !== "") + 1;
  const gap = rows.slice(0, end).findLastIndex((row) => row.text === "");
  return rows.slice(gap + 1, end);
}

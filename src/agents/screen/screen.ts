import { stripVTControlCharacters } from "node:util";
import type { Pane } from "../../tmux/panes.js";
import type { Screen as Captured } from "../../tmux/screens.js";

/** A snapshot of a pane, with what tmux knows about it. Rows and columns count from 0. */
export interface Screen {
  /** The visible rows, from the top, without escape sequences. */
  text: string;
  /** The same rows with their colours, which distinguish a placeholder from typed text. */
  ansi?: string;
  title: string;
  /** The program in the foreground of the pane, as the operating system names it (`pane_current_command`). */
  command: string;
  cursorX: number;
  cursorY: number;
  width: number;
  height: number;
  /** The pane's program has ended; tmux keeps the pane for its last output. */
  dead?: boolean;
  /** What the process list shows; without it `command` is all that is known of the program. */
  occupant?: Occupant | undefined;
}

/** What has the foreground of a pane, as the process list shows it. */
export interface Occupant {
  /** An agent CLI, a shell at work for its terminal, one that runs a script, another program; or the processes hide it. */
  is: "agent" | "shell" | "script" | "program" | "unknown";
  cli?: string | undefined;
  /** Its name, and the version of an agent CLI whose path shows it. */
  program: string;
  /** The process group that has the keyboard, the programs in it, and the group that Ctrl-Z stopped, there or behind it. */
  group: number;
  programs: string[];
  stopped?: number | undefined;
}

/** What tmux captured, or only listed, as the screen rules read it. Rows with escape sequences are kept as `ansi` too. */
export function toScreen(pane: Pane, captured?: Captured, occupant?: Occupant): Screen {
  const { command, width, height, dead } = pane;
  const { lines, title, cursorX, cursorY } = captured ?? { ...pane, lines: [] };
  const ansi = lines.join("\n");
  const text = stripVTControlCharacters(ansi).replace(SHIFTS, "");
  return { text, ...(text !== ansi && { ansi }), title, command, cursorX, cursorY, width, height, dead, occupant };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: tmux marks line drawing with them
const SHIFTS = /[\x0e\x0f]/g;

/** An agent's status according to its screen. `idle`: ready for a prompt. */
export type ScreenStatus = "busy" | "needs_input" | "needs_permission" | "idle" | "terminated";

/** One row of the screen that a rule looked at. */
export interface Row {
  index: number;
  text: string;
}

/** Far beyond any real pane: bounds the work on a hostile screen. */
const MAX_COLUMNS = 1000;
const MAX_ROWS = 1000;

/** All rows of a screen, blank ones included, without trailing blanks; an index is a screen row. */
export function screenRows(screen: Pick<Screen, "text">): Row[] {
  return screen.text
    .split("\n", MAX_ROWS)
    .map((line, index) => ({ index, text: line.slice(0, MAX_COLUMNS).trimEnd() }));
}

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
 * The parts of a CLI's screen: a composer, or a dialog in its place (`dialog` is its first row). With neither, all rows
 * count as dialog.
 */
export interface Geometry {
  composer?: Composer;
  dialog?: number;
}

/**
 * The named parts of a screen that rules look at.
 * - `title`: the pane title; `screen`: every row.
 * - `composer`: the input box with its frame; `above` and `footer`: the rows before and after it.
 * - `turn`: the rows of `above` since the user's last prompt; `block`: the last block of `above`.
 * - `dialog`: what replaced the composer. Empty if there is a composer, so that no transcript can fake a dialog; and
 *   without a composer, its parts are empty.
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

/** The index of the last matching row, or -1. */
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

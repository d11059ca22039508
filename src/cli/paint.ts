import { Chalk, type ChalkInstance } from "chalk";
import type { Column, Paint } from "../operations/paint.js";

const STATUS_COLOURS: Readonly<Record<string, "green" | "yellow" | "red" | "blue" | "gray" | "magenta">> = {
  OPEN: "blue",
  IN_PROGRESS: "yellow",
  CLOSED: "green",
  REJECTED: "red",
  DEFERRED: "gray",
};

interface PaintOptions {
  colour: boolean;
  /** What ages are counted from, in ms. */
  now: number;
  /** Rows may be of several workstreams: tables say which. */
  spans?: boolean;
  /** How wide the terminal is; without one, tables cut nothing. */
  columns?: number | undefined;
}

export function createPaint(options: PaintOptions): Paint {
  const chalk = new Chalk({ level: options.colour ? 1 : 0 });
  const draw = <T>(rows: readonly T[], columns: readonly Column<T>[]) =>
    drawTable(chalk, rows, options.spans ? withWorkstream(rows, columns) : columns, options.columns);
  return {
    bold: (text) => chalk.bold(text),
    dim: (text) => chalk.dim(text),
    status: (text) => colourOf(chalk, text)(text),
    table: draw,
    list: (rows, none, columns) => (rows.length === 0 ? none : draw(rows, columns)),
    ago: (at) => (at === null ? "—" : age(options.now - Date.parse(at))),
  };
}

function colourOf(chalk: ChalkInstance, status: string): (text: string) => string {
  const name = STATUS_COLOURS[status];
  return name === undefined ? (text) => text : chalk[name];
}

/** The columns after one for the workstream, unless a row has none or one of them names it. */
function withWorkstream<T>(rows: readonly T[], columns: readonly Column<T>[]): readonly Column<T>[] {
  const workstreamOf = (row: T | undefined) => (row as { workstream?: unknown } | undefined)?.workstream;
  const [first] = rows;
  const workstream = workstreamOf(first);
  if (first === undefined || typeof workstream !== "string") return columns;
  if (columns.some(({ text }) => text(first).startsWith(`${workstream}/`))) return columns;
  return [{ head: "workstream", text: (row) => String(workstreamOf(row)) }, ...columns];
}

function drawTable<T>(
  chalk: ChalkInstance,
  rows: readonly T[],
  columns: readonly Column<T>[],
  terminal: number | undefined,
): string {
  const heads = columns.map(({ head }) => head);
  const cells = rows.map((row) => columns.map(({ text }) => text(row).replace(/\s+/g, " ")));
  const lines = [heads, ...cells];
  const room = terminal === undefined ? Number.POSITIVE_INFINITY : Math.max(NARROWEST, terminal - INDENT);
  const widths = fitColumns(columns, lines, room);
  if (widths === undefined) return cells.map((line) => drawFields(heads, line, room)).join("\n\n");
  const drawn = lines.map((line, row) => {
    const padded = line.map((text, at) => {
      const shown = cut(text, widths[at]);
      const space = " ".repeat((widths[at] ?? 0) - widthOf(shown));
      const cell = row === 0 ? chalk.dim(shown) : shown;
      return columns[at]?.align === "right" ? space + cell : cell + space;
    });
    return padded.join(" ".repeat(GAP)).trimEnd();
  });
  return drawn.join("\n");
}

/** Columns between two cells, and those that a card may put before a table. */
const GAP = 2;
const INDENT = 2;
/** Below this, a cell says nothing. */
const NARROWEST = 4;

/** How wide each column gets: the widest are narrowed until all fit; undefined where there are too many columns. */
function fitColumns<T>(columns: readonly Column<T>[], lines: readonly string[][], room: number) {
  const widest = (at: number) => lines.reduce((most, line) => Math.max(most, widthOf(line[at] ?? "")), 0);
  const most = ({ max = room }: Column<T>) => (room === Number.POSITIVE_INFINITY ? room : max);
  const widths = columns.map((column, at) => Math.min(most(column), room, widest(at)));
  let excess = widths.reduce((sum, width) => sum + width + GAP, -GAP) - room;
  for (; excess > 0; excess--) {
    const broadest = Math.max(...widths);
    if (broadest <= NARROWEST) return undefined;
    widths[widths.lastIndexOf(broadest)] = broadest - 1;
  }
  return widths;
}

/** A row with too many columns for the terminal: one line per field. */
function drawFields(heads: readonly string[], line: readonly string[], room: number): string {
  return heads.map((head, at) => cut(`${head}: ${line[at]}`, room)).join("\n");
}

/** Colours have no width. */
const COLOUR = `${String.fromCharCode(27)}\\[\\d+m`;
const COLOURS = new RegExp(COLOUR, "g");
const COLOURED = new RegExp(`^((?:${COLOUR})+)(.*?)((?:${COLOUR})+)$`);
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{10000}-\u{10ffff}]|\p{Emoji_Presentation}|\ufe0f/u;
const letters = new Intl.Segmenter("en", { granularity: "grapheme" });

/** The columns of a terminal that the text takes, at most. */
function widthOf(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  return lettersOf(text.replace(COLOURS, "")).reduce((sum, letter) => sum + widthOfLetter(letter), 0);
}

const lettersOf = (text: string) => Array.from(letters.segment(text), ({ segment }) => segment);
const widthOfLetter = (letter: string) => (WIDE.test(letter) ? 2 : 1);

function cut(text: string, width = Number.POSITIVE_INFINITY): string {
  if (widthOf(text) <= width) return text;
  const [, start = "", inner = text, end = ""] = COLOURED.exec(text) ?? [];
  let room = width - 1;
  let kept = "";
  for (const { segment } of letters.segment(inner.replace(COLOURS, ""))) {
    room -= widthOfLetter(segment);
    if (room < 0) break;
    kept += segment;
  }
  return `${start}${kept}…${end}`;
}

function age(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

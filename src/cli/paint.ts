import { Chalk, type ChalkInstance } from "chalk";
import measure from "fast-string-truncated-width";
import type { Column, Paint } from "../operations/paint.js";

/** What a person should notice. Yellow cannot be read on white, nor blue on black, so neither is used. */
const STATUS_STYLES: Readonly<Record<string, (chalk: ChalkInstance) => ChalkInstance>> = {
  IN_PROGRESS: ({ green }) => green,
  busy: ({ green }) => green,
  CLOSED: ({ dim }) => dim,
  DEFERRED: ({ dim }) => dim,
  closed: ({ dim }) => dim,
  REJECTED: ({ red }) => red,
  needs_input: ({ magenta }) => magenta.bold,
  needs_permission: ({ magenta }) => magenta.bold,
  terminated: ({ red }) => red,
  unreachable: ({ red }) => red,
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
    status: (text) => STATUS_STYLES[text]?.(chalk)(text) ?? text,
    alert: (text) => chalk.magenta.bold(text),
    fit: (text, taken = 0) =>
      cut(text.replace(/\s+/g, " "), Math.max(NARROWEST, (options.columns ?? Infinity) - taken)),
    table: draw,
    list: (rows, none, columns) => (rows.length === 0 ? none : draw(rows, columns)),
    ago: (at) => (at === null ? "—" : age(options.now - Date.parse(at))),
    asOf: (at) => createPaint({ ...options, now: Date.parse(at) }),
  };
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
  all: readonly Column<T>[],
  terminal: number | undefined,
): string {
  const texts = rows.map((row) => all.map(({ text }) => text(row).replace(/\s+/g, " ")));
  const said = all.map(({ always }, at) => always === true || texts.some((line) => !NOTHING.has(line[at] ?? "")));
  const isShown = (_: unknown, at: number) => said[at] || !said.includes(true);
  const columns = all.filter(isShown);
  const cells = texts.map((line) => line.filter(isShown));
  const heads = columns.map(({ head }) => head);
  const lines = heads.every((head) => head === "") ? cells : [heads, ...cells];
  const room = terminal === undefined ? Number.POSITIVE_INFINITY : Math.max(NARROWEST, terminal - INDENT);
  const widths = fitColumns(columns, lines, room);
  if (widths === undefined) return cells.map((line) => drawFields(heads, line, room)).join("\n\n");
  const drawn = lines.map((line) => {
    const padded = line.map((text, at) => {
      const shown = cut(text, widths[at], line === heads ? undefined : columns[at]?.cut);
      const space = " ".repeat((widths[at] ?? 0) - widthOf(shown));
      const cell = line === heads ? (TITLE.test(shown) ? chalk.bold(shown) : chalk.dim(shown)) : shown;
      return columns[at]?.align === "right" ? space + cell : cell + space;
    });
    return padded.join(" ".repeat(GAP)).trimEnd();
  });
  return drawn.join("\n");
}

/** A head that names the table as well, such as `Tasks (7)`. */
const TITLE = /^[A-Z]/;
/** Cells that say nothing. */
const NOTHING: ReadonlySet<string> = new Set(["", "—"]);
/** Columns between two cells, and those that a card may put before a table. */
const GAP = 2;
const INDENT = 2;
/** Below this, a cell says nothing. */
const NARROWEST = 4;

/**
 * How wide each column gets: as wide as its texts if all fit; else those beyond their `max` are narrowed to it, the
 * furthest beyond first, and then the widest. Undefined where there are too many columns.
 */
function fitColumns<T>(columns: readonly Column<T>[], lines: readonly string[][], room: number) {
  const widest = (at: number) => lines.reduce((most, line) => Math.max(most, widthOf(line[at] ?? "")), 0);
  const widths = columns.map((_, at) => Math.min(room, widest(at)));
  let excess = widths.reduce((sum, width) => sum + width + GAP, -GAP) - room;
  for (; excess > 0; excess--) {
    const beyond = widths.map((width, at) => width - (columns[at]?.max ?? room));
    const furthest = Math.max(...beyond);
    const broadest = Math.max(...widths);
    if (furthest <= 0 && broadest <= NARROWEST) return undefined;
    const narrowed = furthest > 0 ? beyond.lastIndexOf(furthest) : widths.lastIndexOf(broadest);
    widths[narrowed] = (widths[narrowed] ?? 0) - 1;
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
/** Made when it is first needed: that takes ms. */
let letters: Intl.Segmenter | undefined;

/** The columns of a terminal that the text takes. */
function widthOf(text: string): number {
  const plain = text.replace(COLOURS, "");
  if (/^[ -~…—]*$/.test(plain)) return plain.length;
  return lettersOf(plain).reduce((sum, letter) => sum + measure(letter).width, 0);
}

function lettersOf(text: string): string[] {
  letters ??= new Intl.Segmenter("en", { granularity: "grapheme" });
  return Array.from(letters.segment(text), ({ segment }) => segment);
}

function cut(text: string, width = Number.POSITIVE_INFINITY, from: Column<never>["cut"] = undefined): string {
  if (widthOf(text) <= width) return text;
  const [, start = "", inner = text, end = ""] = COLOURED.exec(text) ?? [];
  const plain = lettersOf(inner.replace(COLOURS, ""));
  if (from !== "front") return `${start}${firstOf(plain, width - 1).join("")}…${end}`;
  const kept = firstOf(plain.reverse(), width - 1).reverse();
  const folder = kept.indexOf("/");
  return `${start}…${kept.slice(folder < kept.length / 2 ? Math.max(folder, 0) : 0).join("")}${end}`;
}

/** The first letters that together take at most `room` columns. */
function firstOf(all: readonly string[], room: number): string[] {
  let left = room;
  const end = all.findIndex((letter) => {
    left -= measure(letter).width;
    return left < 0;
  });
  return all.slice(0, end < 0 ? all.length : end);
}

function age(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

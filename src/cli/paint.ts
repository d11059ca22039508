import { Chalk, type ChalkInstance } from "chalk";
import Table from "cli-table3";
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
}

export function createPaint(options: PaintOptions): Paint {
  const chalk = new Chalk({ level: options.colour ? 1 : 0 });
  const draw = <T>(rows: readonly T[], columns: readonly Column<T>[]) =>
    drawTable(chalk, rows, options.spans ? withWorkstream(rows, columns) : columns);
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

function drawTable<T>(chalk: ChalkInstance, rows: readonly T[], columns: readonly Column<T>[]): string {
  const table = new Table({
    chars: NO_LINES,
    style: { head: [], border: [], compact: true, "padding-left": 0, "padding-right": 2 },
    colAligns: columns.map((column) => column.align ?? "left"),
    head: columns.map((column) => chalk.dim(column.head)),
  });
  for (const row of rows) table.push(columns.map((column) => cut(column.text(row).replace(/\s+/g, " "), column.max)));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** The names that cli-table3 has for the lines around and between cells. */
const LINES =
  "top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid middle";
const NO_LINES = Object.fromEntries(LINES.split(" ").map((line) => [line, ""]));

function cut(text: string, max = 60): string {
  return text.length > max ? `${text.slice(0, max - 1)}…` : text;
}

function age(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

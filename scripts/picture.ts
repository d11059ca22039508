import xterm from "@xterm/headless";
import type { Size } from "../src/operations/cast.js";

/** Width and height of a cell, and the space around all of them, in pixels. */
const [CELL, LINE, EDGE] = [8, 17, 12];
const [PAPER, INK] = ["#16181d", "#d8dbe0"];
/** The sixteen colours that a theme gives. */
const NAMED =
  "#3b4048 #e06c75 #98c379 #e5c07b #61afef #c678dd #56b6c2 #c8ccd4 #7f848e #ff7b86 #b5e08f #ffd68a #82c4ff #dd9cf2 #7fd6e2 #ffffff".split(
    " ",
  );

/** The frame as a picture: each run of cells that look the same is one text, at its place in the grid. */
export async function drawFrame(lines: readonly string[], { columns, rows }: Size, title: string): Promise<string> {
  const { buffer } = (await shownBy([screenOf(lines)], { columns, rows })).term;
  const parts: string[] = [];
  for (let row = 0; row < rows; row++) parts.push(...drawRow(buffer.active.getLine(row), columns, row));
  const [width, height] = [columns * CELL + 2 * EDGE, rows * LINE + 2 * EDGE];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<title>${escaped(title)}</title>`,
    "<style>text{font:13px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}</style>",
    `<rect width="${width}" height="${height}" rx="6" fill="${PAPER}"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

interface Look {
  ink: string;
  paper: string;
  more: string;
}

type Row = ReturnType<xterm.Terminal["buffer"]["active"]["getLine"]>;
type Cell = NonNullable<ReturnType<NonNullable<Row>["getCell"]>>;

function drawRow(line: Row, columns: number, row: number): string[] {
  const runs: { from: number; to: number; text: string; look: Look }[] = [];
  for (let column = 0; column < columns; ) {
    const cell = line?.getCell(column);
    const to = column + (cell?.getWidth() || 1);
    const look = lookOf(cell);
    const last = runs.at(-1);
    const text = cell?.getChars() || " ";
    if (last && JSON.stringify(last.look) === JSON.stringify(look)) Object.assign(last, { text: last.text + text, to });
    else runs.push({ from: column, to, text, look });
    column = to;
  }
  return runs.flatMap(({ from, to, text, look: { ink, paper, more } }) => {
    const [x, y, width] = [EDGE + from * CELL, EDGE + row * LINE, (to - from) * CELL];
    const box = `<rect x="${x}" y="${y}" width="${width}" height="${LINE}" fill="${paper}"/>`;
    const begin = text.search(/\S/);
    if (begin < 0) return paper === PAPER ? [] : [box];
    const said = text.trimEnd().slice(begin);
    // Blanks before and behind are no part of the text: all cells but wide ones are as long as it has characters.
    const length = width - (text.length - said.length) * CELL;
    const place = `x="${x + begin * CELL}" y="${y + LINE - 4}" textLength="${length}" fill="${ink}"${more}`;
    return [...(paper === PAPER ? [] : [box]), `<text ${place}>${escaped(said)}</text>`];
  });
}

function lookOf(cell: Cell | undefined): Look {
  const ink = colourOf(cell, "Fg") ?? INK;
  const paper = colourOf(cell, "Bg") ?? PAPER;
  const more = [
    cell?.isBold() ? ' font-weight="bold"' : "",
    cell?.isItalic() ? ' font-style="italic"' : "",
    cell?.isUnderline() ? ' text-decoration="underline"' : "",
    cell?.isDim() ? ' opacity="0.6"' : "",
  ].join("");
  return cell?.isInverse() ? { ink: paper, paper: ink, more } : { ink, paper, more };
}

function colourOf(cell: Cell | undefined, side: "Fg" | "Bg"): string | undefined {
  if (cell === undefined || cell[`is${side}Default`]()) return undefined;
  const value = cell[`get${side}Color`]();
  if (cell[`is${side}RGB`]()) return hex(value);
  if (value < 16) return NAMED[value];
  if (value > 231) return hex((8 + 10 * (value - 232)) * 0x010101);
  const part = (digit: number) => (digit === 0 ? 0 : 55 + 40 * digit);
  const n = value - 16;
  return hex((part(Math.floor(n / 36)) << 16) + (part(Math.floor(n / 6) % 6) << 8) + part(n % 6));
}

const hex = (value: number) => `#${value.toString(16).padStart(6, "0")}`;
const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
const escaped = (text: string) => text.replace(/[&<>]/g, (letter) => ENTITIES[letter] ?? letter);

const screenOf = (lines: readonly string[]) =>
  lines.map((line, row) => `\u001b[${row + 1};1H\u001b[0m${line}`).join("");

/** A terminal that was sent these texts, and what each of its rows says. */
export async function shownBy(texts: readonly string[], { columns, rows }: Size) {
  const term = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
  for (const text of texts) await new Promise<void>((resolve) => term.write(text, resolve));
  const says = Array.from({ length: rows }, (_, row) => term.buffer.active.getLine(row)?.translateToString(true) ?? "");
  return { term, says };
}

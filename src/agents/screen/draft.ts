import type { Layout } from "./layout.js";
import type { Screen } from "./screen.js";

/**
 * Whether the composer holds a text that someone typed and did not send. The cursor tells: away from the empty
 * composer's column, or below its first row. A cursor that was moved back home is seen through by the colours:
 * placeholders are faint, typed text is not.
 */
export function holdsDraft(layout: Layout, homeColumn: number): boolean {
  const { composer, screen } = layout;
  if (!composer) return false;
  if (screen.cursorY > composer.input && screen.cursorY <= composer.bottom) return true;
  if (screen.cursorY === composer.input && screen.cursorX !== homeColumn) return true;
  return showsTypedText(screen, composer.input, homeColumn);
}

function showsTypedText(screen: Screen, row: number, column: number): boolean {
  const line = screen.ansi?.split("\n", row + 1)[row]?.slice(0, 4000);
  if (line === undefined) return false;
  return readCells(line)
    .slice(column + 1)
    .some((cell) => cell.text.trim() !== "" && !cell.faint && !FRAME.test(cell.text));
}

interface Cell {
  text: string;
  faint: boolean;
}

/** Box drawing and half blocks: the composer's own frame. */
const FRAME = /[\u2500-\u259f]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
const SEQUENCE = /\u001b\[([0-9;]*)m|(.)/gu;

function readCells(line: string): Cell[] {
  const cells: Cell[] = [];
  let faint = false;
  for (const [, codes, text] of line.matchAll(SEQUENCE)) {
    if (text !== undefined) cells.push({ text, faint });
    else faint = isFaint(codes ?? "", faint);
  }
  return cells;
}

/** The four CLIs with placeholders draw them faint (SGR 2) or in a grey of the 256-colour palette. */
function isFaint(codes: string, before: boolean): boolean {
  const grey = /(?:^|;)38;5;(?:8|23[2-9]|24\d|250)(?:;|$)/.test(codes);
  const rest = codes.replace(/[34]8;(?:5;\d+|2;\d+;\d+;\d+)/g, "-").split(";");
  if (grey || rest.includes("2") || rest.includes("90")) return true;
  const resets = rest.some((code) => ["", "0", "22", "39", "-"].includes(code)) && !/^48;/.test(codes);
  return resets ? false : before;
}

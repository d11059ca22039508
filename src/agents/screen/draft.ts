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
  let style: Style = { dim: false, grey: false };
  for (const [, codes, text] of line.matchAll(SEQUENCE)) {
    if (text === undefined) style = applyCodes(style, codes ?? "");
    else cells.push({ text, faint: style.dim || style.grey });
  }
  return cells;
}

/** What makes a text faint: SGR 2, or a grey of the palette; the four CLIs with placeholders use one of them. */
interface Style {
  dim: boolean;
  grey: boolean;
}

const CODE = /([34])8;5;(\d+)|[34]8;2;\d+;\d+;\d+|\d+/g;

function applyCodes(before: Style, codes: string): Style {
  let { dim, grey } = before;
  for (const [code, layer, colour] of (codes || "0").matchAll(CODE)) {
    if (code === "0") [dim, grey] = [false, false];
    if (code === "2") dim = true;
    if (code === "22") dim = false;
    if (layer === "3") grey = isGrey(Number(colour));
    else if (/^(?:39|9\d|3[0-7]|38;2.*)$/.test(code)) grey = code === "90";
  }
  return { dim, grey };
}

/** The greys between black and the white of plain text. */
function isGrey(colour: number): boolean {
  return colour === 8 || (colour >= 232 && colour <= 250);
}

/** What a terminal of a size showed, at a time in seconds: its lines, with colours as escape sequences. */
export interface Frame {
  at: number;
  lines: readonly string[];
}

export interface Size {
  columns: number;
  rows: number;
}

/** The frames as an asciicast v2 file: of each frame only the lines that changed. */
export function castOf(frames: readonly Frame[], { columns, rows }: Size, title: string): string {
  const out = [JSON.stringify({ version: 2, width: columns, height: rows, title })];
  let shown: readonly string[] = [];
  for (const { at, lines } of frames) {
    const drawn = Array.from({ length: rows }, (_, row) =>
      lines[row] === shown[row] ? "" : `\u001b[${row + 1};1H\u001b[0m\u001b[K${lines[row] ?? ""}`,
    ).join("");
    if (drawn !== "") out.push(JSON.stringify([Math.round(at * 100) / 100, "o", drawn]));
    shown = lines;
  }
  return `${out.join("\n")}\n`;
}

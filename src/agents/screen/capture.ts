import { readFile } from "node:fs/promises";
import { stripVTControlCharacters } from "node:util";
import { Fault } from "../../errors.js";
import type { Screen } from "./screen.js";

/**
 * Reads a recorded pane: `<name>.meta` (one line of pane facts) and `<name>.ansi` (rows with colours) or, without
 * colours, `<name>.txt`. Any of the three names, or the bare name, may be given. A file that is not there is
 * `capture.not_found`, pane facts that cannot be read are `capture.invalid`.
 */
export async function readCapture(path: string): Promise<Screen> {
  const name = path.replace(/\.(?:txt|ansi|meta)$/, "");
  const ansi = await readFile(`${name}.ansi`, "utf8").catch(() => undefined);
  const [text, meta] = await Promise.all([
    ansi === undefined ? readPart(`${name}.txt`) : stripVTControlCharacters(ansi),
    readPart(`${name}.meta`),
  ]);
  return { text, ...(ansi !== undefined && { ansi }), ...parseMeta(meta, `${name}.meta`) };
}

async function readPart(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const why = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    throw new Fault(
      "missing",
      "capture.not_found",
      `Cannot read ${path} (${why}). A capture is a .txt file with a .meta file.`,
      [{ intent: "Save one", command: "mu agent explain <agent> --save <file>" }],
    );
  }
}

const META = /^title=\[(.*)\] cmd=(.*?) pid=\d* .*?cursor=(\d+),(\d+) .*?size=(\d+)x(\d+)(?: dead=(\d+))?/;

/** `title=[…] cmd=… pid=… … cursor=X,Y … size=WxH dead=0 …` */
function parseMeta(meta: string, path: string): Omit<Screen, "text" | "ansi"> {
  const match = META.exec(meta.split("\n", 1)[0]?.slice(0, 4000) ?? "");
  if (!match)
    throw new Fault("usage", "capture.invalid", `${path} is not a line of pane facts (title, cmd, cursor, size).`);
  const [, title = "", command = "", cursorX, cursorY, width, height, dead] = match;
  return {
    title,
    command,
    cursorX: Number(cursorX),
    cursorY: Number(cursorY),
    width: Number(width),
    height: Number(height),
    dead: dead === "1",
  };
}

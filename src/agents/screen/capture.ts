import { readFile } from "node:fs/promises";
import { stripVTControlCharacters } from "node:util";
import { Fault } from "../../errors.js";
import type { Pane } from "../../tmux/panes.js";
import type { Screen as Captured } from "../../tmux/screens.js";
import type { TmuxHost } from "../crew.js";
import type { ScreenReader } from "./rules.js";
import type { Screen } from "./screen.js";
import { type Explanation, explainScreen } from "./verdict.js";

/** A pane with its screen, and what the screen rules of its CLI say. */
export interface PaneView {
  pane: Pane;
  screen: Screen;
  verdict: Explanation;
}

/** Captures one pane with its colours; undefined if it is gone. One tmux call. */
export async function viewPane(host: TmuxHost, cli: ScreenReader, pane: Pane): Promise<PaneView | undefined> {
  const captured = (await host.tmux.captureScreens([pane.id], { escapes: true })).get(pane.id);
  return captured && viewOf(cli, pane, captured);
}

/** What a captured screen says by the rules of `cli`. */
export function viewOf(cli: ScreenReader, pane: Pane, captured: Captured): PaneView {
  const screen = toScreen(pane, captured);
  return { pane, screen, verdict: explainScreen(cli, screen) };
}

/** What tmux captured, as the screen rules read it. Rows with escape sequences are kept as `ansi` too. */
export function toScreen({ command, width, height, dead }: Pane, captured: Captured): Screen {
  const { lines, title, cursorX, cursorY } = captured;
  const ansi = lines.join("\n");
  const text = stripVTControlCharacters(ansi).replace(SHIFTS, "");
  return { text, ...(text !== ansi && { ansi }), title, command, cursorX, cursorY, width, height, dead };
}

/** The screen of a pane that was not captured, from tmux's list of panes alone. */
export function blankScreen(pane: Pane): Screen {
  return toScreen(pane, { ...pane, lines: [] });
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: tmux marks line drawing with them
const SHIFTS = /[\x0e\x0f]/g;

/**
 * Reads a recorded pane: `<name>.txt` (rows), `<name>.meta` (one line of pane facts) and, when there is one,
 * `<name>.ansi` (rows with colours). Any of the three names, or the bare name, may be given. A file that is not
 * there is `capture.not_found`, pane facts that cannot be read are `capture.invalid`.
 */
export async function readCapture(path: string): Promise<Screen> {
  const name = path.replace(/\.(?:txt|ansi|meta)$/, "");
  const [text, meta, ansi] = await Promise.all([
    readPart(`${name}.txt`),
    readPart(`${name}.meta`),
    readFile(`${name}.ansi`, "utf8").catch(() => undefined),
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
      [{ intent: "Capture a pane", command: "tmux capture-pane -p -t <pane> > capture.txt" }],
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

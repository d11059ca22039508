import { labelCommand, type PaneLabels } from "./appearance.js";
import { type Pane, paneListing } from "./panes.js";
import {
  type Command,
  inCalls,
  isServerGone,
  isTargetGone,
  LONGEST_CALL,
  paneNotFound,
  quoteCommands,
  type Run,
  refused,
  uniqueWord,
} from "./run.js";

/** What a pane shows, with the cursor and the title of the same moment. */
export interface Screen {
  /** Rows from the top, without the blanks at their ends; `history` rows come before the screen's own. */
  lines: readonly string[];
  cursorX: number;
  cursorY: number;
  title: string;
}

export interface CaptureOptions {
  /** Keep colours and attributes as escape sequences. */
  escapes?: boolean;
  /** Rows of scrollback above the screen; 0 without it. */
  history?: number;
}

/**
 * The screens of all these panes in one tmux call (one per ~130 panes). Panes that are gone are not in the result;
 * no server means an empty one. Faults: `tmux.failed`.
 */
export async function captureScreens(
  run: Run,
  panes: readonly string[],
  options: CaptureOptions = {},
): Promise<Map<string, Screen>> {
  const mark = uniqueWord();
  const commandsOf = (pane: string) => captureCommands(pane, mark, options);
  const screens = new Map<string, Screen>();
  for (const call of inCalls([...new Set(panes)], commandsOf)) {
    for (let rest: readonly string[] = call; rest.length > 0; ) {
      const answer = await run(rest.flatMap(commandsOf));
      const captured = parseScreens(answer.stdout, mark);
      captured.forEach((screen, i) => {
        screens.set(rest[i] ?? "", screen);
      });
      if (answer.refusal === undefined) break;
      if (isServerGone(answer.refusal)) return new Map();
      if (!isTargetGone(answer.refusal)) throw refused("read the panes", answer.refusal);
      rest = rest.slice(captured.length + 1);
    }
  }
  return screens;
}

/** The last `lines` rows of a pane with its scrollback, blank rows at the end left out. Faults: `pane.not_found`. */
export async function readPane(run: Run, pane: string, lines: number): Promise<string[]> {
  const screen = (await captureScreens(run, [pane], { history: lines })).get(pane);
  if (screen === undefined) throw paneNotFound(pane);
  return lastLines(screen.lines, lines);
}

/** The last `count` rows before the blank ones at the end. */
export function lastLines(lines: readonly string[], count: number): string[] {
  const end = lines.findLastIndex((line) => line.trim() !== "") + 1;
  return lines.slice(Math.max(0, end - count), end);
}

/** Prints the pane's rows, then `mark` with its facts. */
export function captureCommands(pane: string, mark: string, options: CaptureOptions): Command[] {
  const flags = options.escapes ? ["-e"] : [];
  const start = options.history ? ["-S", `-${options.history}`] : [];
  return [
    ["capture-pane", "-p", ...flags, ...start, "-t", pane],
    ["display-message", "-p", "-t", pane, `${mark}#{cursor_x} #{cursor_y} #{pane_title}`],
  ];
}

/** Screens in the order they were asked for; each is rows, then the mark with the facts of its pane. */
function parseScreens(stdout: string, mark: string): Screen[] {
  const parts = stdout.split(mark);
  return parts.slice(1).map((part, i) => parseScreen(rows(parts[i] ?? "", i === 0), part));
}

/** `facts` begin with the cursor and the title, up to the end of their line. */
export function parseScreen(lines: readonly string[], facts: string): Screen {
  const [x, y, ...title] = facts.slice(0, facts.indexOf("\n")).split(" ");
  return { lines, cursorX: Number(x), cursorY: Number(y), title: title.join(" ") };
}

function rows(part: string, isFirst: boolean): string[] {
  const text = isFirst ? part : part.slice(part.indexOf("\n") + 1);
  return text.split("\n").slice(0, -1);
}

export interface SurveyRequest {
  /** Panes whose screens are wanted too, as far as they fit into one call; those that are gone are passed over. */
  screens?: readonly string[] | undefined;
  /** Keep their colours and attributes as escape sequences. */
  escapes?: boolean;
  /** Written before anything is read. */
  labels?: readonly PaneLabels[] | undefined;
}

export interface Survey {
  panes: Pane[];
  screens: Map<string, Screen>;
}

/** Labels, list and screens in a single tmux call: starting a process for each would cost more than tmux itself. */
export async function survey(run: Run, { screens = [], labels = [], escapes = false }: SurveyRequest): Promise<Survey> {
  const listing = paneListing();
  const marks = { pane: uniqueWord(), facts: uniqueWord() };
  const first = [...labels.map(labelCommand), listing.command];
  const captures = screens.map((pane) => captureIfThere(pane, marks, { escapes }));
  const answer = await run([...first, ...fitting(captures, bytesOf(first))]);
  if (isServerGone(answer.refusal)) return { panes: [], screens: new Map() };
  if (answer.refusal !== undefined) throw refused("look at the panes", answer.refusal);
  const [listed = "", ...parts] = answer.stdout.split(marks.pane);
  return { panes: listing.parse(listed), screens: new Map(parts.map((part) => parsePart(part, marks.facts))) };
}

interface Marks {
  pane: string;
  facts: string;
}

/** The screen's rows stand between two marks: its pane, then its facts. */
function captureIfThere(pane: string, marks: Marks, options: CaptureOptions): Command {
  const announce: Command = ["display-message", "-p", "-t", pane, `${marks.pane}#{pane_id}`];
  const print = quoteCommands([announce, ...captureCommands(pane, marks.facts, options)]);
  return ["if-shell", "-F", "-t", pane, `#{==:#{pane_id},${pane}}`, print];
}

function parsePart(part: string, factsMark: string): [string, Screen] {
  const end = part.indexOf("\n");
  const [rows = "", facts = ""] = part.slice(end + 1).split(factsMark);
  return [part.slice(0, end), parseScreen(rows.split("\n").slice(0, -1), facts)];
}

function fitting(commands: readonly Command[], used: number): Command[] {
  let bytes = used;
  return commands.filter((command) => {
    bytes += bytesOf([command]);
    return bytes <= LONGEST_CALL;
  });
}

function bytesOf(commands: readonly Command[]): number {
  return commands.flat().reduce((sum, word) => sum + Buffer.byteLength(word) + 2, 2 * commands.length);
}

import { labelCommand, type PaneLabels } from "./appearance.js";
import { type Pane, paneListing } from "./panes.js";
import {
  type Command,
  callBytes,
  inCalls,
  isServerGone,
  LONGEST_CALL,
  paneNotFound,
  quoteCommands,
  type Run,
  runUnlessGone,
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

const READ_PANES = { what: "read the panes", isGone: isServerGone };

/**
 * The screens of all these panes in one tmux call (one per ~90 panes). Panes that do not exist are not in the result;
 * no server means an empty one. Faults: `tmux.failed`.
 */
export async function captureScreens(
  run: Run,
  panes: readonly string[],
  options: CaptureOptions = {},
): Promise<Map<string, Screen>> {
  const marks = newMarks();
  const commandsOf = (pane: string) => [captureIfThere(pane, marks, options)];
  const screens = new Map<string, Screen>();
  for (const call of inCalls([...new Set(panes)], commandsOf)) {
    const printed = await runUnlessGone(run, READ_PANES, call.flatMap(commandsOf));
    if (printed === undefined) return new Map();
    for (const part of printed.split(marks.pane).slice(1)) screens.set(...parsePart(part, marks.facts));
  }
  return screens;
}

/** The last `lines` rows of a pane with its scrollback, blank rows at the end left out. Faults: `pane.not_found`. */
export async function readPane(run: Run, pane: string, lines: number, escapes = false): Promise<string[]> {
  const screen = (await captureScreens(run, [pane], { history: lines, escapes })).get(pane);
  if (screen === undefined) throw paneNotFound(pane);
  return lastLines(screen.lines, lines);
}

/** The last `count` rows before the blank ones at the end. */
export function lastLines(lines: readonly string[], count: number): string[] {
  const end = lines.findLastIndex((line) => line.trim() !== "") + 1;
  return lines.slice(Math.max(0, end - count), end);
}

export interface SurveyRequest {
  /** Panes to capture too, as far as they fit into one call; those that do not exist are skipped. */
  screens?: readonly string[] | undefined;
  /** Keep their colours and attributes as escape sequences. */
  escapes?: boolean;
  /** A pane to capture for a person to see, with its colours. */
  shown?: string | undefined;
  /** Written before anything is read. */
  labels?: readonly PaneLabels[] | undefined;
}

export interface Survey {
  panes: Pane[];
  screens: Map<string, Screen>;
  /** What `shown` shows; undefined without it, or where it is gone. */
  shown?: Screen | undefined;
}

/** Labels, list and screens in a single tmux call: starting a process for each would cost more than tmux itself. */
export async function survey(run: Run, request: SurveyRequest): Promise<Survey> {
  const { screens = [], labels = [], escapes = false, shown } = request;
  const listing = paneListing();
  const marks = newMarks();
  const own = newMarks();
  const picture = shown === undefined ? [] : [captureIfThere(shown, own, { escapes: true })];
  const first = [...labels.map(labelCommand), listing.command, ...picture];
  const captures = screens.map((pane) => captureIfThere(pane, marks, { escapes }));
  const printed = await runUnlessGone(run, READ_PANES, [...first, ...fitting(captures, callBytes(first))]);
  if (printed === undefined) return { panes: [], screens: new Map() };
  const [before = "", ...parts] = printed.split(marks.pane);
  const [listed = "", seen] = before.split(own.pane);
  return {
    panes: listing.parse(listed),
    screens: new Map(parts.map((part) => parsePart(part, marks.facts))),
    ...(seen !== undefined && { shown: parsePart(seen, own.facts)[1] }),
  };
}

/** Words that stand before each pane and before its facts in what tmux prints. */
interface Marks {
  pane: string;
  facts: string;
}

function newMarks(): Marks {
  return { pane: uniqueWord(), facts: uniqueWord() };
}

/** Prints `mark pane`, the pane's rows and `mark facts`, if the pane exists. */
function captureIfThere(pane: string, marks: Marks, { escapes, history }: CaptureOptions): Command {
  const print = quoteCommands([
    ["display-message", "-p", "-t", pane, `${marks.pane}#{pane_id}`],
    ["capture-pane", "-p", ...(escapes ? ["-e"] : []), ...(history ? ["-S", `-${history}`] : []), "-t", pane],
    ["display-message", "-p", "-t", pane, `${marks.facts}#{cursor_x} #{cursor_y} #{pane_title}`],
  ]);
  return ["if-shell", "-F", "-t", pane, `#{==:#{pane_id},${pane}}`, print];
}

function parsePart(part: string, factsMark: string): [string, Screen] {
  const end = part.indexOf("\n");
  const [rows = "", facts = ""] = part.slice(end + 1).split(factsMark);
  const [x, y, ...title] = facts.slice(0, facts.indexOf("\n")).split(" ");
  const lines = rows.split("\n").slice(0, -1);
  return [part.slice(0, end), { lines, cursorX: Number(x), cursorY: Number(y), title: title.join(" ") }];
}

function fitting(commands: readonly Command[], used: number): Command[] {
  let bytes = used;
  return commands.filter((command) => {
    bytes += callBytes([command]);
    return bytes <= LONGEST_CALL;
  });
}

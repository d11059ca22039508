import { isServerGone, refused } from "./faults.js";
import { labelCommand, type PaneLabels } from "./look.js";
import { type Pane, paneListing } from "./panes.js";
import { type Command, LONGEST_CALL, quoteCommands, type Run, uniqueWord } from "./run.js";
import { type CaptureOptions, captureCommands, parseScreen, type Screen } from "./screens.js";

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

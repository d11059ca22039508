import type { Pane } from "../../tmux/panes.js";
import { promptLine } from "./prompt-line.js";
import { COMMON_RULES, holdsCursor, matchCondition, type ScreenReader, type ScreenRule } from "./rules.js";
import {
  type Drawing,
  type Layout,
  layOut,
  nonEmpty,
  type Occupant,
  type Row,
  type Screen,
  type ScreenStatus,
  screenRows,
} from "./screen.js";

/** A status with its grounds: the rule of the CLI's table that decided and the rows it decided on. */
export interface Explanation {
  status: ScreenStatus;
  reason: string;
  rule: string;
  evidence: string[];
  /** The composer holds a half-typed text: a prompt sent now would be glued to it. */
  draft: boolean;
}

/**
 * Reads an agent's status from its screen. Never throws; a screen that no rule knows is `needs_input` (rule
 * `unrecognised`), since a person who looks costs less than a dialog that nobody sees.
 */
export function explainScreen(cli: ScreenReader, screen: Screen): Explanation {
  if (hasEnded(screen)) {
    const { reason, evidence } = exitReason(screen);
    return explain(screen, { status: "terminated", reason, rule: "ended" }, evidence);
  }
  if (isStopped(cli, screen.occupant)) {
    return explain(screen, { ...COMMON_RULES.stopped, rule: "process.stopped" }, []);
  }
  if (cli.reading.by === "screen") return readScreen(cli, cli.reading, screen);
  return readProcess(cli.reading.by, screen);
}

/** Whether Ctrl-Z stopped the CLI; some only stop drawing and wait for SIGCONT. */
export function isStoppedBy({ rule }: Pick<Explanation, "rule">): boolean {
  return rule.endsWith(".stopped");
}

/** A stopped job behind a shell agent's prompt, or behind another CLI, is nobody's concern. */
function isStopped({ reading }: ScreenReader, occupant: Occupant | undefined): boolean {
  if (occupant?.stopped === undefined) return false;
  return occupant.stopped === occupant.group || (reading.by === "screen" && occupant.is === "shell");
}

/** What the rules of each of these CLIs see on a screen that may be anyone's; no dialog where one has the cursor in its composer. */
export function readForeign(clis: readonly ScreenReader[], screen: Screen): { cli: string; seen: Explanation }[] {
  const read = clis.flatMap(({ key, reading }) => {
    if (reading.by !== "screen") return [];
    const layout = layOut(reading, screen);
    const seen = readRules(reading.rules, layout);
    return seen === undefined ? [] : [{ cli: key, seen, isComposing: holdsCursor(layout) }];
  });
  const composing = read.filter((one) => one.isComposing && !isDialog(one.seen));
  return composing.length > 0 ? composing : read;
}

/** Whether a known dialog is open, in which an Enter would choose something. */
export function isDialog({ status, rule }: Pick<Explanation, "status" | "rule">): boolean {
  return status === "needs_permission" || (status === "needs_input" && rule !== "unrecognised");
}

/** A pane with its screen, and what the screen rules of its CLI say. */
export interface PaneView {
  pane: Pane;
  screen: Screen;
  verdict: Explanation;
}

type Verdict = Pick<Explanation, "status" | "reason" | "rule">;

function readScreen(
  cli: ScreenReader,
  reading: Drawing & { rules: readonly ScreenRule[] },
  screen: Screen,
): Explanation {
  const layout = layOut(reading, screen);
  const draft = holdsDraft(layout, cli);
  if (fellBackToShell(screen, layout)) {
    const reason = `${cli.key} is gone: ${screen.command} has the pane`;
    return explain(screen, { status: "terminated", reason, rule: "shell" }, layout.regions.screen.slice(-2));
  }
  if (screen.occupant?.is === "script" && !holdsCursor(layout)) {
    const reason = `starting: ${screen.occupant.program} is in front`;
    return explain(screen, { status: "busy", reason, rule: "starting" }, layout.regions.screen.slice(-2));
  }
  return { ...(readRules(reading.rules, layout) ?? unrecognised(screen, layout)), draft };
}

function readRules(rules: readonly ScreenRule[], layout: Layout): Explanation | undefined {
  for (const rule of rules) {
    const rows = matchCondition(rule.when, layout);
    if (!rows) continue;
    const reason = rule.reason.replace("$line", () => clean(rows[0]?.text ?? ""));
    return explain(layout.screen, { status: rule.status, reason, rule: rule.name }, rows);
  }
  return undefined;
}

/** A shell has drawn its prompt. By its name alone that shows only where the CLI's input box is not at the cursor. */
function fellBackToShell(screen: Screen, layout: Layout): boolean {
  if (screen.occupant !== undefined) return screen.occupant.is === "shell" && screen.cursorX > 0;
  if (!isShell(screen.command)) return false;
  if (layout.composer) return screen.cursorY > layout.composer.bottom;
  const last = layout.regions.screen.at(-1);
  return last !== undefined && /[$#%>❯➜»λ✗]\s*$/.test(last.text) && screen.cursorY >= last.index;
}

function unrecognised(screen: Screen, layout: Layout): Explanation {
  const rows = layout.regions.screen;
  if (rows.length > 0) {
    const reason = "no rule knows this screen: look at the pane";
    return explain(screen, { status: "needs_input", reason, rule: "unrecognised" }, rows.slice(-3));
  }
  return explain(screen, { status: "busy", reason: "starting: nothing on the screen yet", rule: "blank" }, []);
}

/** A shell is idle when it is itself in front. A plain command has no turns: while it runs it takes input. */
function readProcess(by: "shell" | "process", screen: Screen): Explanation {
  const { occupant } = screen;
  const line = screen.text === "" ? [] : [{ index: screen.cursorY, text: promptLine(screen) }];
  const command = occupant?.program || screen.command || "(unknown)";
  if (by === "process") {
    return explain(screen, { status: "idle", reason: `${command} runs and takes input`, rule: "process.alive" }, []);
  }
  if (occupant ? occupant.is === "shell" : isShell(screen.command)) {
    return explain(screen, { status: "idle", reason: `${command} waits for a command`, rule: "shell.front" }, line);
  }
  return explain(screen, { status: "busy", reason: command, rule: "shell.program" }, []);
}

function explain(screen: Screen, verdict: Verdict, rows: readonly Row[]): Explanation {
  const evidence = rows.slice(0, 8).map((row) => row.text.slice(0, 300));
  return { ...verdict, evidence: evidence.length > 0 ? evidence : [`command: ${screen.command}`], draft: false };
}

/** A row's words: without the glyphs and frames around them, and without what stands at the row's other end. */
function clean(text: string): string {
  const words = text.replace(/^[^\p{L}\p{N}[{"'/$(]+/u, "").split(/ {3,}/, 1)[0] ?? "";
  return words.replace(/[\s─│┃]+$/u, "").slice(0, 200);
}

const SHELLS = new Set([
  "sh",
  "bash",
  "zsh",
  "fish",
  "dash",
  "ash",
  "ksh",
  "mksh",
  "tcsh",
  "csh",
  "nu",
  "xonsh",
  "pwsh",
]);

/** Whether a program's name is that of a shell (`-bash` is a login shell). */
export function isShell(command: string): boolean {
  return SHELLS.has(command.replace(/^-/, "").split("/").at(-1) ?? "");
}

/** tmux writes this row into a pane whose program has ended while `remain-on-exit` keeps the pane. */
const DEAD_PANE = /^Pane is dead(?: \((.*)\))?/;
const COMPLAINT =
  /\b(?:error|errors|fail\w*|fatal|panic|unable|cannot|can't|could not|couldn't|not found|no such|denied|refused|invalid|missing|required|unknown|unsupported|exception)\b/i;

/** Whether the pane's program has ended. */
export function hasEnded(screen: Screen): boolean {
  if (screen.dead) return true;
  const last = nonEmpty(screenRows(screen)).at(-1);
  return last !== undefined && DEAD_PANE.test(last.text) && screen.command === "";
}

/** Why it ended: tmux's exit status and the first complaint among its last words. */
export function exitReason(screen: Screen): { reason: string; evidence: Row[] } {
  const rows = nonEmpty(screenRows(screen)).slice(-12);
  const words = rows.filter((row) => !DEAD_PANE.test(row.text));
  const how = rows.map((row) => DEAD_PANE.exec(row.text)?.[1]).find((text) => text !== undefined);
  const why = words.find((row) => COMPLAINT.test(row.text)) ?? words.at(-1);
  const status = /status \d+|signal \S+/.exec(how ?? "")?.[0];
  const ended = status ? `the program ended with ${status}` : "the program ended";
  return {
    reason: why ? `${ended}: ${why.text.trim().slice(0, 200)}` : ended,
    evidence: [...(why ? [why] : []), ...rows.filter((row) => DEAD_PANE.test(row.text))],
  };
}

/**
 * Whether the composer holds a text that someone typed and did not send. The cursor shows it: away from the empty
 * composer's column, or below its first row. A cursor that was moved back home is seen through by what stands there:
 * the placeholder's words, or faint ones, were not typed.
 */
function holdsDraft({ composer, screen }: Layout, cli: ScreenReader): boolean {
  if (!composer) return false;
  const home = cli.homeColumn(screen);
  if (screen.cursorY > composer.input && screen.cursorY <= composer.bottom) return true;
  if (screen.cursorY === composer.input && screen.cursorX !== home) return true;
  const words = screenRows(screen)[composer.input]?.text.slice(home).trim() ?? "";
  return !cli.placeholder?.test(words) && showsTypedText(screen, composer.input, home);
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

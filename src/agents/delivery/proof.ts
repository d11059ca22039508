import { open, stat } from "node:fs/promises";
import type { RowOf } from "../../db/write.js";
import type { Host } from "../../host.js";
import { pasteText } from "../../tmux/input.js";
import type { AgentCli } from "../clis/cli.js";
import { type FeedEvent, readFeed } from "../feed.js";
import { plainText, transcriptPath } from "../files.js";
import { layOut, type Screen, screenRows } from "../screen/screen.js";
import { explainScreen, type PaneView } from "../screen/verdict.js";
import type { DeliveryRow } from "./outbox.js";

/** The state before the paste, which a proof is compared with, possibly by another process later. */
export interface Baseline {
  /** Bytes of the pane's transcript; null when there is none. */
  transcript: number | null;
}

/** What proved a delivery, in words; undefined while nothing does. */
export type Proof = string | undefined;

/** Hooks and mu may read slightly different times. */
const CLOCK_SLACK_MS = 50;

export async function takeBaseline(host: Host, agent: RowOf<"agents">): Promise<Baseline> {
  const found = await stat(transcriptPath(host.stateDir, agent)).catch(() => undefined);
  return { transcript: found?.size ?? null };
}

/** Proof that stays available: the agent's own events and, for programs that echo, the pane's transcript. */
export async function proveByRecords(
  host: Host,
  { agent, cli, row }: { agent: RowOf<"agents">; cli: AgentCli; row: DeliveryRow },
): Promise<Proof> {
  const feed = await readFeed(host, { row: agent, seen: undefined }, cli);
  const since = Date.parse(row.pasted_at ?? row.created_at) - CLOCK_SLACK_MS;
  const receipt = provedByFeed(row.text, feed.events, since);
  if (receipt !== undefined) return `${receipt.event.event} at ${new Date(receipt.event.at).toISOString()}`;
  if (cli.proof.by !== "echo" || row.baseline === null) return undefined;
  const { transcript } = JSON.parse(row.baseline) as Baseline;
  if (transcript === null) return undefined;
  const printed = await readFrom(transcriptPath(host.stateDir, agent), transcript);
  return isEchoed(printed, row.text) ? "the pane's transcript contains its echo" : undefined;
}

/** What the screen proves, `before` the paste, with the text seen in the composer (`held`), and `after` Enter. */
export function proveByScreen(
  cli: AgentCli,
  text: string,
  { before, held, after }: { before: PaneView; held: PaneView | undefined; after: PaneView },
): Proof {
  if (provedByScreen(cli, before.screen, after.screen, text)) {
    return cli.proof.by === "echo" ? "its echo appeared at the cursor" : `the prompt was taken`;
  }
  if (held === undefined || cli.reading.by !== "screen" || after.verdict.draft) return undefined;
  if (countOnScreen(text, after) > countOnScreen(text, before) && isQuestion(after)) {
    return "a question appeared below the prompt";
  }
  const above = (look: PaneView) => cli.reading.by === "screen" && layOut(cli.reading, look.screen);
  const [then, now] = [above(held), above(after)];
  if (!then || !now || now.composer === undefined || after.verdict.status === "terminated") return undefined;
  const textOf = (rows: readonly { text: string }[]) => rows.map((row) => row.text).join("\n");
  if (textOf(now.regions.above) === textOf(then.regions.above)) return undefined;
  return "the prompt left the composer";
}

export function isQuestion({ verdict }: PaneView): boolean {
  return verdict.status === "needs_permission" || (verdict.status === "needs_input" && verdict.rule !== "unrecognised");
}

/** This many characters at the start or end of a text identify it. */
const DISTINCTIVE = 200;

/** How often the end of the text is on the screen, ignoring blanks: rows wrap at the pane's width. */
function countOnScreen(text: string, { screen }: PaneView): number {
  const end = squeeze(pasteText(text)).slice(-DISTINCTIVE);
  return squeeze(screen.text).split(end).length - 1;
}

/**
 * Whether a terminal's stream holds the text's start and end and went on to another line behind it. What lies between
 * may be mixed with what the program prints meanwhile. Blanks do not count: lines wrap.
 */
function isEchoed(stream: string, text: string): boolean {
  const printed = squeeze(plainText(stream).split("\n").slice(0, -1).join("\n"));
  const lines = pasteText(text).split("\n").map(squeeze).filter(Boolean);
  const start = printed.indexOf((lines[0] ?? "").slice(0, DISTINCTIVE));
  return start >= 0 && printed.indexOf((lines.at(-1) ?? "").slice(-DISTINCTIVE), start) >= 0;
}

function squeeze(text: string): string {
  return text.replace(/\s+/g, "");
}

/** At most this much is searched for an echo (bytes). */
const MAX_ECHO = 8 * 1024 * 1024;

/** The file from `position` on; all of it if the file has been rotated since. */
async function readFrom(path: string, position: number): Promise<string> {
  const file = await open(path, "r").catch(() => undefined);
  if (file === undefined) return "";
  try {
    const { size } = await file.stat();
    const start = position > size ? 0 : position;
    const bytes = Buffer.alloc(Math.min(size - start, MAX_ECHO));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, start);
    return bytes.subarray(0, bytesRead).toString("utf8");
  } finally {
    await file.close();
  }
}

/**
 * How an event proves a text: it is the prompt (`exact`), it stands for it with a paste shown as a placeholder
 * (`collapsed`), or it holds the text among other words, such as a draft that was in the composer (`within`).
 */
export interface Receipt {
  how: "exact" | "collapsed" | "within";
  event: FeedEvent;
}

/** The first prompt since `sinceAt` (ms since the epoch) that proves that `text` arrived. */
export function provedByFeed(text: string, feed: readonly FeedEvent[], sinceAt: number): Receipt | undefined {
  const wanted = normalisePrompt(text);
  const prompts = feed.filter((event) => event.kind === "prompt" && event.at >= sinceAt);
  for (const how of ["exact", "collapsed", "within"] as const) {
    const event = prompts.find((prompt) => FITS[how](wanted, normalisePrompt(prompt.text ?? "")));
    if (event) return { how, event };
  }
  return undefined;
}

/**
 * A prompt as it compares: what pasting and the CLIs change is taken out. pi and Claude turn tabs into four blanks,
 * Claude wraps pastes in `<pasted_content>`, tmux turns CR into LF, and mu takes control characters out.
 */
export function normalisePrompt(text: string): string {
  return text
    .replace(/\r\n?/g, "\n")
    .replace(/<pasted_content id="[^"\n]{0,64}">\n|\n<\/pasted_content(?: id="[^"\n]{0,64}")?>\n?/g, "\n")
    .replace(CONTROL, "")
    .replace(/\t/g, "    ")
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")
    .trim();
}

/** Bracketed-paste marks and other CSI sequences, then what is left of C0 and C1 except tab and line feed. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
const CONTROL = /\u001b\[[0-9;?]{0,16}[@-~]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** A shorter text stands in too many prompts by chance. */
const MIN_WITHIN = 16;

const FITS = {
  exact: (wanted: string, prompt: string) => wanted === prompt,
  collapsed: fitsCollapsed,
  within: (wanted: string, prompt: string) => wanted.length >= MIN_WITHIN && prompt.includes(wanted),
};

/** What the five CLIs draw in place of a paste; Claude cuts very long ones with `[...Truncated text #1 +9 lines...]`. */
const PLACEHOLDER = /\[(?:\.{3})?(?:Pasted|Truncated|paste)\b[^\]\n]{0,60}\]/i;
const LINE_COUNT = /(\d{1,7}) lines/;

/** The words around the placeholder are the text's own, and what it hides has as many lines as it says. */
function fitsCollapsed(wanted: string, prompt: string): boolean {
  const shown = PLACEHOLDER.exec(prompt);
  if (!shown) return false;
  const before = prompt.slice(0, shown.index);
  const after = prompt.slice(shown.index + shown[0].length);
  const hidden = wanted.length - before.length - after.length;
  if (hidden <= 0 || !wanted.startsWith(before) || !wanted.endsWith(after)) return false;
  const count = LINE_COUNT.exec(shown[0])?.[1];
  if (count === undefined) return before + after !== "" || /\b\d{1,8} chars\b/.test(shown[0]);
  const breaks = wanted.slice(before.length, before.length + hidden).split("\n").length - 1;
  return Math.abs(Number(count) - breaks) <= 1;
}

/**
 * Whether two looks at a pane, before the paste and after Enter, prove that the CLI took `text`: the composer is empty
 * again and the CLI turned busy or shows the prompt as queued; for a shell, the text stands behind the cursor's former
 * position and the cursor went on. A dialog proves nothing: the text may have gone into it.
 */
export function provedByScreen(cli: AgentCli, before: Screen, after: Screen, text: string): boolean {
  if (cli.proof.by === "echo") return echoes(before, after, text);
  if (cli.reading.by !== "screen") return false;
  const layout = layOut(cli.reading, after);
  const seen = explainScreen(cli, after);
  const { pasted, queued } = cli.proof;
  if (!layout.composer || seen.draft || layout.regions.composer.some((row) => pasted.test(row.text))) return false;
  if (queued && countRows(after, queued) > countRows(before, queued)) return true;
  return seen.status === "busy" && explainScreen(cli, before).status === "idle";
}

function countRows(screen: Screen, pattern: RegExp): number {
  return screenRows(screen).filter((row) => pattern.test(row.text)).length;
}

/** The rows above the cursor say how far the screen has scrolled; behind its former position stands the text. */
function echoes(before: Screen, after: Screen, text: string): boolean {
  const [old, rows] = [screenRows(before).map((row) => row.text), screenRows(after).map((row) => row.text)];
  const prompt = (old[before.cursorY] ?? "").slice(0, before.cursorX).trimEnd();
  const wanted = compact(normalisePrompt(text));
  if (wanted === "" || isUnchanged(before, after) || waitsForEnter(rows[after.cursorY] ?? "", prompt, wanted))
    return false;
  for (let scrolled = 0; scrolled <= before.cursorY; scrolled++) {
    const row = before.cursorY - scrolled;
    const same = rows.slice(0, row).every((line, index) => line === old[index + scrolled]);
    if (!same || !rows[row]?.startsWith(prompt) || after.cursorY <= row) continue;
    const shown = [rows[row].slice(prompt.length), ...rows.slice(row + 1, after.cursorY)].join("\n");
    if (compact(shown).startsWith(wanted)) return true;
  }
  return scrolledAway(rows.slice(0, after.cursorY), text);
}

function isUnchanged(before: Screen, after: Screen): boolean {
  return before.text === after.text && before.cursorX === after.cursorX && before.cursorY === after.cursorY;
}

/** The text is in the line that is still being edited. */
function waitsForEnter(row: string, prompt: string, wanted: string): boolean {
  const typed = compact(row.slice(prompt.length));
  return row.startsWith(prompt) && typed !== "" && wanted.startsWith(typed);
}

/** Blanks do not count: rows wrap at the pane's width, and a shell marks continued lines. */
function compact(text: string): string {
  return text.replace(/^[>.…]+ /gm, "").replace(/\s+/g, "");
}

/** A text longer than the screen leaves its last lines there; three of them, in their order, are its echo. */
function scrolledAway(rows: readonly string[], text: string): boolean {
  const lines = normalisePrompt(text).split("\n").map(compact).filter(Boolean);
  if (lines.length <= rows.length) return false;
  const shown = compact(rows.join("\n"));
  return shown.includes(lines.slice(-3).join(""));
}

import { open, stat } from "node:fs/promises";
import type { RowOf } from "../../db/write.js";
import type { Host } from "../../host.js";
import { pasteText } from "../../tmux/input.js";
import type { AgentCli } from "../clis/cli.js";
import { DETAILS, type FeedEvent, foldFeed } from "../feed.js";
import { plainText, transcriptPath } from "../files.js";
import { layOut, type Screen, screenRows } from "../screen/screen.js";
import { explainScreen, isDialog, type PaneView } from "../screen/verdict.js";
import { DELIVERED_EVENT, readRange, readSpool, spoolPath, spoolSize } from "../spool.js";
import type { DeliveryRow } from "./outbox.js";

/** The state before the paste, which a proof is compared with, possibly by another process later. */
export interface Baseline {
  /** Bytes of the pane's transcript; null when there is none. */
  transcript: number | null;
  /** Bytes of the agent's spool. */
  spool: number;
  /** How often the screen showed the text as a prompt that was taken. */
  turns: number;
}

/** What is known, in words; undefined while nothing is. */
export type Proof = string | undefined;

/** What records say of a delivery: its receiver took it, or a terminal echoed it. */
export type Evidence = { as: "prove" | "echo"; why: string } | undefined;

/** Hooks and mu may read slightly different times. */
const CLOCK_SLACK_MS = 50;

/** `before` is the pane that is typed into, if any. */
export async function takeBaseline(
  { stateDir }: Host,
  agent: RowOf<"agents">,
  { cli, text, before }: { cli: AgentCli; text: string; before?: PaneView },
): Promise<Baseline> {
  const turns = before === undefined ? 0 : countTurns(cli, text, before);
  const spool = await spoolSize(spoolPath(stateDir, agent.id));
  return { transcript: before === undefined ? null : await transcriptSize(stateDir, agent), spool, turns };
}

async function transcriptSize(stateDir: string, agent: RowOf<"agents">): Promise<number | null> {
  return (await stat(transcriptPath(stateDir, agent)).catch(() => undefined))?.size ?? null;
}

/** Whether the agent's pane has printed nothing at all since the text was typed: nobody has read it yet. */
export async function isUnread(host: Host, agent: RowOf<"agents">, row: DeliveryRow): Promise<boolean> {
  const { transcript = null } = readBaseline(row.baseline);
  return transcript !== null && transcript === (await transcriptSize(host.stateDir, agent));
}

function readBaseline(baseline: string | null): Partial<Baseline> {
  return JSON.parse(baseline ?? "{}");
}

/** Evidence that stays available: the agent's own events and, for programs that echo, the pane's transcript. */
export async function findEvidence(
  host: Host,
  { agent, cli, row }: { agent: RowOf<"agents">; cli: AgentCli; row: DeliveryRow },
): Promise<Evidence> {
  const { spool, transcript = null } = readBaseline(row.baseline);
  const feed = await feedSince(host, { agent, cli }, spool);
  const since = Date.parse(row.pasted_at ?? row.created_at) - CLOCK_SLACK_MS;
  const event = provedByFeed(row.text, feed, since)?.event ?? provedByNextEvent(row.text, feed, since);
  if (event !== undefined) return { as: "prove", why: `${event.event} at ${new Date(event.at).toISOString()}` };
  if (cli.proof.by !== "echo" || transcript === null) return undefined;
  const printed = await readFrom(transcriptPath(host.stateDir, agent), transcript);
  return isEchoed(printed, row.text) ? { as: "echo", why: "the pane's transcript contains its echo" } : undefined;
}

/** Read before the paste, too, to know which conversation is the agent's; and no more than the second of these. */
const FEED_BYTES = [64 * 1024, 8 * 1024 * 1024] as const;

/** What the agent reported since its spool had so many bytes, and some before. */
export async function feedSince(
  { stateDir }: Host,
  { agent, cli }: { agent: RowOf<"agents">; cli: AgentCli },
  spool: number | undefined,
): Promise<FeedEvent[]> {
  if (cli.readEvents === undefined) return [];
  const path = spoolPath(stateDir, agent.id);
  const size = await spoolSize(path);
  const grown = spool === undefined || spool > size ? size : size - spool;
  const { events } = await readSpool(path, Math.min(FEED_BYTES[0] + grown, FEED_BYTES[1]));
  return foldFeed(cli, events, agent.session_ref);
}

const GOES_ON: ReadonlySet<string> = new Set(["prompt", "working", "tool", "permission", "question"]);

/** An agent whose stop hook was given the text goes on because of it, unless another prompt comes first. */
export function provedByNextEvent(text: string, feed: readonly FeedEvent[], since: number): FeedEvent | undefined {
  const handed = feed.findLastIndex((one) => one.event === DELIVERED_EVENT && one.text === text && one.at >= since);
  const later = handed < 0 ? [] : feed.slice(handed + 1);
  const next = later.find(({ kind, detail }) => GOES_ON.has(kind) || detail === DETAILS.continued);
  return next?.kind === "prompt" ? undefined : next;
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
  if (countOnScreen(text, after) > countOnScreen(text, before) && isDialog(after.verdict)) {
    return "a question appeared below the prompt";
  }
  const above = (look: PaneView) => cli.reading.by === "screen" && layOut(cli.reading, look.screen);
  const [then, now] = [above(held), above(after)];
  if (!then || !now || now.composer === undefined || after.verdict.status === "terminated") return undefined;
  const textOf = (rows: readonly { text: string }[]) => rows.map((row) => row.text).join("\n");
  if (textOf(now.regions.above) === textOf(then.regions.above)) return undefined;
  return "the prompt left the composer";
}

/** This many characters at the start or end of a text identify it. */
const DISTINCTIVE = 200;

/** How often the end of the text is on the screen, ignoring blanks: rows wrap at the pane's width. */
function countOnScreen(text: string, { screen }: PaneView): number {
  const end = squeeze(pasteText(text)).slice(-DISTINCTIVE);
  return squeeze(screen.text).split(end).length - 1;
}

/** Whether the pane shows by now, over an empty composer, that the text was taken as a prompt. */
export function provedByTurns(cli: AgentCli, { text, baseline }: DeliveryRow, look: PaneView): Proof {
  const { turns } = readBaseline(baseline);
  if (turns === undefined || look.verdict.draft || countTurns(cli, text, look) <= turns) return undefined;
  return "the pane shows it as a prompt that was taken";
}

/** How often the text stands over the composer as a prompt. */
function countTurns({ reading }: AgentCli, text: string, { screen }: PaneView): number {
  if (reading.by !== "screen" || reading.turnStart === undefined) return 0;
  const { turnStart } = reading;
  const rows = layOut(reading, screen).regions.above.map((row) => row.text);
  const start = squeeze(pasteText(text)).slice(0, DISTINCTIVE);
  const textFrom = (at: number) => squeeze(rows.slice(at).join("").replace(turnStart, ""));
  return rows.filter((row, at) => turnStart.test(row) && textFrom(at).startsWith(start)).length;
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

/** The file from `position` on; all of it if the file has been rotated since. It is read at each turn of a wait. */
async function readFrom(path: string, position: number): Promise<string> {
  const file = await open(path, "r").catch(() => undefined);
  if (file === undefined) return "";
  try {
    const { size } = await file.stat();
    const start = position > size ? 0 : position;
    return (await readRange(file, start, Math.min(size - start, MAX_ECHO))).toString("utf8");
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
  const prompts = feed.filter(({ kind, event, at }) => kind === "prompt" && event !== DELIVERED_EVENT && at >= sinceAt);
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
 * again and the CLI turned busy or shows the prompt as queued; for a shell, the screen shows the text once more.
 * A dialog proves nothing: the text may have gone into it.
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

/** The text's last lines stand once more on the screen than before, and not in the line that is still being edited. */
function echoes(before: Screen, after: Screen, text: string): boolean {
  const wanted = compact(normalisePrompt(text).split("\n").filter(Boolean).slice(-3).join("\n"));
  const edited = compact(screenRows(after)[after.cursorY]?.text ?? "");
  if (wanted === "" || edited.endsWith(wanted) || (edited !== "" && wanted.endsWith(edited))) return false;
  return compact(after.text).split(wanted).length > compact(before.text).split(wanted).length;
}

/** Blanks do not count: rows wrap at the pane's width, and a shell marks continued lines. */
function compact(text: string): string {
  return text.replace(/^[>.…]+ /gm, "").replace(/\s+/g, "");
}

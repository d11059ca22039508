import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { RowOf } from "../db/write.js";
import { Fault, ignoreFault } from "../errors.js";
import { type AgentRef, qualifiedName, quote, shellWord } from "../names.js";
import type { Layout } from "../tmux/appearance.js";
import { quoteWord } from "../tmux/run.js";
import { lastLines } from "../tmux/screens.js";
import { writeWhole } from "../whole-file.js";
import { type Agent, latestAgentRow, toAgent } from "./agent.js";
import type { TmuxHost } from "./crew.js";
import { findOwnPane } from "./pane.js";

type Incarnation = Pick<RowOf<"agents">, "id" | "spawned_at">;

/** What it takes to start an agent again as it was. It may hold secrets, so it is a file of its own, mode 0600. */
export interface LaunchRecord {
  /** Command line, as sh reads it. */
  command: string;
  /** Arguments of the user's behind the CLI's own. */
  args: readonly string[];
  /** What the user put into the environment. */
  env: Readonly<Record<string, string>>;
  /** The names of the variables that it was given beside these; their values are not kept. */
  variables?: readonly string[];
  cwd: string;
  /** The agent shares its window with others. */
  shared: boolean;
  layout?: Layout;
  model?: string;
}

/** The file that gets everything the agent's pane prints. */
export function transcriptPath(stateDir: string, agent: Incarnation): string {
  return `${join(stateDir, "transcripts", nameOf(agent))}.log`;
}

/** The file with what the pane showed when it was closed, scrollback and all, as plain text. */
export function lastScreenPath(stateDir: string, agent: Incarnation): string {
  return `${join(stateDir, "transcripts", nameOf(agent))}.txt`;
}

/** The folders of the files below, only for this user. */
export async function prepareFolders(stateDir: string): Promise<void> {
  for (const folder of ["transcripts", "launches"]) {
    await mkdir(join(stateDir, folder), { recursive: true, mode: 0o700 });
  }
}

export async function saveLaunch(stateDir: string, agent: Incarnation, launch: LaunchRecord): Promise<void> {
  await prepareFolders(stateDir);
  await writeWhole(launchPath(stateDir, agent), JSON.stringify(launch));
}

/**
 * How the agent was started; undefined when nobody wrote it down, as for one that was adopted. Faults
 * `agent.launch_damaged`.
 */
export async function readLaunch(stateDir: string, agent: Incarnation & AgentRef): Promise<LaunchRecord | undefined> {
  const path = launchPath(stateDir, agent);
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const launch = parseLaunch(text);
  if (launch !== undefined) return launch;
  const message = `The record of how ${quote(agent.name)} was started is damaged: ${path}. Nothing was started.`;
  const again = `rm ${shellWord(path)} && mu agent restart ${qualifiedName(agent)}`;
  throw new Fault("unavailable", "agent.launch_damaged", message, [
    { intent: "Start it without the arguments and variables that it had", command: again },
  ]);
}

function parseLaunch(text: string): LaunchRecord | undefined {
  try {
    const launch: LaunchRecord = JSON.parse(text);
    const { command, args, env, cwd } = launch;
    const isWhole = typeof command === "string" && Array.isArray(args) && typeof env === "object";
    return isWhole && typeof cwd === "string" ? launch : undefined;
  } catch {
    return undefined;
  }
}

/** Takes away every file of an incarnation that never lived. */
export async function removeFiles(stateDir: string, agent: Incarnation): Promise<void> {
  await removeTranscript(transcriptPath(stateDir, agent));
  for (const path of [launchPath, lastScreenPath]) await rm(path(stateDir, agent), { force: true });
}

function launchPath(stateDir: string, agent: Incarnation): string {
  return `${join(stateDir, "launches", nameOf(agent))}.json`;
}

/** Row ids begin again in every database, and two may share a state folder: the spawn time distinguishes them. */
function nameOf({ id, spawned_at }: Incarnation): string {
  return `${id}-${Date.parse(spawned_at)}`;
}

/** A file is set aside at this many bytes; there are at most two. */
export const TRANSCRIPT_BYTES = 4 * 1024 * 1024;

/**
 * The shell command that keeps what a pane prints in `path` (raw, mode 0600), and the part before it in `path.1`.
 * It ends with the pane. On disk there are never more than twice `limitBytes` plus 4 MiB, however fast the pane
 * prints. Why dd and a loop: docs/decisions/0009-transcripts-are-rotated-by-dd.md.
 */
export function transcriptCommand(path: string, limitBytes = TRANSCRIPT_BYTES): string {
  const script = [
    "umask 077",
    "while :; do",
    '  : >>"$0" || exit 1',
    '  before=$(($(wc -c <"$0")))',
    '  if [ "$before" -ge "$1" ]; then mv -f "$0" "$0.1" || exit 1; before=0; fi',
    '  dd bs=8192 count=256 2>/dev/null >>"$0"',
    '  [ "$(($(wc -c <"$0")))" -gt "$before" ] || exit 0',
    "done",
  ].join("\n");
  return `exec /bin/sh -c ${quoteWord(script)} ${quoteWord(path)} ${limitBytes}`;
}

/** The last `lines` lines of a transcript as plain text, also long after the pane is gone; none when there is no file. */
export async function readTail(path: string, lines: number): Promise<string[]> {
  const newest = await read(path);
  const tail = lastLines(plainLines(newest), lines);
  if (tail.length === lines) return tail;
  return lastLines(plainLines(Buffer.concat([await read(`${path}.1`), newest])), lines);
}

export async function removeTranscript(path: string): Promise<void> {
  await Promise.all([rm(path, { force: true }), rm(`${path}.1`, { force: true })]);
}

/**
 * What a terminal stream says without how it looks: no escape sequences, no control characters, and of a line
 * that was redrawn with carriage returns the last state. Full-screen drawing is not replayed.
 */
export function plainText(raw: string): string {
  return raw
    .replace(SEQUENCES, "")
    .replace(/\r+\n/g, "\n")
    .replace(/^.*\r(?=[^\r\n])/gm, "")
    .replace(CONTROLS, "");
}

/** OSC (a stray one hides no more than its line); DCS, APC, PM and SOS; CSI; the two- and three-byte escapes. */
const SEQUENCES =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are made of them
  /\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[PX^_][^\x1b]*(?:\x1b\\)?|\x1b\[[0-?]*[ -/]*[@-~]?|\x1b[ -/]*[0-~]?/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f]/g;

function plainLines(raw: Buffer): string[] {
  return plainText(raw.toString("utf8"))
    .split("\n")
    .map((line) => line.trimEnd());
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}

export interface Reading {
  agent: Agent;
  /** The last lines, at most as many as were asked for, without the blank ones behind them. */
  lines: string[];
  /** The living pane, what was kept of it when it was closed, or the record of all that it printed. */
  source: "pane" | "screen" | "transcript";
}

/**
 * The last `lines` lines of an agent, also when its pane is gone; with `colours` those of a living pane have their escape
 * sequences. Faults `agent.not_found`, `tmux.failed`.
 */
export async function readAgent(
  host: TmuxHost,
  ref: AgentRef,
  { lines, colours = false }: { lines: number; colours?: boolean },
): Promise<Reading> {
  const row = await latestAgentRow(host.context.store.db, ref);
  const agent = toAgent(row);
  const pane = row.closed_at === null ? await findOwnPane(host, row) : undefined;
  const living = pane && (await host.tmux.readPane(pane.id, lines, colours).catch(ignoreFault("pane.not_found")));
  if (living !== undefined) return { agent, lines: living, source: "pane" };
  const saved = await readSavedScreen(host.stateDir, row);
  if (saved !== undefined) return { agent, lines: lastLines(saved, lines), source: "screen" };
  return { agent, lines: await readTail(transcriptPath(host.stateDir, row), lines), source: "transcript" };
}

/** The lines that `closeAgent` kept; undefined when the agent was not closed by it, or the file was lost. */
async function readSavedScreen(stateDir: string, row: RowOf<"agents">): Promise<string[] | undefined> {
  const text = await readFile(lastScreenPath(stateDir, row), "utf8").catch(() => undefined);
  return text ? text.replace(/\n$/, "").split("\n") : undefined;
}

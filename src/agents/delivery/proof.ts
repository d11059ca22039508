import { open, stat } from "node:fs/promises";
import type { RowOf } from "../../db/write.js";
import { pasteText } from "../../tmux/input.js";
import type { AgentCli } from "../clis/cli.js";
import type { Crew } from "../crew.js";
import { transcriptPath } from "../incarnation-files.js";
import { layOut } from "../screen/layout.js";
import type { Look } from "../status/look.js";
import { readFeed } from "../status/sense.js";
import { plainText } from "../transcript.js";
import { provedByFeed, provedByScreen } from "./receipt.js";
import type { DeliveryRow } from "./rows.js";

/** How the pane stood before the paste: what a proof is measured against, also by somebody who comes later. */
export interface Baseline {
  /** Bytes of the pane's transcript; null when there is none. */
  transcript: number | null;
}

/** What proved a delivery, in words; undefined while nothing does. */
export type Proof = string | undefined;

/** Hooks and mu do not read the clock at the same moment. */
const CLOCK_SLACK_MS = 50;

export async function takeBaseline(crew: Crew, agent: RowOf<"agents">): Promise<Baseline> {
  const found = await stat(transcriptPath(crew.stateDir, agent)).catch(() => undefined);
  return { transcript: found?.size ?? null };
}

/** The proofs that remain after the moment: the agent's own word, and for programs that echo the pane's transcript. */
export async function proveByRecords(
  crew: Crew,
  { agent, cli, row }: { agent: RowOf<"agents">; cli: AgentCli; row: DeliveryRow },
): Promise<Proof> {
  const feed = await readFeed(crew, { row: agent, seen: undefined }, cli);
  const since = Date.parse(row.pasted_at ?? row.created_at) - CLOCK_SLACK_MS;
  const receipt = provedByFeed(row.text, feed.events, since);
  if (receipt !== undefined) return `${receipt.event.event} at ${new Date(receipt.event.at).toISOString()}`;
  if (cli.proof.by !== "echo" || row.baseline === null) return undefined;
  const { transcript } = JSON.parse(row.baseline) as Baseline;
  if (transcript === null) return undefined;
  const printed = await readFrom(transcriptPath(crew.stateDir, agent), transcript);
  return isEchoed(printed, row.text) ? "the pane's transcript holds its echo" : undefined;
}

/** What the screen proves, `before` the paste, with the text seen in the composer (`held`), and `after` Enter. */
export function proveByScreen(
  cli: AgentCli,
  text: string,
  { before, held, after }: { before: Look; held: Look | undefined; after: Look },
): Proof {
  if (provedByScreen(cli, before.screen, after.screen, text)) {
    return cli.proof.by === "echo" ? "its echo stands behind the cursor's former place" : `the prompt was taken`;
  }
  if (held === undefined || cli.reading.by !== "screen" || after.verdict.draft) return undefined;
  if (standsAbove(text, after) > standsAbove(text, before) && isQuestion(after)) {
    return "a question opened under the prompt";
  }
  const above = (look: Look) => cli.reading.by === "screen" && layOut(cli.reading, look.screen);
  const [then, now] = [above(held), above(after)];
  if (!then || !now || now.composer === undefined || after.verdict.status === "terminated") return undefined;
  const textOf = (rows: readonly { text: string }[]) => rows.map((row) => row.text).join("\n");
  if (textOf(now.regions.above) === textOf(then.regions.above)) return undefined;
  return "the prompt left the composer";
}

export function isQuestion({ verdict }: Look): boolean {
  return verdict.status === "needs_permission" || (verdict.status === "needs_input" && verdict.rule !== "unrecognised");
}

/** So many characters of a text's start or end tell it from others. */
const TELLING = 200;

/** How often the end of the text stands on the screen. Blanks do not count: rows wrap at the pane's width. */
function standsAbove(text: string, { screen }: Look): number {
  const end = squeeze(pasteText(text)).slice(-TELLING);
  return squeeze(screen.text).split(end).length - 1;
}

/**
 * Whether a terminal's stream holds the text's start and end and went on to another line behind it. What lies between
 * may be mixed with what the program prints meanwhile. Blanks do not count: lines wrap.
 */
function isEchoed(stream: string, text: string): boolean {
  const printed = squeeze(plainText(stream).split("\n").slice(0, -1).join("\n"));
  const lines = pasteText(text).split("\n").map(squeeze).filter(Boolean);
  const start = printed.indexOf((lines[0] ?? "").slice(0, TELLING));
  return start >= 0 && printed.indexOf((lines.at(-1) ?? "").slice(-TELLING), start) >= 0;
}

function squeeze(text: string): string {
  return text.replace(/\s+/g, "");
}

/** A stream that grew beyond this is no echo any more. */
const MAX_ECHO = 8 * 1024 * 1024;

/** What stands behind `position` in a file; all of it when the file was begun anew since. */
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

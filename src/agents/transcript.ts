import { readFile, rm } from "node:fs/promises";
import { quoteWord } from "../tmux/run.js";

/** One file holds so many bytes before it is set aside; there are two at most. */
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
  const tail = lastLines(plainText(newest.toString("utf8")), lines);
  if (tail.length === lines) return tail;
  const both = Buffer.concat([await read(`${path}.1`), newest]);
  return lastLines(plainText(both.toString("utf8")), lines);
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

function lastLines(text: string, count: number): string[] {
  const lines = text.split("\n").map((line) => line.trimEnd());
  const end = lines.findLastIndex((line) => line !== "") + 1;
  return lines.slice(Math.max(0, end - count), end);
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}

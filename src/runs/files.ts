import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ProjectSettings } from "../project/settings.js";
import { redactStream } from "../redact.js";
import { isObject } from "../shape.js";
import { writeWhole } from "../whole-file.js";

/** Names the kept output of a run, and with `turn` that of one of its turns. */
export interface Kept {
  stateDir: string;
  run: number;
  /** When the run was reserved: tells apart the runs of one id in two databases. */
  key: string;
  turn?: number;
}

/** The folder of a run's output. */
export function runFolder({ stateDir, run, key }: Kept): string {
  return join(stateDir, "runs", `${run}-${key.replace(/[^0-9]/g, "")}`);
}

export const outputPath = (kept: Kept, stream: "stdout" | "stderr") =>
  join(runFolder(kept), `${kept.turn ?? 1}.${stream}`);

/** How many bytes of a stream are kept: its start, and its end. */
const HEAD = 4 << 20;
const TAIL = 4 << 20;

/** The end of a stream that its file could not take, as on a full disk. */
export interface Unkept {
  /** Why, as `ENOSPC`. */
  problem: string;
  text: string;
}

/**
 * Keeps a stream of any length, without these secrets, as a file with its start and its end, written as it comes. From a
 * write that fails on, the end is kept in memory, and `close` gives it.
 */
export function keepStream(
  path: string,
  secrets: readonly string[],
): { add(chunk: Uint8Array): void; close(): Unkept | undefined } {
  const redacted = redactStream(secrets);
  const file = keepBytes(path);
  const memory = keepEnd();
  let problem: string | undefined;
  const add = (chunk: Uint8Array) => {
    if (problem !== undefined) return memory.add(chunk);
    try {
      file.add(chunk);
    } catch (error) {
      problem = (error as NodeJS.ErrnoException).code ?? String(error);
      memory.add(chunk.subarray(file.took()));
    }
  };
  return {
    add: (chunk) => add(redacted.add(chunk)),
    close() {
      add(redacted.end());
      file.close();
      return problem === undefined ? undefined : { problem, text: memory.text() };
    },
  };
}

/** Keeps the last bytes of what is added. */
function keepEnd(): { add(chunk: Uint8Array): void; text(): string } {
  let parts: Uint8Array[] = [];
  let size = 0;
  const end = () => Buffer.concat(parts).subarray(-TAIL);
  return {
    add(chunk) {
      parts.push(chunk);
      size += chunk.length;
      if (size <= 2 * TAIL) return;
      parts = [end()];
      size = TAIL;
    },
    text: () => end().toString("utf8"),
  };
}

function keepBytes(path: string): { add(chunk: Uint8Array): void; took(): number; close(): void } {
  const file = openSync(path, "w", 0o600);
  let size = 0;
  let at = HEAD;
  let before = 0;
  return {
    /** How many bytes of the last chunk are in the file. */
    took: () => size - before,
    add(chunk) {
      before = size;
      for (let rest = chunk; rest.length > 0; ) {
        if (at >= HEAD + TAIL) at = HEAD;
        const place = size < HEAD ? size : at;
        const part = rest.subarray(0, (size < HEAD ? HEAD : HEAD + TAIL) - place);
        const wrote = writeSync(file, part, 0, part.length, place);
        if (size >= HEAD) at += wrote;
        size += wrote;
        rest = rest.subarray(wrote);
      }
      if (size > HEAD + TAIL) writeSync(file, `\n${size} ${at}\n`, HEAD + TAIL);
    },
    close: () => closeSync(file),
  };
}

/** The kept text of a stream; of one that was too long with a line that says how much is missing. Empty if there is none. */
export async function readStream(path: string): Promise<string> {
  const bytes = await readFile(path).catch(() => Buffer.alloc(0));
  if (bytes.length <= HEAD + TAIL) return bytes.toString("utf8");
  const [, size = "", at = ""] = /^\n(\d+) (\d+)\n/.exec(bytes.subarray(HEAD + TAIL).toString("latin1")) ?? [];
  const place = Number(at);
  const tail = Buffer.concat([bytes.subarray(place, HEAD + TAIL), bytes.subarray(HEAD, place)]);
  const missing = Number(size) - HEAD - TAIL;
  return `${bytes.subarray(0, HEAD).toString("utf8")}\n… ${missing} bytes left out …\n${tail.toString("utf8")}`;
}

const settingsPath = (kept: Kept) => join(runFolder(kept), "settings.json");

/** Keeps what a run goes by that starts while its project's settings file is broken: the last good settings. */
export const saveSettings = (kept: Kept, settings: ProjectSettings) =>
  writeWhole(
    settingsPath(kept),
    JSON.stringify({ ...settings, notifications: { ...settings.notifications, ntfyTopic: "" } }),
  );

/** Undefined where the run goes by its project's file. */
export const savedSettings = (kept: Kept): Promise<ProjectSettings | undefined> =>
  readFile(settingsPath(kept), "utf8").then(JSON.parse, () => undefined);

/** How the program of a run ended. */
export interface Ending {
  exitCode: number | null;
  timedOut: boolean;
  interrupted: boolean;
  notStarted?: string | undefined;
  /** UTC ISO 8601. */
  endedAt?: string;
}

const endingPath = (kept: Kept) => join(runFolder(kept), `${kept.turn ?? 1}.json`);

export const prepareRunFolder = (kept: Kept) => mkdirSync(runFolder(kept), { recursive: true, mode: 0o700 });

export const saveEnding = (kept: Kept, ending: Ending) => writeWhole(endingPath(kept), JSON.stringify(ending));

/** Undefined where nobody saw it end, and where the file is damaged. */
export async function readEnding(kept: Kept): Promise<Ending | undefined> {
  try {
    const found: unknown = JSON.parse(await readFile(endingPath(kept), "utf8"));
    return isObject(found) ? (found as unknown as Ending) : undefined;
  } catch {
    return undefined;
  }
}

import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
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

/** Keeps a stream of any length, without these secrets, as a file with its start and its end, written as it comes. */
export function keepStream(path: string, secrets: readonly string[]): { add(chunk: Uint8Array): void; close(): void } {
  const redacted = redactStream(secrets);
  const file = keepBytes(path);
  return {
    add: (chunk) => file.add(redacted.add(chunk)),
    close() {
      file.add(redacted.end());
      file.close();
    },
  };
}

function keepBytes(path: string): { add(chunk: Uint8Array): void; close(): void } {
  const file = openSync(path, "w", 0o600);
  let size = 0;
  let at = HEAD;
  return {
    add(chunk) {
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

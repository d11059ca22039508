import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The line that starts the stub of pi. */
export const STUB_PI = `${process.execPath} ${fileURLToPath(new URL("./stub-pi.mjs", import.meta.url))}`;

/** What a stub of pi has noted in a file. */
export interface PiNote {
  pid: number;
  args?: string[];
  prompt?: string;
  child?: number;
  abort?: true;
}

export function piNotes(log: string): PiNote[] {
  if (!existsSync(log)) return [];
  return readFileSync(log, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** The stubs that were started. */
export const piStarts = (log: string) => piNotes(log).filter(({ args }) => args !== undefined);

import { stripVTControlCharacters } from "node:util";

/** The end of a program's output, as it is kept. */
export interface Tail {
  add(chunk: Uint8Array): void;
  /** The last lines as text: what is no UTF-8 becomes U+FFFD, colours and overwritten lines are left out. */
  text(): string;
}

const NEWLINE = 0x0a;
const CUT = Buffer.from("…");

/** Keeps the last `lines` lines, and of a longer one its last `bytes` bytes, however much comes. */
export function tailOf({ lines, bytes }: { lines: number; bytes: number }): Tail {
  const whole: Buffer[] = [];
  let open: Buffer = Buffer.alloc(0);

  const extend = (more: Buffer) => {
    const line = Buffer.concat([open, more]);
    open = line.length <= bytes ? line : Buffer.concat([CUT, line.subarray(startOfLetter(line, line.length - bytes))]);
  };
  const end = () => {
    whole.push(open);
    if (whole.length > lines) whole.shift();
    open = Buffer.alloc(0);
  };
  return {
    add(chunk) {
      let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      const skipped = startOfLast(rest, lines);
      if (skipped > 0) {
        whole.length = 0;
        open = Buffer.alloc(0);
        rest = rest.subarray(skipped);
      }
      for (let at = rest.indexOf(NEWLINE); at >= 0; at = rest.indexOf(NEWLINE)) {
        extend(rest.subarray(0, at));
        end();
        rest = rest.subarray(at + 1);
      }
      extend(rest);
    },
    text() {
      const kept = open.length > 0 ? [...whole, open].slice(-lines) : whole;
      return kept.map((line) => asShown(line.toString("utf8"))).join("\n");
    },
  };
}

/** Where the last `lines` lines of a chunk begin; what stands before them need not be looked at. */
function startOfLast(chunk: Buffer, lines: number): number {
  let at = chunk.length;
  for (let seen = 0; seen <= lines; seen++) {
    if (at <= 0) return 0;
    at = chunk.lastIndexOf(NEWLINE, at - 1);
    if (at < 0) return 0;
  }
  return at + 1;
}

/** The next place from `at` on that is not inside a letter of several bytes. */
function startOfLetter(line: Buffer, at: number): number {
  let start = at;
  while (start < at + 4 && ((line[start] ?? 0) & 0xc0) === 0x80) start++;
  return start;
}

/** A line as a terminal leaves it: the last of what was written over itself, without colours. */
function asShown(line: string): string {
  const plain = stripVTControlCharacters(line).replace(/\r+$/, "");
  return plain.slice(plain.lastIndexOf("\r") + 1);
}

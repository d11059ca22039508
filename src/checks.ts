import { stripVTControlCharacters } from "node:util";
import type { Clock } from "./clock.js";
import { Fault } from "./errors.js";
import type { Exec } from "./exec.js";
import { quote } from "./names.js";
import { endGroup, endProcessTree } from "./processes.js";

interface CheckWorld {
  exec: Exec;
  env: Readonly<Record<string, string | undefined>>;
  context: { clock: Clock };
}

export interface CheckOptions {
  /** A command line for `/bin/sh`. */
  command: string;
  cwd: string;
  /** Added to this process's environment; undefined removes a variable. */
  env?: Readonly<Record<string, string | undefined>>;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  /** Called with the output of both streams. */
  onOutput?: ((chunk: Uint8Array) => void) | undefined;
}

export interface CheckRun {
  /** Null if a signal, the timeout or `signal` ended it. */
  exitCode: number | null;
  timedOut: boolean;
  /** True if `signal` ended it. */
  interrupted: boolean;
  seconds: number;
  /** The last 50 lines, each cut to its last 1,000 bytes. */
  tail: string;
}

const TAIL = { lines: 50, bytes: 1000 };
/** How long a command may take to exit when its request is aborted, in ms. */
const INTERRUPTED_MS = 100;

/**
 * Runs a command to its end in its own process session, with both output streams merged. Kills all its processes on
 * timeout and on `signal`, and what is left of its process group when it exits; only daemons outlive it. Faults
 * `check.not_started` (unavailable) if the folder is gone or the command contains a NUL.
 */
export async function runCheck(world: CheckWorld, options: CheckOptions): Promise<CheckRun> {
  if (options.signal?.aborted) return NOT_RUN;
  const { clock } = world.context;
  const tail = tailOf(TAIL);
  const watch = watchdog(world, options);
  const began = clock.now().getTime();
  const result = await world.exec("/bin/sh", ["-c", 'exec /bin/sh -c "$1" 2>&1', "sh", options.command], {
    cwd: options.cwd,
    signal: options.signal,
    env: { ...withoutRepository(world.env), ...options.env },
    onOutput(chunk) {
      tail.add(chunk);
      options.onOutput?.(chunk);
    },
    onStart: watch.started,
    async onExit(pid) {
      await watch.exited();
      await endGroup(world, pid, { signal: options.signal });
    },
  });
  if (result.notStarted !== undefined) throw notStarted(options, result.notStarted);
  const ended = watch.reason();
  return {
    exitCode: ended === undefined ? result.code : null,
    timedOut: ended === "timeout",
    interrupted: ended === "signal",
    seconds: Math.max(0, clock.now().getTime() - began) / 1000,
    tail: tail.text(),
  };
}

const NOT_RUN: CheckRun = {
  exitCode: null,
  timedOut: false,
  interrupted: true,
  seconds: 0,
  tail: "",
};

/** Kills the command on timeout or on `signal`, and remembers which it was. */
function watchdog(world: CheckWorld, { timeoutMs, signal }: CheckOptions) {
  let timer: NodeJS.Timeout | undefined;
  let why: "timeout" | "signal" | undefined;
  let ending: Promise<unknown> | undefined;
  let end: ((reason: "timeout" | "signal") => void) | undefined;
  const aborted = () => end?.("signal");
  return {
    started(pid: number) {
      end = (reason) => {
        why ??= reason;
        ending ??= endProcessTree(world, { pid }, reason === "signal" ? { graceMs: INTERRUPTED_MS } : { signal });
      };
      timer = setTimeout(() => end?.("timeout"), timeoutMs);
      signal?.addEventListener("abort", aborted, { once: true });
    },
    async exited() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", aborted);
      await ending;
    },
    reason: () => why,
  };
}

/** Set in hooks that run mu; the repository must be found from the folder instead. */
const LOCATIONS = [
  "GIT_DIR",
  "GIT_WORK_TREE",
  "GIT_INDEX_FILE",
  "GIT_PREFIX",
  "GIT_OBJECT_DIRECTORY",
  "GIT_COMMON_DIR",
];

function withoutRepository(env: CheckWorld["env"]): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !LOCATIONS.includes(name)));
}

function notStarted({ command, cwd }: CheckOptions, reason: string): Fault {
  return new Fault(
    "unavailable",
    "check.not_started",
    `The check ${quote(command)} could not be started in ${cwd} (${reason}).`,
  );
}

/** The end of a program's output. */
interface Tail {
  add(chunk: Uint8Array): void;
  /** The last lines as text, without colors and overwritten lines; invalid UTF-8 becomes U+FFFD. */
  text(): string;
}

const NEWLINE = 0x0a;
const CUT = Buffer.from("…");

/** Keeps the last `lines` lines, and of longer ones the last `bytes` bytes. */
export function tailOf({ lines, bytes }: { lines: number; bytes: number }): Tail {
  const whole: Buffer[] = [];
  let open: Buffer = Buffer.alloc(0);

  const extend = (more: Buffer) => {
    const line = Buffer.concat([open, more]);
    open =
      line.length <= bytes ? line : Buffer.concat([CUT, line.subarray(startOfCharacter(line, line.length - bytes))]);
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

/** The start of the last `lines` lines of a chunk. */
function startOfLast(chunk: Buffer, lines: number): number {
  let at = chunk.length;
  for (let seen = 0; seen <= lines; seen++) {
    if (at <= 0) return 0;
    at = chunk.lastIndexOf(NEWLINE, at - 1);
    if (at < 0) return 0;
  }
  return at + 1;
}

/** The first position from `at` on that is not inside a multi-byte character. */
function startOfCharacter(line: Buffer, at: number): number {
  let start = at;
  while (start < at + 4 && ((line[start] ?? 0) & 0xc0) === 0x80) start++;
  return start;
}

/** A line as a terminal shows it. */
function asShown(line: string): string {
  const plain = stripVTControlCharacters(line).replace(/\r+$/, "");
  return plain.slice(plain.lastIndexOf("\r") + 1);
}

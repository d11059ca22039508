import { stripVTControlCharacters } from "node:util";
import type { Clock } from "./clock.js";
import { Fault } from "./errors.js";
import type { Exec } from "./exec.js";
import { quote } from "./names.js";
import { endGroup, endProcessTrees, findProcess } from "./processes.js";
import { redactStream, secretsIn } from "./redact.js";

interface CheckWorld {
  exec: Exec;
  env: Readonly<Record<string, string | undefined>>;
  context: { clock: Clock };
}

export interface ProgramOptions {
  file: string;
  args: readonly string[];
  /** Its standard input; none without it. */
  input?: string | undefined;
  cwd: string;
  /** Added to this process's environment; undefined removes a variable. */
  env?: Readonly<Record<string, string | undefined>>;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  /** Called with the output of both streams. */
  onOutput?: ((chunk: Uint8Array, from: "stdout" | "stderr") => void) | undefined;
}

export interface CheckOptions extends Omit<ProgramOptions, "file" | "args" | "input"> {
  /** A command line for `/bin/sh`. */
  command: string;
}

export interface ProgramRun {
  /** Null if a signal, the timeout or `signal` ended it. */
  exitCode: number | null;
  timedOut: boolean;
  /** True if `signal` ended it. */
  interrupted: boolean;
  seconds: number;
}

export interface CheckRun extends ProgramRun {
  /** The last 50 lines without secrets, each cut to its last 1,000 bytes. */
  tail: string;
}

const TAIL = { lines: 50, bytes: 1000 };
/** How long a command may take to exit when its request is aborted, in ms. */
const INTERRUPTED_MS = 100;

/**
 * Runs a command to its end, with both output streams merged; as `runProgram`. Faults `check.not_started` (unavailable)
 * if the folder is gone or the command contains a NUL.
 */
export async function runCheck(world: CheckWorld, { command, ...options }: CheckOptions): Promise<CheckRun> {
  const tail = tailOf(TAIL);
  const redacted = redactStream(secretsIn({ ...world.env, ...options.env }));
  const run = await runProgram(world, {
    ...options,
    file: "/bin/sh",
    args: ["-c", 'exec /bin/sh -c "$1" 2>&1', "sh", command],
    onOutput(chunk, from) {
      tail.add(redacted.add(chunk));
      options.onOutput?.(chunk, from);
    },
  });
  if (run.notStarted !== undefined) throw notStarted(command, options.cwd, run.notStarted);
  tail.add(redacted.end());
  return { ...run, tail: tail.text() };
}

/**
 * Runs a program to its end in its own process session. Kills all its processes on timeout and on `signal`, and what is
 * left of its process group when it exits; only daemons outlive it. `notStarted` says why it could not be started.
 */
export async function runProgram(
  world: CheckWorld,
  { file, args, signal, timeoutMs, onOutput = () => {}, ...options }: ProgramOptions,
): Promise<ProgramRun & { notStarted?: string }> {
  if (signal?.aborted) return NOT_RUN;
  const { clock } = world.context;
  let ended: "timeout" | "signal" | undefined;
  let ending: Promise<unknown> | undefined;
  let stopWatching = () => {};
  const began = clock.now().getTime();
  const result = await world.exec(file, args, {
    ...{ cwd: options.cwd, input: options.input, signal, onOutput },
    env: { ...withoutRepository(world.env), ...options.env },
    onStart(pid) {
      const end = (why: "timeout" | "signal") => {
        ended ??= why;
        ending ??= endProcessTrees(world, [{ pid }], why === "signal" ? { graceMs: INTERRUPTED_MS } : { signal });
      };
      const aborted = () => end("signal");
      const stopTimer = afterAwake(world, pid, timeoutMs, () => end("timeout"));
      signal?.addEventListener("abort", aborted, { once: true });
      stopWatching = () => {
        stopTimer();
        signal?.removeEventListener("abort", aborted);
      };
    },
    async onExit(pid) {
      stopWatching();
      await ending;
      await endGroup(world, pid, { signal });
    },
  });
  return {
    exitCode: ended === undefined ? result.code : null,
    timedOut: ended === "timeout",
    interrupted: ended === "signal",
    seconds: Math.max(0, clock.now().getTime() - began) / 1000,
    ...(result.notStarted !== undefined && { notStarted: result.notStarted }),
  };
}

const TICK_MS = 1_000;

/** Calls `act` once the process has had `ms`: neither a machine's sleep nor a stopped process counts. Gives what ends it. */
function afterAwake(world: CheckWorld, pid: number, ms: number, act: () => void): () => void {
  let left = ms;
  let timer: NodeJS.Timeout;
  let isOver = false;
  const wait = () => {
    const step = Math.min(left, TICK_MS);
    timer = setTimeout(async () => {
      const found = await findProcess(world, { pid }).catch(() => undefined);
      if (isOver) return;
      if (!found?.stopped) left -= step;
      if (left > 0) wait();
      else act();
    }, step);
  };
  wait();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

const NOT_RUN: ProgramRun = { exitCode: null, timedOut: false, interrupted: true, seconds: 0 };

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

function notStarted(command: string, cwd: string, reason: string): Fault {
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

/** `…` in UTF-8, a character a byte. */
const CUT = "\xe2\x80\xa6";

/** Keeps the last `lines` lines, and of longer ones the last `bytes` bytes. */
export function tailOf({ lines, bytes }: { lines: number; bytes: number }): Tail {
  // A character a byte.
  let kept = "";
  const cut = (line: string) =>
    line.length <= bytes ? line : CUT + line.slice(-bytes).replace(INSIDE_OF_CHARACTER, "");
  const last = () =>
    afterNewline(kept, lines + 1)
      .split("\n")
      .map(cut);
  return {
    add(chunk) {
      kept += Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString("latin1");
      if (kept.length > 2 * lines * bytes) kept = last().join("\n");
    },
    text() {
      const found = last();
      if (found.at(-1) === "") found.pop();
      const shown = found.slice(-lines).map((line) => asShown(Buffer.from(line, "latin1").toString("utf8")));
      return shown.join("\n");
    },
  };
}

/** The rest of a character of several bytes, whose start was cut off. */
const INSIDE_OF_CHARACTER = /^[\x80-\xbf]{1,3}/;

/** What follows the `count`th newline from the end; all of the text if it has fewer. */
function afterNewline(text: string, count: number): string {
  let at = text.length;
  for (let seen = 0; seen < count; seen++) {
    at = at === 0 ? -1 : text.lastIndexOf("\n", at - 1);
    if (at < 0) return text;
  }
  return text.slice(at + 1);
}

/** A line as a terminal shows it. */
function asShown(line: string): string {
  const plain = stripVTControlCharacters(line).replace(/\r+$/, "");
  return plain.slice(plain.lastIndexOf("\r") + 1);
}

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { execa } from "execa";
import { interrupted } from "./errors.js";

/** How a program ended. `code` is null if a signal or the timeout ended it. */
export interface ExecResult {
  code: number | null;
  stdout: string;
  stderr: string;
  timedOut: boolean;
  /** The error code if the program could not be started, for example `ENOENT`. */
  notStarted?: string;
}

export interface ExecOptions {
  cwd?: string | undefined;
  /** The child's whole environment; default: ours. */
  env?: Readonly<Record<string, string | undefined>> | undefined;
  input?: string | Uint8Array | undefined;
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
  /** What `signal` and the timeout end it with; `SIGTERM` without it. */
  endWith?: "SIGTERM" | "SIGKILL" | undefined;
  /**
   * Called with the output of both streams, which is not kept. The program then leads its own process session, and this
   * returns when it exits, even if other processes keep its output open. `signal` ends only the wait for that output.
   */
  onOutput?: ((chunk: Uint8Array, from: "stdout" | "stderr") => void) | undefined;
  /** With `onOutput`: called when it has started. */
  onStart?(pid: number): void;
  /** With `onOutput`: called when it has exited, before its output is closed. */
  onExit?(pid: number): Promise<void>;
}

/** Runs a program to its end. Does not throw if it fails, hangs or is missing. */
export type Exec = (file: string, args: readonly string[], options?: ExecOptions) => Promise<ExecResult>;

export const execProgram: Exec = async (file, args, options = {}) => {
  if (args.some((arg) => arg.includes("\0"))) return NO_ARGUMENT;
  if (options.onOutput !== undefined) return streamProgram(file, args, options, options.onOutput);
  const program = begin(() =>
    execa(file, args, {
      ...surroundings(options),
      stripFinalNewline: false,
      ...(options.input !== undefined ? { input: options.input } : { stdin: "ignore" as const }),
      ...(options.timeoutMs !== undefined && { timeout: options.timeoutMs }),
      ...(options.signal && { cancelSignal: options.signal, forceKillAfterDelay: FORCE_MS }),
      ...(options.endWith && { killSignal: options.endWith }),
    }),
  );
  if (program instanceof NotBegun) return { ...ENDED, code: null, notStarted: await program.code };
  // What it has started may keep its output open when it is ended.
  program.once("exit", () => {
    if (program.killed) for (const output of [program.stdout, program.stderr]) output?.destroy();
  });
  const result = await program;
  const started = result.exitCode !== undefined || result.isTerminated || result.timedOut;
  return {
    code: result.exitCode ?? null,
    stdout: String(result.stdout ?? ""),
    stderr: String(result.stderr ?? ""),
    timedOut: result.timedOut,
    ...(!started && { notStarted: result.code ?? "ENOENT" }),
  };
};

class NotBegun {
  constructor(readonly code: Promise<string>) {}
}

/**
 * Starts a program. When no file descriptor is left, Node returns a child without streams, on which execa throws a
 * `TypeError`; the real cause follows a tick later, as an `error` event of a child that nobody could reach.
 */
function begin<T>(start: () => T): T | NotBegun {
  try {
    return start();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return new NotBegun(causeOf(error));
  }
}

/** Starts that failed and whose cause has not come yet, oldest first: each event is one of theirs. */
const failed: ((code: string) => void)[] = [];

function hear(cause: NodeJS.ErrnoException): void {
  const resolve = cause.syscall?.startsWith("spawn") ? failed.shift() : undefined;
  if (resolve === undefined) throw cause;
  resolve(cause.code ?? "EMFILE");
}

function causeOf(error: TypeError): Promise<string> {
  return new Promise((resolve, reject) => {
    failed.push(resolve);
    if (!process.listeners("uncaughtException").includes(hear)) process.on("uncaughtException", hear);
    setImmediate(() => {
      if (failed.includes(resolve)) failed.splice(failed.indexOf(resolve), 1);
      if (failed.length === 0) process.off("uncaughtException", hear);
      reject(error);
    });
  });
}

/** How long a program that is ended may take, in ms. */
const FORCE_MS = 150;

/**
 * Programs that are at work when `signal` is aborted are ended, and fault `request.interrupted`: half an answer is none.
 * What is started after that tidies up, and what has `onOutput` is watched by its caller.
 */
export function interruptible(exec: Exec, signal: AbortSignal): Exec {
  return async (file, args, options = {}) => {
    if (signal.aborted || options.onOutput !== undefined) return exec(file, args, options);
    const both = options.signal ? AbortSignal.any([options.signal, signal]) : signal;
    const result = await exec(file, args, { ...options, signal: both });
    if (signal.aborted && result.code === null) throw interrupted();
    return result;
  };
}

function surroundings({ env, cwd }: ExecOptions) {
  return {
    reject: false,
    extendEnv: env === undefined,
    ...(env && { env }),
    cwd: cwd ?? currentFolder(),
  } as const;
}

/** How long to wait for output that stays open after the program has exited, in ms. */
const DRAIN_MS = 500;

async function streamProgram(
  file: string,
  args: readonly string[],
  options: ExecOptions,
  onOutput: NonNullable<ExecOptions["onOutput"]>,
): Promise<ExecResult> {
  const child = begin(() =>
    execa(file, args, {
      ...surroundings(options),
      buffer: false,
      encoding: "buffer",
      detached: true,
      cleanup: false,
      ...(options.input !== undefined ? { input: options.input } : { stdin: "ignore" as const }),
    }),
  );
  if (child instanceof NotBegun) return { ...ENDED, code: null, notStarted: await child.code };
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const outputs = [child.stdout, child.stderr];
  const closed = outputs.map((output) => new Promise((resolve) => output.once("close", resolve)));
  child.stdout.on("data", (chunk) => onOutput(chunk, "stdout"));
  child.stderr.on("data", (chunk) => onOutput(chunk, "stderr"));
  for (const output of outputs) output.on("error", () => {});
  const settled = child.then((result) => result.code ?? "ENOENT");
  if (child.pid === undefined) return { ...ENDED, code: null, notStarted: await settled };

  options.onStart?.(child.pid);
  const code = await exited;
  await options.onExit?.(child.pid);
  const late = pause(DRAIN_MS, undefined, { ref: false, ...(options.signal && { signal: options.signal }) });
  await Promise.race([Promise.all(closed), late.catch(() => {})]);
  for (const output of outputs) output.destroy();
  return { ...ENDED, code };
}

const ENDED = { stdout: "", stderr: "", timedOut: false };

/** Our folder may have been deleted, as when an agent closes itself in its workspace; programs cannot start there. */
function currentFolder(): string {
  const folder = process.cwd();
  return existsSync(folder) ? folder : "/";
}

/** Arguments cannot contain a NUL. */
const NO_ARGUMENT: ExecResult = { code: null, stdout: "", stderr: "", timedOut: false, notStarted: "EINVAL" };

/** Runs a program on the terminal, such as an editor, and gives its exit code. */
export async function execOnTerminal(
  file: string,
  args: readonly string[],
  env?: ExecOptions["env"],
): Promise<number | null> {
  const { exitCode } = await execa(file, args, {
    stdio: "inherit",
    reject: false,
    extendEnv: env === undefined,
    ...(env && { env }),
  });
  return exitCode ?? null;
}

/** Starts a Node program that outlives this one: in a session of its own, without input and output. */
export function startDetached(words: readonly string[], options: { env: NodeJS.ProcessEnv; cwd: string }): void {
  const child = spawn(process.execPath, words, { ...options, detached: true, stdio: "ignore" });
  child.on("error", () => undefined).unref();
}

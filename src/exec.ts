import { existsSync } from "node:fs";
import type { Readable } from "node:stream";
import { execa } from "execa";

/** How a program ended. `code` is null when a signal or the timeout ended it. */
export interface ExecResult {
  code: number | null;
  stdout: string;
  stderr: string;
  timedOut: boolean;
  /** The operating system's word when the program could not be started at all, for example `ENOENT`. */
  notStarted?: string;
}

export interface ExecOptions {
  cwd?: string;
  /** The whole environment of the child; without it the child inherits ours. */
  env?: Readonly<Record<string, string | undefined>>;
  input?: string | Uint8Array | Readable;
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** Runs one program to its end. A program that fails, hangs or is missing is an answer, never a throw. */
export type Exec = (file: string, args: readonly string[], options?: ExecOptions) => Promise<ExecResult>;

export const execProgram: Exec = async (file, args, options = {}) => {
  if (args.some((arg) => arg.includes("\0"))) return NO_ARGUMENT;
  const result = await execa(file, args, {
    reject: false,
    stripFinalNewline: false,
    extendEnv: options.env === undefined,
    ...(options.env && { env: options.env }),
    cwd: options.cwd ?? currentFolder(),
    ...(options.input !== undefined
      ? options.input instanceof Uint8Array || typeof options.input === "string"
        ? { input: options.input }
        : { input: options.input }
      : { stdin: "ignore" as const }),
    ...(options.timeoutMs !== undefined && { timeout: options.timeoutMs }),
    ...(options.signal && { cancelSignal: options.signal }),
  });
  const started = result.exitCode !== undefined || result.isTerminated || result.timedOut;
  return {
    code: result.exitCode ?? null,
    stdout: String(result.stdout ?? ""),
    stderr: String(result.stderr ?? ""),
    timedOut: result.timedOut,
    ...(!started && { notStarted: result.code ?? "ENOENT" }),
  };
};

/** A program cannot be started in a folder that was removed under us, as an agent's workspace is when it closes itself. */
function currentFolder(): string {
  const folder = process.cwd();
  return existsSync(folder) ? folder : "/";
}

/** No program can be given an argument with a NUL in it. */
const NO_ARGUMENT: ExecResult = { code: null, stdout: "", stderr: "", timedOut: false, notStarted: "EINVAL" };

/** Runs a program that takes over the terminal, such as an editor, and gives its exit code. */
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

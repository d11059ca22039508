import { existsSync } from "node:fs";
import { Fault } from "../errors.js";
import type { ExecResult } from "../exec.js";
import { quote, shellWord } from "../names.js";
import type { VcsWorld } from "./vcs.js";

interface ProgramOptions {
  cwd?: string;
  input?: string;
  /** Overrides variables of this process's environment. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Exit codes other than 0 that are not failures. */
  okCodes?: readonly number[];
}

/** How a program ended; `code` is one the caller accepts. */
export interface ProgramResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** The longest that a copy or a checkout may take, in ms. */
const TIMEOUT_MS = 1_800_000;

const LOCKED = /timed out waiting for lock|waiting for lock on|concurrent checkout|lock held by|could not lock/i;

/** Runs a program to its end, with English messages. Faults as `programFault`, and `vcs.locked`. */
export async function runProgram(
  world: VcsWorld,
  program: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  const { cwd, input, okCodes = [] } = options;
  const result = await world.exec(program, args, {
    env: { ...world.env, LC_MESSAGES: "C", LANGUAGE: undefined, LC_ALL: undefined, ...options.env },
    timeoutMs: TIMEOUT_MS,
    cwd,
    input,
  });
  const { code, stdout, stderr } = result;
  if (code !== null && (code === 0 || okCodes.includes(code))) return { code, stdout, stderr };
  const details = { command: [program, ...args.slice(0, 20)], exitCode: code };
  if (LOCKED.test(stderr)) {
    const message = `Another ${program} holds the lock: ${errorText(stderr)}.`;
    throw new Fault("unavailable", "vcs.locked", message, [], details);
  }
  throw programFault(program, result, { verb: program, cwd, details });
}

/** Why a program failed: faults `vcs.not_installed`, `vcs.no_folder`, `vcs.no_space`, else `vcs.failed`. */
export function programFault(
  program: string,
  { stderr, notStarted, code, timedOut }: Omit<ExecResult, "timedOut"> & { timedOut?: boolean },
  { verb, cwd, details }: { verb: string; cwd: string | undefined; details?: Record<string, unknown> },
): Fault {
  if (notStarted !== undefined && cwd !== undefined && !existsSync(cwd)) return noFolder(cwd);
  if (notStarted !== undefined)
    return new Fault("unavailable", "vcs.not_installed", `${program} could not be started (${notStarted}).`, [
      { intent: "Check that it is on the path", command: `command -v ${shellWord(program)}` },
    ]);
  if (/no space left|dis[ck] quota|ENOSPC/i.test(stderr)) return noSpace(cwd, details);
  const how = timedOut ? "timed out" : code === null ? "was killed" : "failed";
  return new Fault("unavailable", "vcs.failed", `${verb} ${how}: ${errorText(stderr)}`, [], details);
}

const MOVED = { intent: "If the project was moved, run this in its new folder", command: "mu workstream set root ." };

export function noFolder(path: string): Fault {
  return new Fault("missing", "vcs.no_folder", `The folder ${quote(path)} does not exist.`, [MOVED], { path });
}

function noSpace(folder: string | undefined, details?: Record<string, unknown>): Fault {
  return new Fault(
    "unavailable",
    "vcs.no_space",
    `No space left on the disk${folder === undefined ? "" : ` for ${quote(folder)}`}.`,
    [{ intent: "Check the disk", command: `df -h ${folder === undefined ? "" : shellWord(folder)}`.trim() }],
    details,
  );
}

export function pathTaken(path: string): Fault {
  return new Fault("conflict", "vcs.path_taken", `${quote(path)} exists and is not empty.`, [
    { intent: "See what is in it", command: `ls -lA ${shellWord(path)}` },
  ]);
}

/** Progress and advice. */
const NOISE = /^(hint|warning|remote|Preparing worktree|Updating files|Filtering content|HEAD is now|Cloning)\b/i;

/** The error messages in `stderr` on one line, after what a filter or hook said before them; without prefixes and hints. */
export function errorText(stderr: string): string {
  const lines = stderr
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/^hint:/i.test(line));
  const isError = (line: string) => /^(error|abort|internal error|fatal|caused by):/i.test(line);
  const errors = lines.filter(isError);
  const cause = lines.slice(0, lines.findIndex(isError)).filter((line) => !NOISE.test(line));
  const chosen = errors.length > 0 ? [...cause.slice(-2), ...new Set(errors)] : lines.slice(-3);
  const text = chosen.map((line) => line.replace(/^(fatal|error|abort): /i, "")).join("; ");
  return text === "" ? "no error message" : text.length > 600 ? `${text.slice(0, 599)}…` : text;
}

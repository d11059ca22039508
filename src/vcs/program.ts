import { existsSync } from "node:fs";
import { Fault } from "../errors.js";
import type { ExecResult } from "../exec.js";
import { quote, shellWord } from "../names.js";
import type { VcsWorld } from "./vcs.js";

interface ProgramOptions {
  cwd?: string;
  input?: string;
  /** Variables over this process's own. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Exit codes that are an answer and not a failure, besides 0. */
  okCodes?: readonly number[];
  timeoutMs?: number;
}

/** The longest that a copy or a checkout may take, in ms. */
const TIMEOUT_MS = 1_800_000;

/**
 * Runs a program to its end, with English messages. Faults `vcs.not_installed`, `vcs.no_folder`, `vcs.no_space`,
 * `vcs.locked`, `vcs.failed` with the program's own words.
 */
export async function runProgram(
  world: VcsWorld,
  program: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { cwd, input, okCodes = [], timeoutMs = TIMEOUT_MS } = options;
  const result = await world.exec(program, args, {
    env: { ...world.env, LC_MESSAGES: "C", LANGUAGE: undefined, LC_ALL: undefined, ...options.env },
    timeoutMs,
    ...(cwd !== undefined && { cwd }),
    ...(input !== undefined && { input }),
  });
  const { code, stdout, stderr } = result;
  if (code !== null && (code === 0 || okCodes.includes(code))) return { code, stdout, stderr };
  throw programFault(program, args, result, cwd);
}

function programFault(program: string, args: readonly string[], result: ExecResult, cwd?: string): Fault {
  const { stderr, notStarted, timedOut, code } = result;
  const details = { command: [program, ...args.slice(0, 20)], exitCode: code };
  if (notStarted !== undefined && cwd !== undefined && !existsSync(cwd))
    return new Fault("missing", "vcs.no_folder", `The folder ${quote(cwd)} is not there.`, [], { path: cwd });
  if (notStarted !== undefined)
    return new Fault("unavailable", "vcs.not_installed", `${program} could not be started (${notStarted}).`, [
      { intent: "See whether it is on the path", command: `command -v ${shellWord(program)}` },
    ]);
  if (/no space left|disk quota exceeded|ENOSPC/i.test(stderr)) return noSpace(cwd, details);
  const words = lastWords(stderr);
  if (/timed out waiting for lock|waiting for lock on|concurrent checkout|lock held by|could not lock/i.test(stderr))
    return new Fault("unavailable", "vcs.locked", `Another ${program} is at work: ${words}`, [], details);
  const how = timedOut ? "took too long" : code === null ? "was ended before it was done" : "failed";
  return new Fault("unavailable", "vcs.failed", `${program} ${how}: ${words}`, [], details);
}

/** The fault of a full disk, at `folder` where that is known. */
export function noSpace(folder: string | undefined, details: Record<string, unknown> = {}): Fault {
  return new Fault(
    "unavailable",
    "vcs.no_space",
    `There is no space left on the disk${folder === undefined ? "" : ` for ${quote(folder)}`}.`,
    [{ intent: "See how full the disk is", command: `df -h ${folder === undefined ? "" : shellWord(folder)}`.trim() }],
    details,
  );
}

/** The fault of a checkout's place where something else is. */
export function pathTaken(path: string): Fault {
  return new Fault("conflict", "vcs.path_taken", `${quote(path)} is not empty, and is no checkout of ours.`, [
    { intent: "See what is in it", command: `ls -lA ${shellWord(path)}` },
  ]);
}

/** What a program complained of, short enough for one message. */
export function lastWords(stderr: string): string {
  const lines = stderr
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/^hint:/i.test(line));
  const complaints = lines.filter((line) => /^(error|abort|internal error|fatal|caused by):/i.test(line));
  const words = (complaints.length > 0 ? complaints : lines.slice(-3)).join("; ");
  return words === "" ? "it did not say why" : words.length > 600 ? `${words.slice(0, 599)}…` : words;
}

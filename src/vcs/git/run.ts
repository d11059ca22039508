import { existsSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { Fault } from "../../errors.js";
import type { ExecResult } from "../../exec.js";
import { quote, shellWord } from "../../names.js";
import type { VcsWorld } from "../vcs.js";

export interface GitOptions {
  /** What git reads on its standard input. */
  input?: string | Uint8Array;
  /** Variables over the cleaned environment, for example `GIT_INDEX_FILE`. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds until git is ended; ten minutes without it. */
  timeoutMs?: number;
  /** Exit codes that are an answer and not a failure, besides 0. */
  okCodes?: readonly number[];
  /** True when git may take locks that it could do without (refreshing an index, say). */
  locks?: boolean;
}

export interface GitResult {
  code: number;
  stdout: string;
  stderr: string;
}

const TIMEOUT_MS = 600_000;
/** How long we wait for somebody else's lock, in milliseconds, before each next try. */
const LOCK_WAITS = [100, 200, 400, 800];

/**
 * Runs git in `cwd`, never asking anybody anything and deaf to where the caller's own git variables point. Waits a
 * moment for a lock. Faults `vcs.not_installed`, `vcs.no_folder` (`cwd` is gone), `vcs.locked` with the lock's path,
 * `vcs.no_space`, `vcs.failed` with git's own words.
 */
export async function runGit(
  world: VcsWorld,
  cwd: string,
  args: readonly string[],
  options: GitOptions = {},
): Promise<GitResult> {
  for (const pause of [...LOCK_WAITS, null]) {
    const result = await world.exec("git", args, {
      cwd,
      env: { ...gitEnvironment(world.env, options.locks), ...options.env },
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
      ...(options.input !== undefined && { input: options.input }),
    });
    if (result.code === 0 || (result.code !== null && options.okCodes?.includes(result.code)))
      return { code: result.code, stdout: result.stdout, stderr: result.stderr };
    if (pause === null || lockIn(result.stderr) === undefined) throw gitFault(cwd, args, result);
    await wait(pause);
  }
  throw new Error("unreachable: the last try returns or throws");
}

/** The first line that git prints. Faults as `runGit`. */
export async function gitLine(
  world: VcsWorld,
  cwd: string,
  args: readonly string[],
  options: GitOptions = {},
): Promise<string> {
  const { stdout } = await runGit(world, cwd, args, options);
  return stdout.split("\n", 1)[0] ?? "";
}

/**
 * Runs a few gits in one shell: starting a program from Node costs more than most gits do. Gives what they printed, or
 * undefined when the shell did not end with 0.
 */
export async function runGits(
  world: VcsWorld,
  cwd: string,
  script: string,
  args: readonly string[],
): Promise<string | undefined> {
  const env = gitEnvironment(world.env);
  const { code, stdout } = await world.exec("sh", ["-c", script, "sh", ...args], { cwd, env, timeoutMs: TIMEOUT_MS });
  return code === 0 ? stdout : undefined;
}

/** For plumbing on behalf of nobody: before the verb. */
export const NO_HOOKS = ["-c", "core.hooksPath=/dev/null"];

/** Variables that say where the caller's repository is, or change what the words we give git mean. */
const FOREIGN =
  /^GIT_(DIR|WORK_TREE|IMPLICIT_WORK_TREE|INDEX_FILE|PREFIX|COMMON_DIR|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|NAMESPACE|GRAFT_FILE|SHALLOW_FILE|REPLACE_REF_BASE|NO_REPLACE_OBJECTS|CONFIG|INTERNAL_SUPER_PREFIX|QUARANTINE_PATH|REFLOG_ACTION|EXTERNAL_DIFF|DIFF_OPTS|DEFAULT_HASH|(LITERAL|GLOB|NOGLOB|ICASE)_PATHSPECS|TRACE.*)$/;

/** Our environment for git: the person's own, without locations, prompts and editors, with English messages. */
function gitEnvironment(env: VcsWorld["env"], locks?: boolean): Record<string, string | undefined> {
  const kept = Object.entries(env).filter(([name]) => !FOREIGN.test(name));
  return {
    ...Object.fromEntries(kept),
    // Hooks and filters keep the person's encoding: only the language of the messages is ours.
    LC_ALL: undefined,
    LC_CTYPE: env["LC_ALL"] || env["LC_CTYPE"],
    LC_MESSAGES: "C",
    LANGUAGE: undefined,
    GIT_TERMINAL_PROMPT: "0",
    GIT_EDITOR: "true",
    GIT_SEQUENCE_EDITOR: "true",
    GIT_MERGE_AUTOEDIT: "no",
    ...(!locks && { GIT_OPTIONAL_LOCKS: "0" }),
  };
}

/** The lock file that stood in git's way; undefined when it was something else. */
function lockIn(stderr: string): string | undefined {
  return /(?:Unable to create|could not lock config file|unable to lock) '?([^'\n]*?\.lock|[^':\n]+)'?: File exists/.exec(
    stderr,
  )?.[1];
}

/** Why a run of git failed, for a caller that let its exit code pass. */
export function gitFault(cwd: string, args: readonly string[], result: Omit<ExecResult, "timedOut">): Fault {
  const verb = `git ${args
    .filter((arg) => !arg.startsWith("-") && !arg.includes("="))
    .slice(0, 2)
    .join(" ")}`;
  const details = { command: ["git", ...args], cwd, exitCode: result.code };
  if (result.notStarted !== undefined) return notStarted(cwd, result.notStarted);
  const lock = lockIn(result.stderr);
  if (lock !== undefined) return locked(lock, verb, details);
  if (/No space left on device|Disk quota exceeded/.test(result.stderr)) return noSpace(cwd, details);
  const how = result.code === null ? "was ended before it was done" : "failed";
  return new Fault("unavailable", "vcs.failed", `${verb} ${how}: ${gitWords(result.stderr)}`, [], details);
}

/** What git said that matters: its own complaints, without prefixes and advice, on one line. */
export function gitWords(stderr: string): string {
  const lines = stderr
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("hint:"));
  const complaints = lines.filter((line) => /^(fatal|error):/.test(line));
  const chosen = complaints.length > 0 ? complaints : lines.slice(-3);
  return chosen.map((line) => line.replace(/^(fatal|error): /, "")).join("; ") || "it did not say why";
}

function notStarted(cwd: string, word: string): Fault {
  if (word === "ENOENT" && !existsSync(cwd))
    return new Fault("missing", "vcs.no_folder", `The folder ${quote(cwd)} is not there.`, [], { path: cwd });
  return new Fault("unavailable", "vcs.not_installed", `git could not be started (${word}): is it installed?`);
}

function locked(lock: string, verb: string, details: Record<string, unknown>): Fault {
  return new Fault(
    "unavailable",
    "vcs.locked",
    `${verb} could not go on: ${quote(lock)} is there, so another git is at work, or one was killed. ` +
      "When no git runs there any more, remove that file and run this again.",
    [{ intent: "See since when the lock is there", command: `ls -l ${shellWord(lock)}` }],
    { ...details, lock },
  );
}

function noSpace(cwd: string, details: Record<string, unknown>): Fault {
  return new Fault(
    "unavailable",
    "vcs.no_space",
    `There is no space left on the disk for ${quote(cwd)}.`,
    [{ intent: "See how full the disk is", command: `df -h ${shellWord(cwd)}` }],
    details,
  );
}

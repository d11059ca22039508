import { rm, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { Fault } from "../../errors.js";
import type { ExecResult } from "../../exec.js";
import { quote, shellWord } from "../../names.js";
import { type ProgramResult, programFault } from "../program.js";
import type { VcsWorld } from "../vcs.js";

export interface GitOptions {
  input?: string | Uint8Array | undefined;
  /** Added to the cleaned environment, for example `GIT_INDEX_FILE`. */
  env?: Readonly<Record<string, string | undefined>>;
  /** In ms; ten minutes by default. */
  timeoutMs?: number;
  /** Exit codes other than 0 that are not failures. */
  okCodes?: readonly number[] | "any";
  /** Lets git take optional locks, for example to refresh an index. */
  locks?: boolean;
  /** Nobody else writes this branch of mu's. A lock on it that stays was left by a killed git, and is removed at any age. */
  alone?: boolean;
}

const TIMEOUT_MS = 600_000;
/** Pauses before each retry while another process holds a lock, in ms. */
export const LOCK_WAITS = [100, 200, 400, 800];

/**
 * Runs git in `cwd` without prompts, ignoring the caller's git variables. Retries while a lock is held; one that a killed
 * git left on a ref of mu's own is removed. Faults as
 * `programFault`, and `vcs.locked` with the lock's path.
 */
export async function runGit(
  world: VcsWorld,
  cwd: string,
  args: readonly string[],
  options: GitOptions = {},
): Promise<ProgramResult> {
  for (const pause of [...LOCK_WAITS, null]) {
    const result = await world.exec("git", args, {
      cwd,
      env: { ...gitEnvironment(world.env, options.locks), ...options.env },
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
      input: options.input,
    });
    const { code, stdout, stderr } = result;
    if (code !== 0 && pause !== null && isTransient(stderr)) {
      await wait(pause);
      if (pause === LOCK_WAITS.at(-1)) await removeOwnLock(cwd, lockIn(stderr), options.alone);
      continue;
    }
    const isOk = code === 0 || options.okCodes === "any" || options.okCodes?.includes(code ?? -1);
    if (code !== null && isOk) return { code, stdout, stderr };
    throw gitFault(cwd, args, result);
  }
  throw new Error("unreachable: the last attempt returns or throws");
}

/** The first line of git's output. */
export async function gitLine(
  world: VcsWorld,
  cwd: string,
  args: readonly string[],
  options: GitOptions = {},
): Promise<string> {
  const { stdout } = await runGit(world, cwd, args, options);
  return stdout.split("\n", 1)[0] ?? "";
}

/** The lines of git's output, without empty ones. */
export async function gitLines(world: VcsWorld, cwd: string, args: readonly string[]): Promise<string[]> {
  return (await runGit(world, cwd, args)).stdout.split("\n").filter(Boolean);
}

/** The entries of git's output if they end with NUL (`-z`), without empty ones. */
export async function gitEntries(
  world: VcsWorld,
  cwd: string,
  args: readonly string[],
  options: GitOptions = {},
): Promise<string[]> {
  return (await runGit(world, cwd, args, options)).stdout.split("\0").filter(Boolean);
}

/** The commit that `ref` names; undefined if there is none. */
export async function findCommit(world: VcsWorld, cwd: string, ref: string): Promise<string | undefined> {
  if (ref.startsWith("-")) return undefined;
  const args = ["rev-parse", "--verify", "--quiet", `${ref}^{commit}`];
  return (await gitLine(world, cwd, args, { okCodes: [1, 128] })) || undefined;
}

/**
 * Runs several git commands in one shell: starting a program from Node takes longer than most git commands. Returns
 * their output, or undefined if the shell fails.
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

/** Goes before the verb, for plumbing that must not run the user's hooks. */
export const NO_HOOKS = ["-c", "core.hooksPath=/dev/null"];

/** Variables that locate the caller's repository or change the meaning of our arguments. */
const FOREIGN =
  /^GIT_(DIR|WORK_TREE|IMPLICIT_WORK_TREE|INDEX_FILE|PREFIX|COMMON_DIR|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|NAMESPACE|GRAFT_FILE|SHALLOW_FILE|REPLACE_REF_BASE|NO_REPLACE_OBJECTS|CONFIG|INTERNAL_SUPER_PREFIX|QUARANTINE_PATH|REFLOG_ACTION|EXTERNAL_DIFF|DIFF_OPTS|DEFAULT_HASH|(LITERAL|GLOB|NOGLOB|ICASE)_PATHSPECS|TRACE.*)$/;

/** The user's environment without locations, prompts and editors, and with English messages. */
function gitEnvironment(env: VcsWorld["env"], locks?: boolean): Record<string, string | undefined> {
  const kept = Object.entries(env).filter(([name]) => !FOREIGN.test(name));
  return {
    ...Object.fromEntries(kept),
    // Hooks and filters keep the user's encoding; only the language of messages changes.
    LC_ALL: undefined,
    LC_CTYPE: env["LC_ALL"] || env["LC_CTYPE"],
    LC_MESSAGES: "C",
    LANGUAGE: undefined,
    GIT_TERMINAL_PROMPT: "0",
    GIT_EDITOR: "true",
    GIT_SEQUENCE_EDITOR: "true",
    GIT_MERGE_AUTOEDIT: "no",
    GIT_OPTIONAL_LOCKS: locks ? "1" : "0",
    GIT_CONFIG_PARAMETERS: withConfig(env, SYNCED),
  };
}

/** Makes git sync the objects and refs that it writes: what depends on them, a folder or a row, may go right after. */
const SYNCED = "'core.fsync=committed,reference' 'core.fsyncMethod=fsync'";

/** Settings for git in its own variable, behind those of the caller. */
export const withConfig = (env: VcsWorld["env"], settings: string) =>
  [env["GIT_CONFIG_PARAMETERS"] ?? "", settings].join(" ").trim();

/** True if another git holds a lock or is still creating a worktree. */
function isTransient(stderr: string): boolean {
  return lockIn(stderr) !== undefined || /failed to read \S*\/?worktrees\/[^/]+\/(commondir|gitdir|HEAD)/.test(stderr);
}

/** The lock file that git could not create, if that is what failed. */
function lockIn(stderr: string): string | undefined {
  return /(?:Unable to create|could not lock config file|unable to lock) '?([^'\n]*?\.lock|[^':\n]+)'?: File exists/.exec(
    stderr,
  )?.[1];
}

/** An agent's git may hold the lock of its own branch while a hook runs: one that is older was left by a killed git. */
const BRANCH_LOCK_MS = 10_000;

/**
 * Removes the lock of a ref that only mu writes, once it has stayed for all the pauses: a git that writes a ref holds it
 * for some ms, so that the one that made this was killed. That of a workspace's branch must be older.
 */
async function removeOwnLock(cwd: string, lock: string | undefined, alone = false): Promise<void> {
  const own = /\/refs\/(heads\/)?mu\/.*\.lock$/.exec(lock ?? "");
  if (lock === undefined || own === null) return;
  const path = resolve(cwd, lock);
  const made = await stat(path).catch(() => undefined);
  if (own[1] !== undefined && !alone && made !== undefined && Date.now() - made.mtimeMs < BRANCH_LOCK_MS) return;
  await rm(path, { force: true });
}

/** Why git failed, for a caller that accepted its exit code. */
export function gitFault(cwd: string, args: readonly string[], result: Omit<ExecResult, "timedOut">): Fault {
  const words = args.filter((arg) => !arg.startsWith("-") && !arg.includes("=")).slice(0, 2);
  const verb = `git ${words.join(" ")}`;
  const details = { command: ["git", ...args], cwd, exitCode: result.code };
  const lock = lockIn(result.stderr);
  if (lock === undefined) return programFault("git", result, { verb, cwd, details });
  return lockedFault(verb, lock, details);
}

/** The fault for a lock of git's that stays. */
export function lockedFault(verb: string, lock: string, details: Record<string, unknown>): Fault {
  return new Fault(
    "unavailable",
    "vcs.locked",
    `${verb} failed: ${quote(lock)} exists. Another git is running, or one was killed. ` +
      "If no git is running there, remove that file and retry.",
    [{ intent: "See how old the lock is", command: `ls -l ${shellWord(lock)}` }],
    { ...details, lock },
  );
}

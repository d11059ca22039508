import { randomBytes } from "node:crypto";
import { Fault, type NextStep } from "../errors.js";
import type { Exec } from "../exec.js";
import { counted, duration, shellWord } from "../names.js";

/** One tmux command with its arguments, as plain words: no quoting, no escaping. */
export type Command = readonly string[];

/** What tmux printed; `refusal` is its error when it stopped at a command (those before it have run). */
export interface Answer {
  stdout: string;
  refusal?: string;
}

/** Runs commands in one tmux call, in order and with nothing in between; stops at the first that is refused. */
export type Run = (commands: readonly Command[], options?: { input?: string }) => Promise<Answer>;

export type Environment = Readonly<Record<string, string | undefined>>;

/** A client's message to the server: 16384 bytes with its header. */
export const LONGEST_CALL = 16_000;
const TIMEOUT_MS = 15_000;

/**
 * The one executor. Faults: `tmux.not_installed`, `tmux.unreachable`, `tmux.failed` (no answer in time),
 * `tmux.command_too_long`. A refused command is an answer, because only the caller knows what it means.
 */
export function createRun({ exec, env }: { exec: Exec; env: Environment }): Run {
  const socket = socketArguments(env.MU_TMUX_SOCKET);
  const cleanEnv = withoutMu(env);
  return async (commands, options = {}) => {
    const words = commands.flatMap((command, i) => (i === 0 ? escapeEnd(command) : [";", ...escapeEnd(command)]));
    const bytes = callBytes(commands);
    if (bytes > LONGEST_CALL) throw commandTooLong(bytes, LONGEST_CALL);
    if (words.some((word) => word.includes("\0"))) return { stdout: "", refusal: "a NUL cannot stand in a command" };
    const result = await exec("tmux", ["-u", ...socket, ...words], {
      env: cleanEnv,
      timeoutMs: TIMEOUT_MS,
      input: options.input,
    });
    if (result.notStarted !== undefined) throw notInstalled();
    if (result.timedOut) throw timedOut(words[0] ?? "", TIMEOUT_MS);
    if (result.code === 0) return { stdout: result.stdout };
    const refusal = result.stderr.trim().split("\n")[0] || `ended with ${result.code ?? "a signal"}`;
    if (/^error connecting to/.test(refusal) && !/No such file|Connection refused/.test(refusal)) {
      throw unreachable(refusal);
    }
    return { stdout: result.stdout, refusal };
  };
}

/** Runs commands that must succeed and gives what they printed; `what` completes "Cannot …". */
export async function runOrFail(
  run: Run,
  { what, pane, ...options }: { what: string; pane?: string; input?: string },
  commands: readonly Command[],
): Promise<string> {
  const answer = await run(commands, options);
  if (answer.refusal !== undefined) throw refused(what, answer.refusal, pane);
  return answer.stdout;
}

/** As `runOrFail`; undefined if what the commands are about is gone. */
export async function runUnlessGone(
  run: Run,
  { what, isGone = isTargetGone }: { what: string; isGone?: (refusal: string | undefined) => boolean },
  commands: readonly Command[],
): Promise<string | undefined> {
  const { stdout, refusal } = await run(commands);
  if (isGone(refusal)) return undefined;
  if (refusal !== undefined) throw refused(what, refusal);
  return stdout;
}

/** `-L name`, or `-S path` when the value holds a slash; nothing means the server of `$TMUX`, else the default one. */
export function socketArguments(socket: string | undefined): readonly string[] {
  if (socket === undefined || socket === "") return [];
  return socket.includes("/") ? ["-S", socket] : ["-L", socket];
}

/** A command line of tmux for a person to paste: it is about mu's server. */
export function tmuxLine(env: Environment, ...words: string[]): string {
  return ["tmux", ...socketArguments(env.MU_TMUX_SOCKET), ...words].map(shellWord).join(" ");
}

/** A server hands the environment it was started with to every pane, so an agent's `MU_*` must not get into it. */
export function withoutMu(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("MU_")));
}

/** Splits groups of commands into calls that are short enough for tmux, keeping each group whole. */
export function inCalls<T>(items: readonly T[], commandsOf: (item: T) => readonly Command[]): T[][] {
  const calls: T[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const item of items) {
    const more = callBytes(commandsOf(item));
    if (bytes + more > LONGEST_CALL) {
      calls.push([]);
      bytes = 0;
    }
    calls.at(-1)?.push(item);
    bytes += more;
  }
  return calls;
}

/** A word that no screen, title or name holds, to tell apart what tmux prints in one stream. */
export function uniqueWord(): string {
  seed ??= randomBytes(6).toString("hex");
  words++;
  return `mu${seed}${words.toString(36).padStart(7, "0")}`;
}

/** No two words are the same, and nobody knows the next one. */
let seed: string | undefined;
let words = 0;

/**
 * Text that a tmux format gives back as it is, so that `#(…)` in a name is a name and never a command. tmux itself
 * leaves `#[` alone, however many `#` there are.
 */
export function formatText(text: string): string {
  return text.replace(/#+\[|[#,}]/g, (found) => (found.endsWith("[") ? found : `#${found}`));
}

/** Commands as one word, for tmux commands that take commands (`if-shell`). */
export function quoteCommands(commands: readonly Command[]): string {
  return commands.map((command) => command.map(quoteWord).join(" ")).join(" ; ");
}

/** A word for sh, and for tmux's own parser: nothing inside is expanded. */
export function quoteWord(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** tmux takes a word that ends in `;` for the end of a command. */
function escapeEnd(command: Command): string[] {
  return command.map((word) => word.replace(/;$/, "\\;"));
}

/** The size of commands in the client's message. */
export function callBytes(commands: readonly Command[]): number {
  const words = commands.reduce((sum, command) => sum + command.reduce((s, w) => s + Buffer.byteLength(w) + 2, 0), 0);
  return words + 2 * commands.length;
}

/** The oldest tmux that has per-pane options, `copy-mode -q` and `new-window -e`. */
export const OLDEST_TMUX = "3.2";

const DOCTOR: NextStep = { intent: "Check tmux on this machine", command: "mu doctor" };

/** True when tmux said that there is no server behind the socket, so there are no panes either. */
export function isServerGone(refusal: string | undefined): boolean {
  return /^(no server running|no sessions|no current target|lost server|server exited|error connecting to .*\((No such file or directory|Connection refused)\))/.test(
    refusal ?? "",
  );
}

/** True when tmux said that the pane, window or session it was asked about does not exist, or not even a server. */
export function isTargetGone(refusal: string | undefined): boolean {
  const unknown = /can't find (pane|window|session)|no such (pane|window|session)|target pane has exited/;
  return isServerGone(refusal) || unknown.test(refusal ?? "");
}

/** The fault for a command that tmux refused; a pane that is gone is `pane.not_found`. */
export function refused(what: string, refusal: string, pane?: string): Fault {
  if (pane !== undefined && isTargetGone(refusal)) return paneNotFound(pane);
  const why = isServerGone(refusal) ? "tmux is not running" : `tmux says "${refusal}"`;
  return new Fault("unavailable", "tmux.failed", `Cannot ${what}: ${why}.`, [DOCTOR]);
}

export function paneNotFound(pane: string): Fault {
  return new Fault(
    "missing",
    "pane.not_found",
    `Pane ${pane} does not exist: it was closed, or its tmux server ended.`,
    [
      { intent: "See which agents still have a pane", command: "mu agent list" },
      { intent: "Recover lost agents", command: "mu recover" },
    ],
  );
}

/** The pane exists, but not as the living pane of the agent that the caller meant. */
export function paneRefused(pane: string, found: { dead: boolean; agentId: string }): Fault {
  if (found.dead) {
    return new Fault("conflict", "pane.dead", `The program in pane ${pane} has ended; nothing was sent.`, [
      { intent: "Recover lost agents", command: "mu recover" },
    ]);
  }
  const owner = found.agentId === "" ? "no agent" : `incarnation ${found.agentId}`;
  return new Fault("conflict", "pane.stranger", `Pane ${pane} now belongs to ${owner}; nothing was sent.`, [
    { intent: "List agents with their panes", command: "mu agent list" },
  ]);
}

/** Someone typed, or the program drew, after the pane was captured. */
export function paneMoved(pane: string): Fault {
  return new Fault(
    "conflict",
    "pane.moved",
    `The cursor of pane ${pane} moved after it was captured; nothing was sent.`,
    [{ intent: "See what the pane shows", command: "mu agent list" }],
  );
}

export function notInstalled(): Fault {
  return new Fault("unavailable", "tmux.not_installed", "tmux is not installed, or not on PATH.", [
    { intent: "Install it on Debian or Ubuntu", command: "sudo apt-get install tmux" },
    { intent: "Install it on macOS", command: "brew install tmux" },
  ]);
}

export function tooOld(version: string): Fault {
  return new Fault("unavailable", "tmux.too_old", `tmux ${version} is too old: mu needs ${OLDEST_TMUX} or newer.`, [
    DOCTOR,
  ]);
}

export function timedOut(what: string, timeoutMs: number): Fault {
  return new Fault("unavailable", "tmux.failed", `tmux did not answer "${what}" within ${duration(timeoutMs)}.`, [
    DOCTOR,
  ]);
}

/** The server may be alive: a sandbox or file permissions block its socket. */
export function unreachable(refusal: string): Fault {
  return new Fault("unavailable", "tmux.unreachable", `The tmux socket cannot be reached from here: ${refusal}.`, [
    { intent: "See who mu thinks you are", command: "mu me" },
    DOCTOR,
  ]);
}

export function commandTooLong(bytes: number, limit: number): Fault {
  return new Fault(
    "usage",
    "tmux.command_too_long",
    `The command and its environment are ${counted(bytes, "byte")}; tmux takes ${limit} at most.`,
    [{ intent: "Start the agent first, then send it the long text", command: "mu agent send <agent> --file <file>" }],
  );
}

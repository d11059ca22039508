import { randomBytes } from "node:crypto";
import type { Exec } from "../exec.js";
import { commandTooLong, notInstalled, refused, timedOut, unreachable } from "./faults.js";

/** One tmux command with its arguments, as plain words: no quoting, no escaping. */
export type Command = readonly string[];

/** What tmux printed; `refusal` is its own word when it stopped at a command (the ones before it were run). */
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
      ...(options.input !== undefined && { input: options.input }),
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

/** Runs commands that must succeed and gives what they printed; `what` completes "cannot …". */
export async function runOrFail(
  run: Run,
  { what, pane, ...options }: { what: string; pane?: string; input?: string },
  commands: readonly Command[],
): Promise<string> {
  const answer = await run(commands, options);
  if (answer.refusal !== undefined) throw refused(what, answer.refusal, pane);
  return answer.stdout;
}

/** `-L name`, or `-S path` when the value holds a slash; nothing means the server of `$TMUX`, else the default one. */
export function socketArguments(socket: string | undefined): readonly string[] {
  if (socket === undefined || socket === "") return [];
  return socket.includes("/") ? ["-S", socket] : ["-L", socket];
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
  return `mu${randomBytes(6).toString("hex")}`;
}

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

function callBytes(commands: readonly Command[]): number {
  const words = commands.reduce((sum, command) => sum + command.reduce((s, w) => s + Buffer.byteLength(w) + 2, 0), 0);
  return words + 2 * commands.length;
}

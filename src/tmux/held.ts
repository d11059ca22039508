import { spawn } from "node:child_process";
import {
  type Answer,
  type Command,
  type Environment,
  quoteCommands,
  type Run,
  socketArguments,
  uniqueWord,
  withoutMu,
} from "./run.js";

/** Without an answer for so long, the client is given up, in ms. */
const ANSWER_MS = 15_000;
/** So long after one try to have a client comes the next, in ms. */
const AGAIN_MS = 30_000;

interface Held {
  env: Environment;
  session: string;
  over: AbortSignal;
}

/** Undefined if it ends before it has answered. */
type Ask = (commands: readonly Command[]) => Promise<Answer | undefined>;

/**
 * As `run`, through one client that stays attached to `session` until `over`, so that a call starts no process. `run`
 * itself is called without such a client, and again for what a client leaves unanswered: only for commands that may run
 * twice.
 */
export function createHeldRun(run: Run, held: Held): Run {
  let client: Ask | undefined;
  let triedAt = Number.NEGATIVE_INFINITY;
  const start = async () => {
    triedAt = performance.now();
    if (!(await tellsNobody(run)) || held.over.aborted) return;
    client = openClient(held, () => {
      client = undefined;
    });
  };
  return async (commands, options) => {
    const fitsLine = !commands.flat().some((word) => /[\n\0]/.test(word));
    if (options?.input !== undefined || !fitsLine || held.over.aborted) return run(commands, options);
    if (client === undefined && performance.now() - triedAt > AGAIN_MS) await start();
    return (await client?.(commands)) ?? run(commands);
  };
}

/** With `focus-events`, a program is told that somebody looks at it as soon as any client is attached. */
async function tellsNobody(run: Run): Promise<boolean> {
  return (await run([["display-message", "-p", "#{focus-events}"]])).stdout.trim() === "0";
}

/** What somebody waits for: all that is printed before the mark. */
interface Question {
  mark: string;
  lines: string[];
  refusal?: string;
  answer(answer: Answer | undefined): void;
}

/**
 * A client in control mode. It has no size and gets no output of panes; the session's environment stays as it is (`-E`).
 * It ends with its input, so also when this process is killed.
 */
function openClient({ env, session, over }: Held, ended: () => void): Ask {
  const flags = ["-E", "-f", "no-output,ignore-size,read-only"];
  const words = [
    "-u",
    "-C",
    ...socketArguments(env["MU_TMUX_SOCKET"]),
    "attach-session",
    ...flags,
    "-t",
    `=${session}:`,
  ];
  const child = spawn("tmux", words, { env: withoutMu(env), cwd: "/", stdio: ["pipe", "pipe", "ignore"] });
  let waiting: Question[] | undefined = [];
  const leave = () => child.stdin.end();
  const end = () => {
    over.removeEventListener("abort", leave);
    for (const { answer } of waiting ?? []) answer(undefined);
    waiting = undefined;
    ended();
  };
  const give = (block: readonly string[], failed: boolean) => {
    const question = waiting?.[0];
    if (question === undefined) return;
    const { lines, mark, refusal } = question;
    if (failed) question.refusal ??= block[0] ?? "refused";
    else if (block[0] !== mark) lines.push(...block);
    else {
      waiting?.shift();
      question.answer({ stdout: lines.map((line) => `${line}\n`).join(""), ...(refusal !== undefined && { refusal }) });
    }
  };
  child.on("error", end).on("close", end);
  child.stdin.on("error", () => {});
  child.stdout.setEncoding("utf8").on("data", readBlocks(give));
  over.addEventListener("abort", leave, { once: true });
  return (commands) =>
    new Promise((resolve) => {
      if (waiting === undefined) return resolve(undefined);
      const mark = uniqueWord();
      const late = setTimeout(() => child.kill("SIGKILL"), ANSWER_MS);
      const answer = (given: Answer | undefined) => {
        clearTimeout(late);
        resolve(given);
      };
      waiting.push({ mark, lines: [], answer });
      // A line of its own, which is run also where tmux stops in the other one.
      child.stdin.write(`${quoteCommands(commands)}\n${quoteCommands([["display-message", "-p", mark]])}\n`);
    });
}

/** Reads what commands print, which stands between guards; what stands outside is news that nobody asked for. */
function readBlocks(give: (block: readonly string[], failed: boolean) => void): (chunk: string) => void {
  let rest = "";
  let guard: string | undefined;
  let block: string[] = [];
  return (chunk) => {
    const lines = `${rest}${chunk}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      // A pane may show what looks like a guard, but not with this number.
      const failed = line === `%error ${guard}`;
      if (guard === undefined) [guard, block] = [/^%begin (.+)$/.exec(line)?.[1], []];
      else if (failed || line === `%end ${guard}`) {
        give(block, failed);
        guard = undefined;
      } else block.push(line);
    }
  };
}

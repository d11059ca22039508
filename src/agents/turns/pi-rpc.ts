import { type ChildProcess, spawn } from "node:child_process";
import { Fault } from "../../errors.js";
import type { Host } from "../../host.js";
import { quote } from "../../names.js";
import { endProcessTrees } from "../../processes.js";
import { redact, secretsIn } from "../../redact.js";
import { isObject } from "../../shape.js";
import { type TurnOptions, type Turns, turnTimeout } from "./turns.js";

/** How long pi may take to say what it said last, in ms. */
const TEXT_MS = 5_000;
/** How long an error that ends a turn may be followed by another try, in ms: pi waits 2, 4 and 8 s. */
const RETRY_MS = 9_000;
/** How long pi may take to end by itself, in ms. */
const END_MS = 1_000;
/** Most characters of one line, and of what pi says on standard error that are kept. */
const MOST_LINE = 64 << 20;
const MOST_STDERR = 16_384;

type Message = Record<string, unknown>;

const STEPS: readonly unknown[] = ["agent_end", "auto_retry_start", "auto_retry_end"];

/** The arguments by which pi is told how to work, in any mode. */
export function piArgs(
  { system, provider, model, thinking, skills = [] }: TurnOptions,
  knows: (flag: string) => boolean,
): string[] {
  return [
    ...(knows("--no-context-files") ? ["--no-context-files"] : []),
    ...["--append-system-prompt", system],
    ...(provider === undefined ? [] : ["--provider", provider]),
    ...(model === undefined ? [] : ["--model", model]),
    ...(thinking === undefined ? [] : ["--thinking", thinking]),
    ...skills.flatMap((skill) => ["--skill", skill]),
  ];
}

/**
 * A conversation with `pi --mode rpc`: a line of JSON each way, ended by a line feed alone. Starts the program. Faults
 * `turn.not_started`.
 */
export async function openPi(host: Host, options: TurnOptions, knows: (flag: string) => boolean): Promise<Turns> {
  const args = ["--mode", "rpc", "--no-session", ...piArgs(options, knows)];
  const child = spawn("/bin/sh", ["-c", `exec ${options.command} "$@"`, "sh", ...args], {
    ...{ cwd: options.cwd, env: clean(options.env), detached: true, stdio: ["pipe", "pipe", "pipe"] },
  });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", () => resolve());
    child.once("error", (error: NodeJS.ErrnoException) =>
      reject(notStarted(options.command, error.code ?? error.message)),
    );
  });
  return conversation(host, child, options);
}

function clean(env: TurnOptions["env"]): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
}

const notStarted = (command: string, why: string) =>
  new Fault("unavailable", "turn.not_started", `${quote(command)} could not be started (${why}).`, [
    { intent: "See what is missing", command: "mu doctor" },
  ]);

function conversation(host: Host, child: ChildProcess, { command, env, timeoutMs }: TurnOptions): Turns {
  const secrets = secretsIn(env);
  const waiting = new Set<(message: Message | undefined) => void>();
  /** Ends and new tries of the turn, in their order; pi may write several at once. */
  let steps: Message[] = [];
  let stderr = "";
  let ended: string | undefined;
  let count = 0;
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr = (stderr + chunk.toString("utf8")).slice(-MOST_STDERR);
  });
  onLines(child, (line) => {
    const message = parse(line);
    if (message === undefined) return;
    if (STEPS.includes(message["type"])) steps.push(message);
    for (const take of [...waiting]) take(message);
  });
  // Writing to a program that has just ended fails here, and is told by its end.
  child.stdin?.on("error", () => {});
  const end = (how: string) => {
    ended ??= how;
    for (const take of [...waiting]) take(undefined);
  };
  child.on("error", (error) => end(error.message));
  child.on("close", (code, signal) => end(code === null ? `was ended by ${signal}` : `ended with ${code}`));

  const send = (message: Message) => child.stdin?.write(`${JSON.stringify(message)}\n`);
  const died = () => {
    const said = redact(stderr.trim().split("\n").slice(-5).join("\n"), secrets);
    return new Fault(
      "unavailable",
      "turn.died",
      `${quote(command)} ${ended ?? "is gone"}.${said === "" ? "" : `\n${said}`}`,
    );
  };
  const close = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.stdin?.end();
    if (await closedWithin(child, END_MS)) return;
    if (child.pid !== undefined) await endProcessTrees(host, [{ pid: child.pid }], { graceMs: END_MS });
    await closedWithin(child, END_MS);
  };

  /** The first message that `wanted` gives something for; undefined after `ms`. Faults when the program ends or the caller stops. */
  const next = <T>(
    wanted: (message: Message) => T | undefined,
    ms: number,
    signal?: AbortSignal,
  ): Promise<T | undefined> =>
    new Promise((resolve, reject) => {
      const finish = (act: () => void) => {
        clearTimeout(timer);
        waiting.delete(take);
        signal?.removeEventListener("abort", stop);
        act();
      };
      const stop = () =>
        finish(() => reject(new Fault("unavailable", "request.interrupted", "The turn was interrupted.")));
      const take = (message: Message | undefined) => {
        if (message === undefined) return finish(() => reject(died()));
        const found = wanted(message);
        if (found !== undefined) finish(() => resolve(found));
      };
      const timer = setTimeout(() => finish(() => resolve(undefined)), ms);
      const early = wanted({});
      if (early !== undefined) return finish(() => resolve(early));
      if (ended !== undefined) return finish(() => reject(died()));
      if (signal?.aborted) return stop();
      waiting.add(take);
      signal?.addEventListener("abort", stop, { once: true });
    });

  /** As `next`, for the steps of the turn: also for those that came before. */
  const nextStep = <T>(wanted: (step: Message) => T | undefined, ms: number, signal?: AbortSignal) => {
    const look = () => {
      for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
        const found = wanted(step);
        if (found !== undefined) return found;
      }
      return undefined;
    };
    return next(look, ms, signal);
  };

  const turn = async (prompt: string, signal?: AbortSignal): Promise<string> => {
    const id = `prompt-${++count}`;
    const deadline = Date.now() + Math.max(1_000, timeoutMs);
    const left = () => Math.max(1, deadline - Date.now());
    steps = [];
    const settled = nextStep(turnEnd, left(), signal);
    settled.catch(() => {});
    send({ id, type: "prompt", message: prompt });
    const accepted = await next((message) => responseTo(message, id), left(), signal);
    if (accepted === undefined) throw turnTimeout(timeoutMs);
    if (accepted["success"] === false) {
      const why = redact(String(accepted["error"] ?? "no reason given"), secrets);
      throw new Fault("conflict", "turn.refused", `pi refused the prompt: ${why}`);
    }
    let end = await settled;
    while (end === "failed") {
      const retries = await nextStep(
        (message) => (message["type"] === "auto_retry_start" ? true : undefined),
        RETRY_MS,
        signal,
      );
      if (retries === undefined) break;
      end = await nextStep(turnEnd, left(), signal);
    }
    if (end === undefined) throw turnTimeout(timeoutMs);
    const question = `text-${count}`;
    const answer = next((message) => responseTo(message, question), TEXT_MS, signal);
    answer.catch(() => {});
    send({ id: question, type: "get_last_assistant_text" });
    const data = (await answer)?.["data"];
    return isObject(data) && typeof data["text"] === "string" ? data["text"] : "";
  };
  return {
    isOpen: () => ended === undefined,
    close,
    async ask(prompt, signal) {
      try {
        return await turn(prompt, signal);
      } catch (error) {
        if (ended === undefined) send({ type: "abort" });
        await close();
        throw error;
      }
    },
  };
}

/** A response to a question; pi may leave the id out of the only one that is open. */
const responseTo = (message: Message, id: string): Message | undefined =>
  message["type"] === "response" && (message["id"] === id || message["id"] === undefined) ? message : undefined;

/** Takes the end of a turn: `failed` where pi may try again by itself. */
function turnEnd(message: Message): "done" | "failed" | undefined {
  if (message["type"] === "auto_retry_end" && message["success"] === false) return "done";
  if (message["type"] !== "agent_end") return undefined;
  const last = Array.isArray(message["messages"]) ? message["messages"].at(-1) : undefined;
  return isObject(last) && last["stopReason"] === "error" ? "failed" : "done";
}

function parse(line: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Lines of standard output. Only a line feed ends one: U+2028 is text. */
function onLines(child: ChildProcess, take: (line: string) => void): void {
  let parts: Buffer[] = [];
  let size = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    let rest = chunk;
    for (let at = rest.indexOf(10); at >= 0; at = rest.indexOf(10)) {
      take(
        Buffer.concat([...parts, rest.subarray(0, at)])
          .toString("utf8")
          .replace(/\r$/, ""),
      );
      parts = [];
      size = 0;
      rest = rest.subarray(at + 1);
    }
    size += rest.length;
    if (size > MOST_LINE) parts = [];
    else if (rest.length > 0) parts.push(rest);
  });
}

function closedWithin(child: ChildProcess, ms: number): Promise<boolean> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(true);
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      resolve(true);
    };
    const timer = setTimeout(() => {
      child.removeListener("close", done);
      resolve(false);
    }, ms);
    child.once("close", done);
  });
}

import { appendFileSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { type Clock, pollUntil } from "../clock.js";
import { Fault } from "../errors.js";
import type { Exec } from "../exec.js";
import { advance, type PlayerEffect, type PlayerInput, phaseOf, startPlayer } from "./player-machine.js";
import { DEFAULT_SCRIPT, type PlayerScript, parseScript } from "./player-script.js";
import { openKeyboard, openTerminal } from "./player-terminal.js";

/** The world of the scripted agent. */
export interface PlayerIo {
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  /** Its commands inherit it. `MU_PLAYER_SCRIPT` and `MU_PLAYER_RECEIPTS` are its own. */
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  clock: Clock;
  exec: Exec;
}

/**
 * The scripted agent of `mu demo`: a terminal program that behaves like an agent CLI, without a model.
 * `argv` is `[--script FILE] [prompt]`; without a file the script is in `$MU_PLAYER_SCRIPT` (a path, or the JSON
 * itself). Every prompt that it takes is appended to `$MU_PLAYER_RECEIPTS` as `{"event":"prompt","text":…,"at":…}`.
 * Resolves to the exit code once the agent leaves; throws the faults `player.no_script` and `player.bad_script`.
 */
export async function playAgent(argv: readonly string[], io: PlayerIo): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: { script: { type: "string" } },
    allowPositionals: true,
  });
  const script = loadScript(values.script ?? io.env.MU_PLAYER_SCRIPT);
  await io.clock.sleep(script.quirks.slowStartMs);
  return play(script, positionals, io);
}

function loadScript(source: string | undefined): PlayerScript {
  if (source === undefined || source === "") return DEFAULT_SCRIPT;
  return parseScript(source.trimStart().startsWith("{") ? source : readScript(source));
}

function readScript(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new Fault("missing", "player.no_script", `Cannot read the player script ${path}: ${String(error)}.`);
  }
}

const SPINNER_MS = 80;

/** Connects the state to the terminal, the clock and the shell until the agent leaves. */
function play(script: PlayerScript, prompts: readonly string[], io: PlayerIo): Promise<number> {
  const terminal = openTerminal(io.stdout, { bracketedPaste: !script.quirks.noBracketedPaste });
  const life = new AbortController();
  let state = startPlayer(script);
  let wait = new AbortController();

  let end: (code: number) => void = () => {};
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  const keyboard = openKeyboard(io.stdin, io.clock, take);
  take(prompts.map((text) => ({ kind: "prompt", text })));
  void spin();
  return ended.finally(() => {
    keyboard.close();
    terminal.close();
  });

  function take(inputs: readonly PlayerInput[]): void {
    for (const input of inputs) {
      const move = advance(state, input);
      state = move.state;
      move.effects.forEach(perform);
    }
    if (!life.signal.aborted) terminal.draw(state, basename(io.cwd));
  }

  function perform(effect: PlayerEffect): void {
    if (effect.kind === "print") terminal.print(effect.lines);
    if (effect.kind === "receipt") writeReceipt(io, effect.text);
    if (effect.kind === "stop") wait.abort();
    if (effect.kind === "work" || effect.kind === "run") {
      wait = new AbortController();
      void pass(io, effect, wait.signal).then((input) => take([input]));
    }
    if (effect.kind === "exit") {
      life.abort();
      end(effect.code);
    }
  }

  function spin(): Promise<unknown> {
    const once = async () => {
      if (phaseOf(state) === "working") take([{ kind: "tick" }]);
      return undefined;
    };
    const forever = { everyMs: SPINNER_MS, timeoutMs: Number.POSITIVE_INFINITY, signal: life.signal };
    return pollUntil(io.clock, once, forever);
  }
}

/** Lets a step take its time and says how it went. */
async function pass(io: PlayerIo, effect: TimedEffect, signal: AbortSignal): Promise<PlayerInput> {
  if (effect.kind === "run") return { kind: "ran", wait: effect.wait, result: await runCommand(io, effect, signal) };
  await io.clock.sleep(effect.ms, signal);
  return { kind: "worked", wait: effect.wait };
}

type TimedEffect = Extract<PlayerEffect, { kind: "work" | "run" }>;

/** The captures are the command's positional parameters and the variables its environment: no text becomes code. */
function runCommand(io: PlayerIo, effect: Extract<PlayerEffect, { kind: "run" }>, signal: AbortSignal) {
  const env = { ...io.env, ...effect.variables };
  return io.exec("sh", ["-c", effect.command, "player", ...effect.captures], { cwd: io.cwd, env, signal });
}

function writeReceipt({ env, clock }: PlayerIo, text: string): void {
  if (!env.MU_PLAYER_RECEIPTS) return;
  const receipt = { event: "prompt", text, at: clock.now().toISOString() };
  appendFileSync(env.MU_PLAYER_RECEIPTS, `${JSON.stringify(receipt)}\n`);
}

import { advance } from "../../src/demo/player-advance.js";
import { decodeKeys } from "../../src/demo/player-keys.js";
import { drawFrame } from "../../src/demo/player-screen.js";
import { parseScript } from "../../src/demo/player-script.js";
import { type PlayerEffect, type PlayerInput, type RunResult, startPlayer } from "../../src/demo/player-state.js";

/** The scripted agent without a terminal: time passes and commands end only when a test says so. */
export interface Rehearsal {
  /** Bytes at the keyboard. */
  type(bytes: string): void;
  send(prompt: string): void;
  give(input: PlayerInput): void;
  /** Ends what the agent waits for now: a moment of work, or the command with this result. */
  finish(result?: Partial<RunResult>): void;
  finishAll(): void;
  effects: PlayerEffect[];
  transcript(): string[];
  commands(): string[];
  /** The bottom of the screen, as `capture-pane` would show it. */
  screen(): string;
}

export const pasted = (text: string) => `\x1b[200~${text}\x1b[201~`;

export function rehearse(script: object, size = { columns: 100, rows: 30 }): Rehearsal {
  let state = startPlayer(parseScript(JSON.stringify(script)));
  const effects: PlayerEffect[] = [];
  const give = (input: PlayerInput) => {
    const move = advance(state, input);
    state = move.state;
    effects.push(...move.effects);
  };
  const type = (bytes: string) => {
    for (const key of decodeKeys(bytes).keys) give({ kind: "key", key });
  };
  const isWaiting = () => state.task !== undefined && state.task.wait.number > 0;
  const finish = (result: Partial<RunResult> = {}) => {
    const wait = state.task?.wait;
    if (!wait) throw new Error("the agent waits for nothing");
    if (wait.for === "work") return give({ kind: "worked", wait: wait.number });
    give({ kind: "ran", wait: wait.number, result: { code: 0, stdout: "", stderr: "", ...result } });
  };
  return {
    type,
    send: (prompt) => type(`${pasted(prompt)}\r`),
    give,
    finish,
    finishAll: () => {
      while (isWaiting()) finish();
    },
    effects,
    transcript: () => effects.flatMap((effect) => (effect.kind === "print" ? effect.lines : [])),
    commands: () => effects.flatMap((effect) => (effect.kind === "run" ? [effect.command] : [])),
    screen: () =>
      drawFrame(state, size)
        .lines.map((line) => line.trimEnd())
        .join("\n"),
  };
}

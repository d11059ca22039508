import {
  advance,
  type PlayerEffect,
  type PlayerInput,
  type RunResult,
  startPlayer,
} from "../../src/demo/player-machine.js";
import { parseScript } from "../../src/demo/player-script.js";
import { decodeKeys, drawFrame } from "../../src/demo/player-terminal.js";

/**
 * How to read the scripted agent's screen: every pattern is for the last `bottomLines` lines of the pane that are not
 * blank, joined by newlines, trailing spaces allowed.
 *
 * - `idle`: the footer says `player · ready`
 * - `busy`: the footer says `player · working (esc to interrupt)`, whatever else is on the screen
 * - `permission`: the dialog is the last line; the composer is gone
 * - `draft`: the composer, between rule and footer, is not empty (idle or busy)
 * - `error`: the last line above the composer of an idle agent
 * - `homeColumn`: the cursor's column while the composer is empty
 */
export const PLAYER_SCREEN = {
  bottomLines: 12,
  homeColumn: 2,
  idle: /(?:^|\n)player · ready\s*$/,
  busy: /(?:^|\n)player · working \(esc to interrupt\)\s*$/,
  permission: /(?:^|\n)Allow this command\? {2}\[y\] yes {2}\[n\] no\s*$/,
  draft: /(?:^|\n)─{3,}\n>(?! *\nplayer · )(?:(?!\n─{3,}\n)[\s\S])*\nplayer · [^\n]*\s*$/,
  error: /(?:^|\n)(Error: [^\n]*)\n─{3,}\n[^─]*\nplayer · ready\s*$/,
} as const;

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

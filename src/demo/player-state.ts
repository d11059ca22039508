import type { Key } from "./player-keys.js";
import type { PlayerScript, RunStep, Step } from "./player-script.js";

/** Everything the scripted agent knows. It changes only through `advance`. */
export interface PlayerState {
  readonly script: PlayerScript;
  readonly draft: readonly DraftPart[];
  /** Enter presses so far, for the quirk that swallows some. */
  readonly enters: number;
  /** Prompts that arrived while another one was playing, oldest first. */
  readonly queue: readonly string[];
  readonly task: PlayingTask | undefined;
  /** Numbers the waits, so that the end of an interrupted one is recognised and ignored. */
  readonly waits: number;
  /** Position of the spinner. */
  readonly ticks: number;
  readonly exitCode: number | undefined;
}

/** A piece of the composer. What is shown differs from the text where a large paste is collapsed. */
export interface DraftPart {
  readonly shown: string;
  readonly text: string;
}

export interface PlayingTask {
  readonly prompt: string;
  readonly captures: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  /** Where the script stands: the act at the bottom, the loops it is in above. */
  readonly frames: readonly Frame[];
  readonly wait: { readonly number: number; readonly for: "work" | RunStep | Question };
}

interface Frame {
  readonly steps: readonly Step[];
  readonly next: number;
  /** Only loops have it. */
  readonly untilExit?: number;
}

interface Question {
  readonly kind: "permission";
  readonly command: string;
}

export type PlayerInput =
  | { kind: "key"; key: Key }
  /** A prompt given on the command line. */
  | { kind: "prompt"; text: string }
  | { kind: "tick" }
  /** The terminal is gone. */
  | { kind: "hangup" }
  | { kind: "worked"; wait: number }
  | { kind: "ran"; wait: number; result: RunResult };

/** `code` is null when the command was ended from outside. */
export interface RunResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** What the terminal around the state has to do, in order. */
export type PlayerEffect =
  | { kind: "print"; lines: readonly string[] }
  /** A prompt left the composer. */
  | { kind: "receipt"; text: string }
  | { kind: "work"; wait: number; ms: number }
  | {
      kind: "run";
      wait: number;
      command: string;
      variables: Readonly<Record<string, string>>;
      captures: readonly string[];
    }
  /** Gives up what `work` or `run` began. */
  | { kind: "stop" }
  | { kind: "exit"; code: number };

export interface Move {
  readonly state: PlayerState;
  readonly effects: readonly PlayerEffect[];
}

/** What a person sees the agent doing. */
export type Phase = "ready" | "working" | "asking" | "gone";

export function startPlayer(script: PlayerScript): PlayerState {
  return { script, draft: [], enters: 0, queue: [], task: undefined, waits: 0, ticks: 0, exitCode: undefined };
}

export function phaseOf(state: PlayerState): Phase {
  if (state.exitCode !== undefined) return "gone";
  if (!state.task) return "ready";
  return questionOf(state) === undefined ? "working" : "asking";
}

/** The command that the agent asks permission for. */
export function questionOf({ task }: PlayerState): string | undefined {
  const waitingFor = task?.wait.for;
  return typeof waitingFor === "object" && waitingFor.kind === "permission" ? waitingFor.command : undefined;
}

/** A move that does nothing more than this. */
export function stay(state: PlayerState, ...effects: PlayerEffect[]): Move {
  return { state, effects };
}

/** `move` with `effects` before its own. */
export function before(effects: readonly PlayerEffect[], move: Move): Move {
  return { state: move.state, effects: [...effects, ...move.effects] };
}

/** The effect of adding lines to the transcript. */
export function print(...lines: string[]): PlayerEffect {
  return { kind: "print", lines };
}

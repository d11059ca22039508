import { Fault } from "../../errors.js";
import { duration } from "../../names.js";

/** One conversation with an agent, turn by turn. */
export interface Turns {
  /**
   * Asks, and gives the answer; `""` if it has no text. Faults `turn.died`, `turn.timeout`, `turn.refused`,
   * `request.interrupted`; after one of them the conversation is over.
   */
  ask(prompt: string, signal?: AbortSignal): Promise<string>;
  /** Whether another turn is possible. */
  isOpen(): boolean;
  /** Ends the agent's whole process tree. */
  close(): Promise<void>;
}

/** How a conversation is held. */
export interface TurnOptions {
  /** The program and its first arguments, as a line of `/bin/sh`. */
  command: string;
  cwd: string;
  env: Readonly<Record<string, string | undefined>>;
  /** Standing rules. */
  system: string;
  provider?: string | undefined;
  model?: string | undefined;
  thinking?: string | undefined;
  skills?: readonly string[] | undefined;
  /** Of one turn, in ms; at least a second. */
  timeoutMs: number;
}

/** The fault of a turn that took too long. */
export const turnTimeout = (timeoutMs: number) =>
  new Fault("unavailable", "turn.timeout", `The turn took longer than ${duration(timeoutMs)}.`);

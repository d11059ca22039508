import type { Crew } from "../agents/crew.js";
import type { Caller } from "../agents/identity.js";
import type { Context } from "../db/context.js";
import type { DemoOutcome } from "../demo/demo.js";

/** What a verb may ask of the program that runs it. */
export interface Io {
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  /** The text of a file, or of standard input for `-`. Faults `file.not_readable`. */
  readText(path: string): Promise<string>;
  /** Lets the person edit `text` in their editor and gives what they saved. Faults `editor.failed`. */
  edit(text: string, name: string): Promise<string>;
  /** A remark for the person, beside the result. */
  remark(text: string): void;
  /** Output of a program that the person may watch, as it comes; never mixed with the result. */
  stream(chunk: Uint8Array): void;
  /** Hands the person's terminal to a program until it ends; false where there is no terminal. */
  takeTerminal(command: { file: string; args: readonly string[]; env?: Io["env"] }): Promise<boolean>;
  /** Writes mu's skill to `path`; false when it was there already. */
  installSkill(path: string): Promise<boolean>;
  /** Which migrations the database lacks; without `dryRun` they are run. Faults `db.*`. */
  upgradeDatabase(options: { dryRun: boolean }): Promise<{ location: string; pending: string[] }>;
  /** Plays the demo; its folder stays where `keep` says. Faults `demo.*`, `tmux.*`. */
  playDemo(options: { keep?: string | undefined }): Promise<DemoOutcome>;
  /** Serves the verbs over the Model Context Protocol on standard input and output until it closes. */
  serveMcp(): Promise<void>;
  /** Aborted when the person or a closed pipe ends the program. */
  signal: AbortSignal;
}

/** Everything one run of a verb has. */
export interface App {
  context: Context;
  caller: Caller;
  /** Panes, programs and folders; made when a verb asks for them. */
  crew(): Promise<Crew>;
  io: Io;
}

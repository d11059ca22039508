import type { z } from "zod";
import type { Orphan } from "../agents/agent.js";
import type { Crew } from "../agents/crew.js";
import type { Caller } from "../agents/identity.js";
import type { Context } from "../db/context.js";
import type { Examined } from "../db/examine.js";
import type { DemoChoice, DemoOutcome } from "../demo/demo.js";
import { Fault } from "../errors.js";
import type { TaskRef } from "../names.js";
import type { OpsFrame, OpsResult } from "./ops/contract.js";
import type { Paint } from "./paint.js";
import type { ToolSet, UiGroup, Verb } from "./verb.js";

/** One call of a verb: its surroundings, and what the surface that it came through can do. */
export interface Request {
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  /** The caller reads JSON. */
  json?: boolean;
  /** The caller is a person, also in a pane that shows somebody else. */
  self?: boolean;
  /** Aborted when the caller no longer waits for the answer. */
  signal: AbortSignal;
  /** The group of its events, where the surface wants to know it; a new one without it. */
  group?: string;
  /** A remark for the person, beside the result. */
  remark(text: string): void;
  /** Output of a program that the person may watch, as it comes; never mixed with the result. */
  stream(chunk: Uint8Array): void;
  /** The text of a file. Faults `file.not_readable`. */
  readFile(path: string): Promise<string>;
  /**
   * All of standard input. Without it, `-` and `@file` in a text are plain text. With `most`, more bytes than that and what
   * is no UTF-8 are faults: `file.too_large`, `file.not_utf8`.
   */
  stdin?: (most?: number) => Promise<string>;
  /** From this call on a signal ends the process at once. Undefined where the process serves other requests, too. */
  endAtSignals?: (() => void) | undefined;
  terminal?: Terminal;
}

/** A person at a terminal. */
export interface Terminal {
  /**
   * Opens `text` in the person's editor and gives `take` what they saved. Where that fails, the text stays in a file,
   * which the fault names. Faults `editor.failed`, and those of `take`.
   */
  edit<T>(text: string, name: string, take: (edited: string) => Promise<T>): Promise<T>;
  /** Hands the terminal to a program until it ends; false if the output is redirected or JSON. */
  run(command: { file: string; args: readonly string[]; env?: Request["env"] }): Promise<boolean>;
  /** Writes to the terminal as it is: a bell, or a line that is drawn over. Undefined where the person sees none. */
  ring?: ((text: string) => void) | undefined;
  /** The person sees what is printed, as it is printed: it goes neither into a file or a pipe, nor to a program as JSON. */
  isWatched?: boolean;
  /** The person's answer; undefined if input or output is redirected or JSON. Faults `request.interrupted`. */
  ask(question: Question): Promise<string | undefined>;
}

/** A question to a person. */
export interface Question {
  text: string;
  /** The answer of a person who gives none. */
  fallback: string;
  /** What is wrong with an answer. */
  problem(answer: string): string | undefined;
}

/** What a verb cannot work without, and not every surface has. */
export type Need = "stdin" | "terminal";

export interface UiOptions {
  /** This port and no other; without it the first free one from 5050 on. */
  port: number | undefined;
  /** Whether the address is opened in the person's browser. */
  browser: boolean;
  allowed: readonly UiGroup[];
}

export interface OpsOptions {
  workspace: string | undefined;
  transport: "json" | "unsupported";
}

/** What a verb may ask of the program that runs it; the same for every caller. */
export interface Program {
  registry: Registry;
  /**
   * Runs a verb that may hold up its whole process, in a process of its own that ends with the request; gives what
   * `--json` prints. Undefined in that process itself, and where there is no program to start.
   */
  runApart?: ((words: readonly string[], input: string, request: Request) => Promise<unknown>) | undefined;
  /** Runs a line of mu's, given as its words, in a process that outlives this one. Undefined where there is no program. */
  startApart?: ((words: readonly string[], request: Request) => Promise<void>) | undefined;
  /** The program and arguments that run such a line. Undefined where there is no program. */
  argvOf?: ((words: readonly string[]) => [string, ...string[]]) | undefined;
  /** What a line asks for, given as its words after `mu`; undefined if it is no line of mu's. */
  readCommand(words: readonly string[]): { verb: string; input: Record<string, unknown> } | undefined;
  /** Writes mu's skill of that name to `path`; false when it was there already. */
  installSkill(name: string, path: string): Promise<boolean>;
  /** The text of mu's skill of that name. */
  readSkill(name: string): Promise<string>;
  /** A text that a new project begins with, by the name of its file. */
  readTemplate(name: string): Promise<string>;
  /** Answers the request of a program on standard input; never faults. */
  answerOps(request: Request, options: OpsOptions): Promise<OpsResult>;
  /** What happens to such a request, as it does; ends with its result. */
  streamOps(request: Request, options: Omit<OpsOptions, "transport">): AsyncIterable<OpsFrame>;
  /** The lines that a person types, each after `prompt`; from a pipe, its lines. Kept in the history that `history` names. */
  readLines(options: { prompt: string; history: string; signal: AbortSignal }): AsyncIterable<string>;
  /** Draws for a file that shows what a terminal of that width did. */
  paintFile(columns: number): Promise<Paint>;
  /** Which migrations the database lacks; without `dryRun` they are run. Faults `db.*`. */
  upgradeDatabase(options: { dryRun: boolean }): Promise<{ location: string; pending: string[] }>;
  /** Plays the demo; its folder stays where `keep` says. Faults `demo.*`, `tmux.*`. */
  playDemo(options: DemoChoice, request: Request): Promise<DemoOutcome>;
  /**
   * Shows a workstream on the whole terminal until the person leaves it: all of it, or what is under one task. Faults
   * `usage.needs_terminal`, `task.not_found`.
   */
  showTop(app: App, workstream: string, under?: TaskRef): Promise<void>;
  /** Serves the page until the request ends; `told` gets the address to open. Faults `ui.port_taken`. */
  serveUi(app: App, options: UiOptions, told: (address: string) => void): Promise<void>;
  /** Serves a set of verbs over the Model Context Protocol on standard input and output until it closes. */
  serveMcp(request: Request, tools: ToolSet): Promise<void>;
}

/** Every verb: as data, and with its schemas. */
export interface Registry {
  verbs: readonly Verb[];
  find(name: string): Promise<{ effect: string; input(): z.ZodType; output(): z.ZodType } | undefined>;
}

/** Everything that one run of a verb has. */
export interface App {
  context: Context;
  caller: Caller;
  /** Panes, programs and folders; made when a verb asks for them. */
  crew(): Promise<Crew>;
  /** Agent CLIs in panes that nobody adopted, of all workstreams, where the panes were looked at first. */
  orphans: readonly Orphan[];
  request: Request;
  program: Program;
  /** What the database was found to be, for a verb with `anyDatabase`. */
  examined?: Examined;
}

const NEEDED: Readonly<Record<Need, string>> = { stdin: "standard input", terminal: "a terminal" };

/** What the surface must have for this. Faults `usage.needs_stdin`, `usage.needs_terminal`. */
export function required<N extends Need>(request: Request, need: N): NonNullable<Request[N]> {
  const found = request[need];
  if (found !== undefined) return found;
  throw new Fault("usage", `usage.needs_${need}`, `This needs ${NEEDED[need]}. Run mu in a shell.`);
}

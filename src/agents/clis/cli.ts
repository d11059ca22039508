import type { EventReader } from "../feed.js";
import type { ScreenReader } from "../screen/rules.js";
import type { Headless } from "./headless.js";
import type { HookKit } from "./hook-kit.js";
import type { Meter } from "./meter.js";

export type AgentCliKey = "pi" | "claude" | "codex" | "gemini" | "opencode" | "shell" | "command" | "player";

/** What an agent may do: `read-only` agents read and report, they change nothing. */
export type Access = "full" | "read-only";

/** What a CLI is started with. */
export interface LaunchOptions {
  /** mu's state directory; a sandboxed CLI must be let to write there. */
  stateDir: string;
  /** Further folders that it must be let to write in. */
  writableDirs?: readonly string[];
  access?: Access;
  model?: string;
  /**
   * The file that makes this CLI report its events: settings with hooks for claude, an extension for pi, a plugin for
   * opencode, a notify program for codex. CLIs without such a thing ignore it.
   */
  eventsFile?: string;
  /** The id to give to the conversation that it begins. */
  newSession?: string;
}

/** What a start adds to the CLI's command: arguments and environment. */
export interface Launch {
  args: readonly string[];
  env: Readonly<Record<string, string>>;
}

/** The switches of a CLI that has conversations. */
export interface Switches {
  access: Readonly<Record<Access, readonly string[]>>;
  resume(sessionRef: string): readonly string[];
  /** Begin a conversation with this UUID; absent where the CLI reports its own. */
  begin?(sessionRef: string): readonly string[];
  /** Load `LaunchOptions.eventsFile`. */
  events?(file: string): readonly string[];
  /** Belong to every start. */
  always?(options: LaunchOptions): readonly string[];
}

/**
 * How a delivered prompt is proved.
 * - `composer`: the text left the input box (cursor back at the home column, no `pasted` placeholder left) and the
 *   screen turned busy or shows it as `queued`; `event` is the CLI's own word for it, where it reports events. `early`: its
 *   screen shows later that it works, so that mu reports the prompt for it.
 * - `echo`: the text stands behind the cursor's former position.
 */
export type DeliveryProof =
  | { by: "composer"; pasted: RegExp; queued?: RegExp; event?: string; early?: true }
  | { by: "echo" };

/** A text that is read as a command of the CLI; a lone `/word` is meant to be one. */
export const SLASH_COMMAND = { when: /^\/[\w:.-]+\s+\S/, why: "takes a leading /word for a command" };
export const SHELL_COMMAND = { when: /^!/, why: "runs what follows a leading ! in a shell" };

/** One agent CLI: how to start it, resume it, read its screen and prove that it took a prompt. */
export interface AgentCli extends ScreenReader {
  key: AgentCliKey;
  /** The versions whose screens its rules were made with; there are recorded panes of each. */
  seenWith?: readonly string[];
  /** The program and its first arguments when the user names none; `$MU_<KEY>_COMMAND` overrides it. */
  command: string;
  /** Absent where a start takes no switches and no conversation can be resumed. */
  switches?: Switches;
  env?(options: LaunchOptions): Readonly<Record<string, string>>;
  /** The caller's variables that it needs, by name: a tmux server hands on only those that it was started with. */
  variables?: RegExp;
  /** How long to wait between a paste and its Enter (ms). Gemini takes an Enter within 60 ms for a newline. */
  pasteEnterDelayMs: number;
  proof: DeliveryProof;
  /**
   * The texts that its composer takes for something else than a prompt, unless a blank stands before or behind them,
   * which it takes off again; and those that mu refuses, with what the CLI does with them.
   */
  misreads?: { before?: RegExp; after?: RegExp; refuse?: readonly { when: RegExp; why: string }[] };
  /** The keys that end its turn and keep its conversation; none for a program without turns. */
  interrupt: readonly string[];
  /** How long it may take from its start until it takes prompts, on a slow machine (ms); 10,000 without it. */
  startMs?: number;
  /** What mu installs so that the CLI reports what it does; without it only its screen shows that. */
  hooks?: HookKit;
  /** Reads what those hooks report. */
  readEvents?: EventReader;
  /** How it is run without a terminal; absent where it cannot be. */
  headless?: Headless;
  /** Reads what its conversations used; absent where that cannot be known. */
  meter?: Meter;
}

const NETWORK = /^(?:(?:https?|all|no)_proxy|(?:HTTPS?|ALL|NO)_PROXY|NODE_EXTRA_CA_CERTS|SSL_CERT_(?:FILE|DIR))$/;

/** Those of the caller's variables that the CLI needs. */
export function variablesFor({ variables }: AgentCli, env: Readonly<Record<string, string | undefined>>) {
  const isNeeded = (name: string) => variables !== undefined && (variables.test(name) || NETWORK.test(name));
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, text]) => (text && isNeeded(name) ? [[name, text]] : [])),
  );
}

/** What starts the CLI, in the conversation that `sessionRef` names if there is one. */
export function launchOf({ switches, env }: AgentCli, options: LaunchOptions, sessionRef: string | null): Launch {
  if (switches === undefined) return { args: [], env: {} };
  const { access = "full", model, eventsFile, newSession } = options;
  const args = [
    ...(sessionRef === null ? [] : switches.resume(sessionRef)),
    ...(sessionRef !== null || newSession === undefined ? [] : (switches.begin?.(newSession) ?? [])),
    ...switches.access[access],
    ...(switches.always?.(options) ?? []),
    ...(model === undefined ? [] : ["--model", model]),
    ...(eventsFile === undefined ? [] : (switches.events?.(eventsFile) ?? [])),
  ];
  return { args, env: env?.(options) ?? {} };
}

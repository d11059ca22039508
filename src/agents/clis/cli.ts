import type { EventReader } from "../feed.js";
import type { ScreenReader } from "../screen/rules.js";
import type { HookKit } from "./hook-kit.js";

export type AgentCliKey = "pi" | "claude" | "codex" | "gemini" | "opencode" | "shell" | "command" | "player";

/** What an agent may do: `read-only` agents read and report, they change nothing. */
export type Access = "full" | "read-only";

/** What a start of a CLI may be told. */
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
}

/** What a start adds to the CLI's command: arguments and environment. */
export interface Launch {
  args: readonly string[];
  env: Readonly<Record<string, string>>;
}

/**
 * How a delivered prompt is proved.
 * - `composer`: the text left the input box (cursor back at the home column, no `pasted` placeholder left) and the
 *   screen turned busy or shows it as `queued`; `event` is the CLI's own word for it, where it reports events.
 * - `echo`: the text stands behind the cursor's former position.
 */
export type DeliveryProof = { by: "composer"; pasted: RegExp; queued?: RegExp; event?: string } | { by: "echo" };

/** One agent CLI: how to start it, resume it, read its screen and prove that it took a prompt. */
export interface AgentCli extends ScreenReader {
  key: AgentCliKey;
  /** The program and its first arguments when the user names none; `$MU_<KEY>_COMMAND` overrides it. */
  command: string;
  /** The switches for what an agent may do. */
  access: Readonly<Record<Access, readonly string[]>>;
  interactive(options: LaunchOptions): Launch;
  /** Starts again in the conversation that `sessionRef` names; undefined where a CLI has no conversations. */
  resume(sessionRef: string, options: LaunchOptions): Launch | undefined;
  /** How long to wait between a paste and its Enter (ms). Gemini takes an Enter within 60 ms for a newline. */
  pasteEnterDelayMs: number;
  proof: DeliveryProof;
  /** What mu installs so that the CLI reports what it does; without it only its screen shows that. */
  hooks?: HookKit;
  /** Reads what those hooks report. */
  readEvents?: EventReader;
}

import { Fault } from "../../errors.js";
import { HOOK_MARK, HOOK_MARK_STEM } from "../spool/line.js";

export type HookCli = "claude" | "pi" | "opencode" | "codex";

/** `outdated`: installed by another version of mu, or only in part. */
export type HookState = "installed" | "outdated" | "absent";

/** For whom hooks are installed to stay: every session of the user, or every session in a project's folder. */
export type HookScope = { scope: "user" } | { scope: "project"; project: string };

/** Where a CLI keeps its files. `env` is the user's environment: some CLIs are moved by a variable. */
export interface HookPlace {
  home: string;
  env?: Readonly<Record<string, string | undefined>>;
}

/** How a lasting install changes the text of its file; undefined is a file that is not there. All three are pure. */
export interface TextEdit {
  add(text: string | undefined, path: string): string;
  strip(text: string | undefined, path: string): string | undefined;
  inspect(text: string | undefined, path: string): HookState;
}

/** What mu installs for one CLI. */
export interface HookKit {
  cli: HookCli;
  /** The file that `LaunchOptions.eventsFile` names. It is the same for all agents: who asks is in the environment. */
  agentFile: { name: string; text: string; executable?: true };
  /** A file that must be there before the CLI can load `agentFile`. */
  needs?(place: HookPlace): string;
  /** The install that stays; a CLI without it is only told at the start of each agent. */
  lasting?: { path(place: HookPlace, scope: HookScope): string; edit: TextEdit };
}

/** A file that is mu's alone, known by its mark. */
export function ownFile(content: string): TextEdit {
  return {
    add: (text, path) => {
      if (text === undefined || isOurs(text)) return content;
      throw new Fault("conflict", "hooks.file_taken", `${path} is there already and is not mu's; move it away first`);
    },
    strip: (text) => (text !== undefined && isOurs(text) ? undefined : text),
    inspect: (text) => {
      if (text === undefined || !isOurs(text)) return "absent";
      return text === content ? "installed" : "outdated";
    },
  };
}

function isOurs(text: string): boolean {
  return text.slice(0, 200).includes(HOOK_MARK_STEM);
}

/** The first line of a JavaScript file of mu. */
export const OWN_FILE_HEADER = `// ${HOOK_MARK}: tells mu what this agent does. Written by mu and removed by "mu hooks uninstall".`;

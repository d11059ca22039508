import { existsSync } from "node:fs";
import { join } from "node:path";
import type { SetupSettings } from "../../workstreams/settings.js";
import { REPOSITORY_FILE, readRepositorySetup } from "./repository-file.js";

/** A file of patterns in the project's folder, as `.gitignore` writes them: which ignored files are copied. */
export const INCLUDE_FILE = ".worktreeinclude" as const;

/** Where something was said: in the workstream's settings, or in a file of the repository. */
export type SetupSource = "settings" | typeof REPOSITORY_FILE | typeof INCLUDE_FILE;

/** What new workspaces of a project get, and who said so. */
export interface SetupPlan {
  /** Patterns of files to copy. */
  copy: { pattern: string; from: SetupSource }[];
  /** Patterns of files to link to the project's own. */
  link: { pattern: string; from: SetupSource }[];
  /** True when there is a file of patterns: of what it names, only ignored files are copied. */
  includes: boolean;
  command: { command: string; from: SetupSource } | null;
  ports: number;
  timeoutSeconds: number;
  /** The repository's own command that shows that work is good. */
  check: string | null;
}

/**
 * Puts together what the workstream's settings and the repository's files say. Patterns add up; of commands and
 * counts the person's own goes first. Faults `setup.invalid_file`.
 */
export async function planSetup(root: string, settings: SetupSettings): Promise<SetupPlan> {
  const theirs = await readRepositorySetup(root);
  const patterns = (key: "copy" | "link") => {
    const own = settings[key].map((pattern) => ({ pattern, from: "settings" as const }));
    return [...own, ...theirs[key].map((pattern) => ({ pattern, from: REPOSITORY_FILE }))];
  };
  const command =
    settings.command !== null
      ? { command: settings.command, from: "settings" as const }
      : theirs.command === null
        ? null
        : { command: theirs.command, from: REPOSITORY_FILE };
  return {
    copy: patterns("copy"),
    link: patterns("link"),
    includes: existsSync(join(root, INCLUDE_FILE)),
    command,
    ports: settings.ports || theirs.ports,
    timeoutSeconds: settings.timeoutSeconds,
    check: theirs.check,
  };
}

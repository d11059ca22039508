import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../errors.js";
import { quote } from "../../names.js";
import { SETTINGS, type SetupSettings } from "../../workstreams/settings.js";

/** A file of patterns in the project's folder, as `.gitignore` writes them: which ignored files are copied. */
export const INCLUDE_FILE = ".worktreeinclude" as const;

/** Where something was said: in the workstream's settings, or in a file of the repository. */
type SetupSource = "settings" | typeof REPOSITORY_FILE | typeof INCLUDE_FILE;

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

/** What a repository itself says of its workspaces, in a file of its own. */
interface RepositorySetup {
  copy: string[];
  link: string[];
  command: string | null;
  ports: number;
  /** The command that shows that work is good. */
  check: string | null;
}

export const REPOSITORY_FILE = ".mu/workspace.yaml" as const;

/** The settings that its keys follow the rules of. */
const KEYS: Readonly<Record<keyof RepositorySetup, string>> = {
  copy: "setup.copy",
  link: "setup.link",
  command: "setup.command",
  ports: "setup.ports",
  check: "check",
};

const MOST_BYTES = 65_536;

/** Reads it from a project's folder; without one nothing is said. Faults `setup.invalid_file`. */
async function readRepositorySetup(root: string): Promise<RepositorySetup> {
  const setup: RepositorySetup = { copy: [], link: [], command: null, ports: 0, check: null };
  const text = await readFile(join(root, REPOSITORY_FILE), "utf8").catch(() => undefined);
  if (text === undefined || text.trim() === "") return setup;
  if (text.length > MOST_BYTES) throw invalid(root, "is too long");
  return { ...setup, ...checked(root, await parse(root, text)) };
}

async function parse(root: string, text: string): Promise<unknown> {
  const { parse: parseYaml } = await import("yaml");
  try {
    return parseYaml(text, { maxAliasCount: 10 });
  } catch (error) {
    throw invalid(root, `cannot be read: ${error instanceof Error ? error.message.split("\n")[0] : error}`);
  }
}

function checked(root: string, found: unknown): Partial<RepositorySetup> {
  if (typeof found !== "object" || found === null || Array.isArray(found)) throw invalid(root, "is no map of keys");
  for (const [key, value] of Object.entries(found)) {
    const setting = Object.hasOwn(KEYS, key) ? SETTINGS[KEYS[key as keyof RepositorySetup]] : undefined;
    if (setting === undefined)
      throw invalid(root, `has the key ${quote(key)}; there are ${Object.keys(KEYS).join(", ")}`);
    if (!setting.accepts(value)) throw invalid(root, `needs ${setting.wants} as ${key}`);
  }
  return found;
}

function invalid(root: string, what: string): Fault {
  const file = join(root, REPOSITORY_FILE);
  return new Fault("conflict", "setup.invalid_file", `${quote(file)} ${what}.`, [
    { intent: "See what counts", command: "mu workspace setup" },
  ]);
}

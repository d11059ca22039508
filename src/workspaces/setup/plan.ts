import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { Fault } from "../../errors.js";
import { quote, shellWord } from "../../names.js";
import { SETTINGS, type SetupSettings } from "../../workstreams/settings.js";

/** A file of `.gitignore` patterns in the project's folder: which ignored files are copied. */
export const INCLUDE_FILE = ".worktreeinclude" as const;

/** The workstream's settings, or a file of the repository. */
type SetupSource = "settings" | typeof REPOSITORY_FILE | typeof INCLUDE_FILE;

/** What new workspaces of a project get, and where that is configured. */
export interface SetupPlan {
  copy: { pattern: string; from: SetupSource }[];
  link: { pattern: string; from: SetupSource }[];
  /** True if the project has an `INCLUDE_FILE`. */
  includes: boolean;
  command: { command: string; from: SetupSource } | null;
  /** Patterns of the tracked files that the command depends on; none for all. */
  key: string[];
  ports: number;
  timeoutSeconds: number;
  /** The repository's check command. */
  check: string | null;
}

/**
 * Combines the workstream's settings with the repository's files. Patterns to copy and link add up; the settings'
 * command, key and port count take precedence. Faults `setup.invalid_file`, `setup.writes_through_link`.
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
  const link = patterns("link");
  if (command !== null)
    requireOwnFolders(
      command.command,
      link.map(({ pattern }) => pattern),
    );
  return {
    copy: patterns("copy"),
    link,
    includes: existsSync(join(root, INCLUDE_FILE)),
    command,
    key: settings.key.length > 0 ? settings.key : theirs.key,
    ports: settings.ports || theirs.ports,
    timeoutSeconds: settings.timeoutSeconds,
    check: theirs.check,
  };
}

/** Commands that fill folders with dependencies or output, and those folders. */
const INSTALLERS: readonly (readonly [command: RegExp, folders: RegExp])[] = [
  [/\b(npm|pnpm|bun)\s+(-\S+\s+)*(ci|clean-install|i|install|add|update|up|prune|dedupe|rebuild)\b/, /^node_modules$/],
  [/\byarn\b(?!\s+(run|exec|test|build|lint|start))/, /^node_modules$/],
  [/\b(pip3?|pipenv|poetry|uv|pdm)\s+.*\b(install|sync|add|venv)\b|\bvirtualenv\b|\s-m\s+venv\b/, /^\.?venv$/],
  [/\b(composer|bundle|bundler)\b|\b(go|cargo)\s+(mod\s+)?vendor\b/, /^vendor$/],
  [/\bcargo\s|\bmvnw?\s/, /^target$/],
  [/\bgradlew?\s/, /^(build|\.gradle)$/],
  [/\bmix\s/, /^(deps|_build)$/],
  [/\bpod\s/, /^Pods$/],
];

/**
 * Refuses a setup command that would empty or fill a folder of the project through a link. `links` are paths or
 * patterns. Faults `setup.writes_through_link`.
 */
export function requireOwnFolders(command: string, links: readonly string[]): void {
  const folders = INSTALLERS.flatMap(([installer, folder]) => (installer.test(command) ? [folder] : []));
  const written = links.find((link) => folders.some((folder) => folder.test(basename(link.replace(/[/*]+$/, "")))));
  if (written === undefined) return;
  const copy = `mu workspace setup --unset link --copy ${shellWord(written)}`;
  throw new Fault(
    "conflict",
    "setup.writes_through_link",
    `The setup command ${quote(command)} would change the project's own ${quote(written)} through its link.`,
    [
      { intent: "Copy it instead; this is quick where the file system can clone", command: copy },
      { intent: "Link it and run no command", command: "mu workspace setup --unset command" },
    ],
    { command, link: written },
  );
}

/** A repository's own settings for its workspaces. */
interface RepositorySetup {
  copy: string[];
  link: string[];
  command: string | null;
  key: string[];
  ports: number;
  check: string | null;
}

export const REPOSITORY_FILE = ".mu/workspace.yaml" as const;

/** The settings that define valid values for its keys. */
const KEYS: Readonly<Record<keyof RepositorySetup, string>> = {
  copy: "setup.copy",
  link: "setup.link",
  command: "setup.command",
  key: "setup.key",
  ports: "setup.ports",
  check: "check",
};

const MAX_BYTES = 65_536;

/** Reads the repository's file, if there is one. Faults `setup.invalid_file`. */
async function readRepositorySetup(root: string): Promise<RepositorySetup> {
  const setup: RepositorySetup = { copy: [], link: [], command: null, key: [], ports: 0, check: null };
  const text = await readFile(join(root, REPOSITORY_FILE), "utf8").catch(() => undefined);
  if (text === undefined || text.trim() === "") return setup;
  if (text.length > MAX_BYTES) throw invalid(root, "is too long");
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
  if (typeof found !== "object" || found === null || Array.isArray(found)) throw invalid(root, "is not a map of keys");
  for (const [key, value] of Object.entries(found)) {
    const setting = Object.hasOwn(KEYS, key) ? SETTINGS[KEYS[key as keyof RepositorySetup]] : undefined;
    if (setting === undefined)
      throw invalid(root, `has the unknown key ${quote(key)}; valid keys are ${Object.keys(KEYS).join(", ")}`);
    if (!setting.accepts(value)) throw invalid(root, `needs ${setting.wants} for ${key}`);
  }
  return found;
}

function invalid(root: string, what: string): Fault {
  const file = join(root, REPOSITORY_FILE);
  return new Fault("conflict", "setup.invalid_file", `${quote(file)} ${what}.`, [
    { intent: "See the effective setup", command: "mu workspace setup" },
  ]);
}

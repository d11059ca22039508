import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../errors.js";
import { quote } from "../../names.js";
import { SETTINGS } from "../../workstreams/settings.js";

/** What a repository itself says of its workspaces, in a file of its own. */
export interface RepositorySetup {
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
export async function readRepositorySetup(root: string): Promise<RepositorySetup> {
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

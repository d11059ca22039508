import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { asFault, Fault, throwIfExhausted } from "../errors.js";
import { type SettingValue, valueAt } from "../workstreams/settings.js";
import { at, checkValues, type Keys, rowsOf, schemaOf } from "./keys.js";
import { DEFAULT_SETTINGS, PROJECT_KEYS, type ProjectSettings, ROLE_KEYS, type Role } from "./settings.js";

/** The settings file, relative to the project folder. */
export const SETTINGS_FILE = ".mu/settings.json";
/** A larger file is not read, in bytes. */
export const MOST_BYTES = 1_048_576;
const ROLE_NAME = "^[a-z][a-z0-9_-]{0,31}$";

/** The settings of the project in `root`; without a file the defaults. Faults `settings.invalid` with all problems. */
export async function readSettings(root: string): Promise<ProjectSettings> {
  return (await findMark(root)) === undefined ? DEFAULT_SETTINGS : parseSettings(await readText(root));
}

/** What a long-lived process works by, and what is wrong with the file if that is older. */
export interface HeldSettings {
  settings: ProjectSettings;
  problem: string | null;
}

/**
 * For a process that lives long: each call looks whether the file has changed, and reads it if so. While the file is
 * broken or gone, the last good settings hold, and `problem` says why.
 */
export function settingsOf(root: string): () => Promise<HeldSettings> {
  let held: HeldSettings = { settings: DEFAULT_SETTINGS, problem: null };
  let seen: string | undefined;
  return async () => {
    try {
      const mark = await findMark(root);
      if (mark === seen) return held;
      seen = mark ?? "gone";
      if (mark === undefined) throw invalid(["the file is gone"]);
      held = { settings: parseSettings(await readText(root)), problem: null };
    } catch (error) {
      held = { settings: held.settings, problem: asFault(error).message };
    }
    return held;
  };
}

/** What changes whenever the file does; undefined if there is none. */
async function findMark(root: string): Promise<string | undefined> {
  const found = await stat(join(root, SETTINGS_FILE)).catch(unreadableIn(SETTINGS_FILE));
  if (found === undefined) return undefined;
  if (!found.isFile()) throw invalid(["it is not a file"]);
  if (found.size > MOST_BYTES) throw invalid([`the file is larger than ${MOST_BYTES} bytes`]);
  return [found.ino, found.size, found.mtimeMs, found.ctimeMs].join(" ");
}

async function readText(root: string): Promise<string> {
  return (await readFile(join(root, SETTINGS_FILE), "utf8").catch(unreadableIn(SETTINGS_FILE))) ?? "";
}

function unreadableIn(file: string) {
  return (error: NodeJS.ErrnoException): undefined => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throwIfExhausted(error);
    throw invalid([`the file cannot be read (${error.code ?? error.message})`], file);
  };
}

/** The settings of a file's text. Faults `settings.invalid` with all problems. */
export function parseSettings(text: string): ProjectSettings {
  const problems: string[] = [];
  const settings = checkSettings(jsonOf(text), problems);
  if (problems.length > 0) throw invalid(problems);
  return settings;
}

function jsonOf(text: string): unknown {
  if (text.trim() === "") throw invalid(["the file is empty"]);
  try {
    return JSON.parse(text.replace(/^\ufeff/, ""));
  } catch (error) {
    throw invalid([`the file is not JSON: ${String(error).replace(/^SyntaxError: /, "")}`]);
  }
}

/** The settings that `found` gives; what is wrong is added to `problems`, each with its path. */
export function checkSettings(found: unknown, problems: string[]): ProjectSettings {
  const { $schema: _, modules: __, roles: given, ...rest } = checkValues(FILE_KEYS, found, problems);
  const roles: Record<string, Role> = Object.create(null);
  for (const [name, role] of Object.entries(given)) roles[name] = checkRole(name, role, problems);
  return { ...rest, roles };
}

function checkRole(name: string, given: unknown, problems: string[]): Role {
  const path = ["roles", name];
  if (!new RegExp(ROLE_NAME).test(name)) {
    problems.push(`${at(path)}: a role's name is a lower-case letter, then up to 31 letters, digits, _ or -`);
  }
  const role = { name, ...checkValues(ROLE_KEYS, given, problems, path) };
  if (role.cli === "command" && !role.command?.trim()) {
    problems.push(`${at([...path, "command"])}: must say what to run, as cli is command`);
  }
  return role;
}

const FILE_KEYS = {
  $schema: { kind: "text", standard: "", about: "Where editors find the schema of this file" },
  ...PROJECT_KEYS,
  modules: { kind: "object", standard: {}, about: "The modules of the project, as mu sync found them" },
  roles: { kind: "object", standard: {}, about: "The specialists of the project, by name" },
} as const satisfies Keys;

/**
 * Every setting of the file but its roles, with where its value comes from; a topic is a secret and is cut. Faults
 * `settings.invalid`.
 */
export async function listProjectSettings(root: string, env: Environment): Promise<SettingValue[]> {
  const settings = await readSettings(root);
  const given = jsonOf((await readText(root)) || "{}");
  const mode = authMode(settings, env);
  return rowsOf(PROJECT_KEYS).map(([key]): SettingValue => {
    const value = key === "auth.mode" ? mode : valueAt(settings, key);
    if (value !== valueAt(settings, key)) return { key, value, source: "environment" };
    const shown = key === "notifications.ntfyTopic" ? cutTopic(String(value)) : value;
    return { key, value: shown, source: valueAt(given as object, key) === undefined ? "default" : "file" };
  });
}

/** The start of an ntfy topic, by which its owner knows it: who knows all of it can read and send. */
export const cutTopic = (topic: string) => (topic === "" ? "" : `${topic.slice(0, Math.min(4, topic.length / 2))}…`);

type Environment = Readonly<Record<string, string | undefined>>;
const AUTH_MODES = PROJECT_KEYS.auth.mode.kind;

/** How agent CLIs sign in: `$MU_AUTH_MODE`, else `$PRODUCER_AUTH_MODE`, else the settings. Faults `settings.invalid`. */
export function authMode({ auth }: ProjectSettings, env: Environment): ProjectSettings["auth"]["mode"] {
  const name = ["MU_AUTH_MODE", "PRODUCER_AUTH_MODE"].find((one) => env[one]);
  if (name === undefined) return auth.mode;
  const mode = AUTH_MODES.find((one) => one === env[name]);
  if (mode === undefined) throw invalid([`must be ${AUTH_MODES.join(", ")}`], `$${name}`);
  return mode;
}

/** The environment of the project's programs: `.env` in its folder, below the real one. Faults `settings.invalid`. */
export async function projectEnv(root: string, env: Environment): Promise<Environment> {
  const text = await readFile(join(root, ".env"), "utf8").catch((error: NodeJS.ErrnoException) => {
    // Python keeps its virtual environments in folders of that name.
    return error.code === "EISDIR" ? undefined : unreadableIn(".env")(error);
  });
  return text === undefined ? env : { ...parseEnv(text.replace(/^\ufeff/, "")), ...env };
}

/** The settings of the project in `root`, and `env` with what its `.env` adds; the defaults where there is no folder, and `held` instead of a broken file's. Faults `settings.invalid`. */
export async function readProject(root: string | null, env: Environment, held?: ProjectSettings) {
  if (root === null) return { settings: DEFAULT_SETTINGS, env };
  return { settings: held ?? (await readSettings(root)), env: await projectEnv(root, env) };
}

/** A row for each setting: its name, what it takes, its default, what it is for. */
export const settingRows = () => [...rowsOf(PROJECT_KEYS), ...rowsOf(ROLE_KEYS, ["roles", "<role>"])];

/** The JSON schema of the file, for editors. */
export function settingsSchema(): Record<string, unknown> {
  const { properties, ...schema } = schemaOf(FILE_KEYS) as { properties: Record<string, object> };
  const roles = {
    ...properties["roles"],
    propertyNames: { pattern: ROLE_NAME },
    additionalProperties: schemaOf(ROLE_KEYS),
  };
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Settings of a mu project",
    ...schema,
    properties: { ...properties, roles },
  };
}

/** The fault for a file with these problems. */
export function invalid(problems: readonly string[], file = SETTINGS_FILE): Fault {
  const lines = problems.length === 1 ? ` ${problems[0]}` : problems.map((problem) => `\n  ${problem}`).join("");
  return new Fault("usage", "settings.invalid", `${file} is not valid:${lines}`, [], { problems });
}

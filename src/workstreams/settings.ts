import { Fault } from "../errors.js";
import { didYouMean, quote } from "../names.js";
import { isObject, shape, type TypeOf } from "../shape.js";

const CLOSE_REQUIREMENTS = ["commit", "check", "landed"] as const;
/** What an agent needs before it may close a task. */
export type CloseRequirement = (typeof CLOSE_REQUIREMENTS)[number];

/** What a new workspace gets. */
export const SETUP_SETTINGS = shape({
  /** Globs of files to copy from the project folder. */
  copy: "string[]",
  /** Globs of files to link to the project folder. */
  link: "string[]",
  /** A command that runs in the empty folder, before the files are checked out. */
  beforeCheckout: "string | null",
  /** Whether the repository's hooks run. */
  hooks: ["on", "off"],
  /** A command that prepares it for work. */
  command: "string | null",
  /** Globs of tracked files that the command depends on; empty for all. */
  key: "string[]",
  ports: "number",
  timeoutSeconds: "number",
});

export type SetupSettings = TypeOf<typeof SETUP_SETTINGS>;

/** Settings that control how work is checked and landed; unset ones have their default. */
export const SETTING_VALUES = shape({
  /** The command that judges work. */
  check: "string | null",
  /** After this, a check fails. */
  checkTimeoutSeconds: "number",
  closeRequires: [CLOSE_REQUIREMENTS, null],
  /** The branch that work lands on; null for the repository's default branch. */
  branch: "string | null",
  /** Whether agents' panes have mu's borders. */
  borders: ["on", "off"],
  /** What the titles of agents' panes say. */
  titles: ["name", "status"],
  /** Ignored files that are not worth saving. */
  caches: "string[]",
  setup: SETUP_SETTINGS,
});

export type Settings = TypeOf<typeof SETTING_VALUES>;

/** A setting: its description, how a value is parsed, and which values are valid. */
interface Setting {
  about: string;
  /** Describes valid values, for `It must be …`. */
  wants: string;
  standard: unknown;
  fromText(text: string): unknown;
  accepts(value: unknown): boolean;
}

/** Every key of `mu workstream set`, in display order. */
export const SETTINGS: Readonly<Record<string, Setting>> = {
  check: command("The command that judges work, for task close and land"),
  checkTimeoutSeconds: number("Seconds after which a check fails", 600, 1, 86_400),
  closeRequires: choice("What an agent needs before it may close a task", [...CLOSE_REQUIREMENTS], null),
  branch: {
    about: "The branch that work lands on",
    wants: "a branch name",
    standard: null,
    fromText: (text) => text.trim(),
    accepts: (value) => typeof value === "string" && /^(?!-)[^\s\p{Cc}~^:?*[\\]{1,255}$/u.test(value),
  },
  borders: choice("Whether agents' panes have mu's borders", ["on", "off"], "on"),
  titles: choice("What the titles of agents' panes say, the name or also status and task", ["name", "status"], "name"),
  caches: paths("Ignored files and folders that are not saved when a workspace goes", [
    ...["node_modules", "bower_components", ".venv", "venv", "__pycache__", "*.pyc", ".tox", "*.egg-info"],
    ...["target", "build", "dist", "out", "obj", "coverage", "*.o", "*.class", "*.tsbuildinfo", "DerivedData"],
    ...[".cache", "*_cache", ".next", ".nuxt", ".turbo", ".gradle", ".parcel-cache", ".eslintcache", ".DS_Store"],
  ]),
  "setup.copy": paths("Files that are copied into a new workspace"),
  "setup.link": paths("Files that are linked into a new workspace"),
  "setup.beforeCheckout": command("The command that runs in a new workspace before its files are checked out (git)"),
  "setup.hooks": choice("Whether the repository's hooks run when a workspace is created (git)", ["on", "off"], "on"),
  "setup.command": command("The command that sets up a new workspace"),
  "setup.key": paths("Files that the setup command depends on; while they are the same, landing does not run it again"),
  "setup.ports": number("How many ports a new workspace leases", 0, 0, 100),
  "setup.timeoutSeconds": number("Seconds after which the setup command fails", 600, 1, 86_400),
};

export const SETTING_KEYS: readonly string[] = Object.keys(SETTINGS);

function command(about: string): Setting {
  return {
    about,
    wants: "a command of at most 4096 characters",
    standard: null,
    fromText: (text) => text.trim(),
    accepts: (value) =>
      typeof value === "string" && value.trim() !== "" && value.length <= 4096 && !value.includes("\0"),
  };
}

function number(about: string, standard: number, least: number, most: number): Setting {
  return {
    about,
    wants: `a whole number from ${least} to ${most}`,
    standard,
    fromText: (text) => (/^\d{1,9}$/.test(text.trim()) ? Number(text) : text),
    accepts: (value) => Number.isInteger(value) && Number(value) >= least && Number(value) <= most,
  };
}

function choice(about: string, choices: readonly string[], standard: string | null): Setting {
  return {
    about,
    wants: choices.join(" or "),
    standard,
    fromText: (text) => text.trim(),
    accepts: (value) => choices.includes(value as string),
  };
}

function paths(about: string, standard: readonly string[] = []): Setting {
  return {
    about,
    wants: "a comma-separated list of at most 100 paths or globs inside the project folder",
    standard,
    fromText: (text) => {
      const parts = text.split(/,(?![^{]*\})/).map((part) => part.trim());
      return parts.filter((part) => part !== "");
    },
    accepts: (value) => Array.isArray(value) && value.length <= 100 && value.every(isInside),
  };
}

const isInside = (path: unknown) =>
  typeof path === "string" &&
  path !== "" &&
  path.length <= 1024 &&
  !path.startsWith("/") &&
  !path.includes("\0") &&
  !path.split("/").includes("..");

/** Parses the text of `workstreams.settings`. Invalid values count as unset. */
export function readSettings(stored: string): Settings {
  const found = storedValues(stored);
  const settings: Record<string, unknown> = { setup: {} };
  for (const [key, { standard, accepts }] of Object.entries(SETTINGS)) {
    const value = valueAt(found, key);
    setAt(settings, key, accepts(value) ? value : standard);
  }
  return settings as unknown as Settings;
}

/** Parses a value of `key`. Faults `setting.unknown` with near keys, `setting.invalid`. */
export function settingValue(key: string, text: string): unknown {
  const { fromText, accepts, wants } = settingOf(key);
  const value = fromText(text);
  if (accepts(value)) return value;
  throw new Fault("usage", "setting.invalid", `${quote(text)} is not a valid ${key}. It must be ${wants}.`, [
    { intent: "Reset it to the default", command: `mu workstream set ${key} --unset` },
  ]);
}

function settingOf(key: string): Setting {
  const setting = Object.hasOwn(SETTINGS, key) ? SETTINGS[key] : undefined;
  if (setting !== undefined) return setting;
  throw new Fault(
    "usage",
    "setting.unknown",
    `Unknown setting ${quote(key)}.${didYouMean(key, SETTING_KEYS)} The settings are ${SETTING_KEYS.join(", ")}.`,
    [{ intent: "See the settings", command: "mu workstream show" }],
  );
}

/** The stored text with `key` set to `value`, or removed. Faults `setting.unknown`. */
export function withSetting(stored: string, key: string, value: unknown): string {
  settingOf(key);
  const values = storedValues(stored);
  setAt(values, key, value);
  return JSON.stringify(values);
}

/** Where a value comes from: the environment, `mu workstream set`, the settings file of the project, or none of them. */
export const SETTING_VALUE = shape({
  key: "string",
  value: "unknown",
  source: ["environment", "database", "file", "default"],
});

export type SettingValue = TypeOf<typeof SETTING_VALUE>;

/** Every setting of the stored text, with its source. */
export function settingSources(stored: string): SettingValue[] {
  const found = storedValues(stored);
  return Object.entries(SETTINGS).map(([key, { standard, accepts }]) => {
    const value = valueAt(found, key);
    return accepts(value) ? { key, value, source: "database" } : { key, value: standard, source: "default" };
  });
}

/** A value as `mu workstream set` takes it. */
export function settingText(value: unknown): string {
  return Array.isArray(value) ? value.join(", ") : String(value ?? "—");
}

type Values = Record<string, unknown>;

function storedValues(stored: string): Values {
  try {
    const values: unknown = JSON.parse(stored);
    return isObject(values) ? values : {};
  } catch {
    return {};
  }
}

/** The value of a dotted key such as `setup.copy`. */
export function valueAt(values: object, key: string): unknown {
  return key
    .split(".")
    .reduce<unknown>((at, part) => (isObject(at) && Object.hasOwn(at, part) ? at[part] : undefined), values);
}

/** Sets or removes the value of a dotted key; removes a group that becomes empty. */
export function setAt(values: Values, key: string, value: unknown): void {
  const [first = "", ...rest] = key.split(".");
  if (rest.length === 0) {
    if (value === undefined) delete values[first];
    else values[first] = value;
    return;
  }
  const group = isObject(values[first]) ? values[first] : {};
  setAt(group, rest.join("."), value);
  if (Object.keys(group).length === 0 && value === undefined) delete values[first];
  else values[first] = group;
}

import { didYouMean, quote } from "../names.js";
import { isObject } from "../shape.js";

/** One setting of the file: what it is for, which values it takes, and what it is without one. */
export interface Key {
  /** `path`: inside the project folder. A list of words is a choice. */
  kind:
    | "text"
    | "line"
    | "path"
    | "url"
    | "origin"
    | "topic"
    | "number"
    | "whole"
    | "boolean"
    | "texts"
    | "object"
    | readonly string[];
  nullable?: true;
  /** Bounds of a number. */
  least?: number;
  most?: number;
  standard: unknown;
  /** One sentence without a full stop. */
  about: string;
}

/** Settings by name, in groups. */
export interface Keys {
  readonly [name: string]: Key | Keys;
}

/** The TypeScript type of settings. */
export type ValuesOf<K> = { [N in keyof K]: K[N] extends Key ? ValueOf<K[N]> : ValuesOf<K[N]> };

type ValueOf<K extends Key> = Plain<K["kind"]> | (K extends { nullable: true } ? null : never);
type Plain<Kind> = Kind extends "number" | "whole"
  ? number
  : Kind extends "boolean"
    ? boolean
    : Kind extends "texts"
      ? string[]
      : Kind extends "object"
        ? object
        : Kind extends readonly (infer Word)[]
          ? Word
          : string;

/** The texts that a kind takes, as both a regular expression and a JSON schema know it, and in words. */
const TEXTS = {
  text: ["^[^\\u0000]{0,4096}$", "text of at most 4096 characters"],
  line: ["^[^\\u0000-\\u001f\\u007f]{0,200}$", "one line of at most 200 characters"],
  path: ["^(?!/)(?!(?:.*/)?\\.\\.(?:/|$))[^\\u0000-\\u001f\\u007f]{1,1024}$", "a path inside the project folder"],
  url: ["^https?://[^\\s]{1,1000}$", "an http or https address"],
  origin: ["^(https?://[^\\s/?#@]{1,200})?$", "an http or https address without a path"],
  topic: ["^[-_A-Za-z0-9]{0,64}$", "at most 64 letters, digits, - or _"],
} as const;

const isKey = (entry: Key | Keys): entry is Key => "standard" in entry;

/** The defaults of all keys. */
export function standardsOf<K extends Keys>(keys: K): ValuesOf<K> {
  const entries = Object.entries(keys).map(([name, key]) => [name, isKey(key) ? key.standard : standardsOf(key)]);
  return Object.fromEntries(entries) as ValuesOf<K>;
}

/** What a key takes, for `must be …`. */
export function wantsOf({ kind, nullable, least, most }: Key): string {
  const number = least === undefined ? "" : ` from ${least} to ${most}`;
  const words = {
    number: `a number${number}`,
    whole: `a whole number${number}`,
    boolean: "true or false",
    texts: "a list of texts",
    object: "an object",
  };
  const wanted =
    typeof kind !== "string" ? kind.join(", ") : kind in TEXTS ? TEXTS[kind as "text"][1] : words[kind as "number"];
  return `${wanted}${nullable ? " or null" : ""}`;
}

/** Whether a key takes the value. */
export function accepts({ kind, nullable, least = -Infinity, most = Infinity }: Key, value: unknown): boolean {
  if (value === null) return nullable === true;
  if (typeof kind !== "string") return kind.includes(value as string);
  if (kind === "boolean") return typeof value === "boolean";
  if (kind === "object") return isObject(value);
  if (kind === "texts") return Array.isArray(value) && value.every((item) => typeof item === "string" && item !== "");
  if (kind === "number" || kind === "whole") {
    const isNumber = kind === "whole" ? Number.isSafeInteger(value) : Number.isFinite(value);
    return isNumber && Number(value) >= least && Number(value) <= most;
  }
  return typeof value === "string" && new RegExp(TEXTS[kind][0]).test(value);
}

/** The values that `found` gives, defaults for the rest; what is wrong is added to `problems`, each with its path. */
export function checkValues<K extends Keys>(
  keys: K,
  found: unknown,
  problems: string[],
  path: readonly string[] = [],
): ValuesOf<K> {
  const values: Record<string, unknown> = isObject(found) ? found : {};
  if (!isObject(found) && found !== undefined) problems.push(`${at(path)}: must be an object`);
  for (const name of Object.keys(values)) {
    if (Object.hasOwn(keys, name)) continue;
    problems.push(`${at([...path, name])}: unknown key.${didYouMean(name, Object.keys(keys))}`);
  }
  const checked = Object.entries(keys).map(([name, key]) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (!isKey(key)) return [name, checkValues(key, value, problems, [...path, name])];
    const isValid = value === undefined || accepts(key, value);
    if (!isValid) problems.push(`${at([...path, name])}: must be ${wantsOf(key)}`);
    return [name, value !== undefined && isValid ? value : key.standard];
  });
  return Object.fromEntries(checked) as ValuesOf<K>;
}

/** A path of names as people write it, `roles.code.cli`. */
export function at(path: readonly string[]): string {
  if (path.length === 0) return "the file";
  return path.map((name) => (/^[\w$-]+$/.test(name) ? name : quote(name))).join(".");
}

/** The JSON schema of an object with these keys; none is required. */
export function schemaOf(keys: Keys): Record<string, unknown> {
  const properties = Object.entries(keys).map(([name, key]) => [name, isKey(key) ? schemaOfKey(key) : schemaOf(key)]);
  return { type: "object", additionalProperties: false, properties: Object.fromEntries(properties) };
}

function schemaOfKey({ kind, nullable, least, most, standard, about }: Key): Record<string, unknown> {
  const typed = (type: string) => ({ type: nullable ? [type, "null"] : type });
  const notes = { description: about, default: standard };
  if (typeof kind !== "string") return { ...notes, enum: kind };
  if (kind === "boolean" || kind === "object") return { ...notes, ...typed(kind) };
  if (kind === "texts") return { ...notes, ...typed("array"), items: { type: "string", minLength: 1 } };
  if (kind === "number" || kind === "whole") {
    return { ...notes, ...typed(kind === "whole" ? "integer" : "number"), minimum: least, maximum: most };
  }
  return { ...notes, ...typed("string"), pattern: TEXTS[kind][0] };
}

/** A row for each key: its dotted name, what it takes, its default, what it is for. */
export function rowsOf(keys: Keys, path: readonly string[] = []): [string, string, string, string][] {
  return Object.entries(keys).flatMap(([name, key]): [string, string, string, string][] => {
    if (!isKey(key)) return rowsOf(key, [...path, name]);
    return [[[...path, name].join("."), wantsOf(key), JSON.stringify(key.standard), key.about]];
  });
}

import { shellWord } from "../names.js";

/** A verb as the command line needs it: data alone, so that help and parsing load no schema. */
export interface Verb {
  /** `task.claim`; also the key of its module. */
  name: string;
  aliases: string[];
  summary: string;
  description: string;
  effect: "read" | "write" | "destroy";
  follows: boolean;
  arguments: Argument[];
  options: Flag[];
  examples: { command: string; shows: string; fault?: string }[];
}

/** What arguments and flags have in common. */
interface Field {
  field: string;
  description: string;
  required: boolean;
  type: ValueType;
  choices?: string[];
  completes?: string;
  /** A list whose items commas separate, too. */
  commas?: boolean;
  /** A text in which `\n` begins a new line. */
  lines?: boolean;
}

export interface Argument extends Field {
  variadic: boolean;
}

export interface Flag extends Field {
  /** Without the dashes. */
  flag: string;
  short?: string;
  aliases: string[];
  /** The argument in whose place it stands. */
  replaces?: string;
  /** The word for its value in help. */
  value: string;
  default?: string;
}

/** How the words of a command line become an input: `json` takes any JSON value. */
export type ValueType = "text" | "number" | "boolean" | "list" | "json";

/** A flag as it is written, with its short form and the word for its value. */
export function flagSpelling({ short, flag, type, value }: Flag): string {
  return `${short ? `-${short}, ` : ""}--${flag}${type === "boolean" ? "" : ` <${value}>`}`;
}

/** What a flag is for, and which values it takes. */
export function flagText({ description, required, choices, default: fallback }: Flag): string {
  const notes = [
    required ? "needed" : "",
    choices ? `one of ${choices.join(", ")}` : "",
    fallback !== undefined ? `default ${fallback}` : "",
  ].filter(Boolean);
  return notes.length > 0 ? `${description} (${notes.join("; ")})` : description;
}

/** Flags as a command line has them: `--all --onto main`. What is undefined or false is left out. */
export function flagWords(flags: Readonly<Record<string, string | boolean | undefined>>): string[] {
  return Object.entries(flags).flatMap(([field, value]) => {
    const flag = `--${flagName(field)}`;
    if (typeof value === "string") return [flag, shellWord(value)];
    return value ? [flag] : [];
  });
}

/** The verb that `words` call, by its name or an alias. */
export function findVerb(words: readonly string[], verbs: readonly Verb[]): Verb | undefined {
  const text = words.join(" ");
  return verbs.find((verb) => wordsOf(verb.name).join(" ") === text || verb.aliases.includes(text));
}

/** Words of the command line that call the verb: `task claim`. */
export function wordsOf(name: string): string[] {
  return name.split(".");
}

/** `effortDays` as a flag: `effort-days`. */
export function flagName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The verbs that an MCP server offers as tools: for one who works on tasks, for one who leads a crew, or all. */
export const TOOL_SETS = ["worker", "orchestrator", "all"] as const;
export type ToolSet = (typeof TOOL_SETS)[number];

/** What the page of `mu ui` may do. */
export const UI_GROUPS = ["answer", "tasks", "jobs", "land", "money", "brake"] as const;
export type UiGroup = (typeof UI_GROUPS)[number];

import { CommanderError } from "commander";
import { Fault, type NextStep } from "../errors.js";
import { shellWord } from "../names.js";
import { findVerb, flagSpelling, type Verb } from "../operations/verb.js";
import type { Line } from "./argv.js";

const CODES: Readonly<Record<string, string>> = {
  "commander.unknownOption": "usage.unknown_option",
  "commander.unknownCommand": "usage.unknown_command",
  "commander.missingArgument": "usage.missing_argument",
  "commander.excessArguments": "usage.too_many_arguments",
  "commander.optionMissingArgument": "usage.missing_value",
  "commander.invalidArgument": "usage.invalid_value",
};

/** A commander error as a fault with a short hint; undefined for help that was asked for. */
export function usageFault(error: unknown, line: Line, verbs: readonly Verb[]): Fault | undefined {
  if (!(error instanceof CommanderError)) throw error;
  if (error.exitCode === 0 || error.code === "commander.help") return undefined;
  const verb = findVerb(line.words, verbs);
  const command = ["mu", ...line.words].join(" ");
  const message = error.message
    .replace(/^error: /, "")
    .replace(/\n\((.*)\)$/, ". $1")
    .replace(/^./, (letter) => letter.toUpperCase());
  return new Fault(
    "usage",
    CODES[error.code] ?? "usage.wrong",
    (/[.?]$/.test(message) ? message : `${message}.`) + longerFlag(message, verb),
    [
      ...(error.code === "commander.excessArguments" ? [...meantBy(line), ...inQuotes(line, verb)] : []),
      { intent: "See how it is used", command: `${command} --help` },
      ...(error.code === "commander.unknownOption" && verb ? behindDashes(verb, command) : []),
    ],
    verb ? { usage: usageOf(verb, command) } : {},
  );
}

/** The flag that an unknown one is the beginning of. */
function longerFlag(message: string, verb: Verb | undefined): string {
  const [, given] = /^Unknown option '--([\w-]+)'$/.exec(message) ?? [];
  const found = given === undefined ? undefined : verb?.options.find(({ flag }) => flag.startsWith(`${given}-`));
  return found === undefined ? "" : ` Did you mean --${found.flag}?`;
}

/** How a text that begins with a dash is given to a verb whose last argument is a text. */
function behindDashes({ arguments: places }: Verb, command: string): NextStep[] {
  const last = places.at(-1);
  if (last?.type !== "text" || last.completes !== undefined || last.choices !== undefined) return [];
  const before = places.slice(1).map(() => " '…'");
  return [{ intent: "Put a text that begins with - behind --", command: `${command}${before.join("")} -- '- a text'` }];
}

/** The same line with its last words as one text, where the verb ends with a text. */
function inQuotes({ words, argv }: Line, verb: Verb | undefined): NextStep[] {
  const places = verb?.arguments ?? [];
  const last = places.at(-1);
  if (last?.type !== "text" || last.completes !== undefined || last.choices !== undefined) return [];
  const rest = argv.slice(words.length);
  const flag = rest.findIndex((word) => word.startsWith("-"));
  const given = rest.slice(0, flag < 0 ? rest.length : flag);
  if (given.length <= places.length) return [];
  const before = given.slice(0, places.length - 1).map(shellWord);
  const text = shellWord(given.slice(places.length - 1).join(" "));
  return [{ intent: "Put the text in quotes", command: ["mu", ...words, ...before, text].join(" ") }];
}

/** The verbs that a surplus argument may have been meant for. */
function meantBy({ words, argv }: Line): NextStep[] {
  if (words.join(" ") !== "log") return [];
  const rest = argv.slice(words.length);
  const flag = rest.findIndex((word) => word.startsWith("-"));
  const text = rest.slice(0, flag < 0 ? rest.length : flag).join(" ") || "…";
  return [
    { intent: "Write it to the log", command: `mu log write ${shellWord(text)}` },
    { intent: "Read what an agent or a person did", command: `mu log --source ${shellWord(text)}` },
    { intent: "Read the history of a task", command: `mu task history ${shellWord(text)}` },
  ];
}

/** Adds the usage line to every fault about usage, wherever it was found. */
export function withUsage(error: unknown, line: Line, verbs: readonly Verb[]): unknown {
  const verb = findVerb(line.words, verbs);
  if (!(error instanceof Fault) || !error.code.startsWith("usage.") || verb === undefined) return error;
  const usage = usageOf(verb, ["mu", ...line.words].join(" "));
  return new Fault(error.kind, error.code, error.message, error.nextSteps, { usage, ...error.details });
}

function usageOf(verb: Verb, command: string) {
  return {
    command,
    synopsis: synopsis(verb),
    description: verb.summary,
    args: verb.arguments.map((argument) => ({
      name: argument.field,
      required: argument.required,
      variadic: argument.variadic,
      description: argument.description,
    })),
    options: verb.options.map((flag) => ({
      flags: flagSpelling(flag),
      description: flag.description,
      mandatory: flag.required,
      valueRequired: flag.type !== "boolean",
    })),
  };
}

/** One line that shows how the verb is called: `mu task claim [task] [options]`. */
export function synopsis(verb: Verb): string {
  const words = verb.arguments.map((argument) => {
    const name = argument.variadic ? `${argument.field}...` : argument.field;
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  return ["mu", ...verb.name.split("."), ...words, "[options]"].join(" ");
}

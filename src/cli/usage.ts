import { CommanderError } from "commander";
import { Fault, type NextStep } from "../errors.js";
import { isAgentName, shellWord } from "../names.js";
import { findVerb, flagSpelling, type Verb } from "../operations/verb.js";
import type { Line } from "./argv.js";
import { flagsFor, insteadOf } from "./synonyms.js";

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
  const given = positional(line);
  const instead = verb === undefined ? insteadOf(line.argv) : undefined;
  const meant = error.code === "commander.unknownOption" ? meantFlag(error.message, verb) : undefined;
  const said = error.message
    .replace(/^error: /, "")
    .replace(/\n\((.*)\)$/, instead === undefined && meant === undefined ? ". $1" : "")
    .replace(/^./, (letter) => letter.toUpperCase());
  const message = (/[.?]$/.test(said) ? said : `${said}.`) + (meant === undefined ? "" : ` Did you mean ${meant}?`);
  const steps: NextStep[] = [];
  if (instead !== undefined) steps.push({ intent: "Say it so", command: `mu ${instead}` });
  if (error.code === "commander.excessArguments") steps.push(...meantBy(line), ...inQuotes(line, verb));
  if (error.code === "commander.excessArguments" && verb) steps.push(...withoutSurplus(verb, command, given));
  if (error.code === "commander.missingArgument" && verb) steps.push(filledIn(verb, command, given));
  steps.push({ intent: "See how it is used", command: `${command} --help` });
  if (error.code === "commander.unknownOption" && verb && meant === undefined)
    steps.push(...behindDashes(verb, command));
  const details = verb ? { usage: usageOf(verb, command) } : {};
  return new Fault("usage", CODES[error.code] ?? "usage.wrong", message, steps, details);
}

/** The words behind the verb, before the first flag. */
function positional({ words, argv }: Line): string[] {
  const rest = argv.slice(words.length);
  const flag = rest.findIndex((word) => word.startsWith("-"));
  return rest.slice(0, flag < 0 ? rest.length : flag);
}

/** The flags that may be meant by an unknown one, as words; undefined without any. */
function meantFlag(message: string, verb: Verb | undefined): string | undefined {
  const [, given = ""] = /unknown option '--?([\w-]+)'/.exec(message) ?? [];
  const found = flagsFor(given, verb?.options.map(({ flag }) => flag) ?? []);
  return given === "" || found.length === 0 ? undefined : found.map((flag) => `--${flag}`).join(" or ");
}

/** The line with what is missing to be filled in. */
function filledIn({ arguments: places, options }: Verb, command: string, given: readonly string[]): NextStep {
  const rest = places.slice(given.length).filter(({ required }) => required);
  const words = [...given.map(shellWord), ...rest.map(({ field, choices: [first] = [] }) => first ?? `<${field}>`)];
  const flags = options.filter(({ required }) => required).map(({ flag, value }) => `--${flag} <${value}>`);
  return { intent: "Fill it in", command: [command, ...words, ...flags].join(" ") };
}

/** The line with a surplus word behind the flag that it was meant for, or without it. */
function withoutSurplus({ arguments: places, options }: Verb, command: string, given: readonly string[]): NextStep[] {
  const [kept, surplus] = [given.slice(0, places.length), given.slice(places.length)];
  const flag = options.find(({ completes, required, field }) => completes && (required || field === "for"));
  const words = [command, ...kept.map(shellWord)];
  if (flag && surplus.length === 1)
    return [{ intent: "Say what it is", command: [...words, `--${flag.flag}`, ...surplus.map(shellWord)].join(" ") }];
  const takesText = places.at(-1)?.type === "text" && places.at(-1)?.completes === undefined;
  const lacks = places.filter(({ required }) => required).length > kept.length;
  return takesText || lacks || command === "mu log" ? [] : [{ intent: "Leave the rest out", command: words.join(" ") }];
}

/** How a text that begins with a dash is given to a verb whose last argument is a text. */
function behindDashes({ arguments: places }: Verb, command: string): NextStep[] {
  const last = places.at(-1);
  if (last?.type !== "text" || last.completes !== undefined || last.choices !== undefined) return [];
  const before = places.slice(1).map(() => " '…'");
  return [{ intent: "Put a text that begins with - behind --", command: `${command}${before.join("")} -- '- a text'` }];
}

/** The same line with its last words as one text, where the verb ends with a text. */
function inQuotes(line: Line, verb: Verb | undefined): NextStep[] {
  const places = verb?.arguments ?? [];
  const last = places.at(-1);
  if (last?.type !== "text" || last.completes !== undefined || last.choices !== undefined) return [];
  const given = positional(line);
  if (given.length <= places.length) return [];
  const before = given.slice(0, places.length - 1).map(shellWord);
  const text = shellWord(given.slice(places.length - 1).join(" "));
  return [{ intent: "Put the text in quotes", command: ["mu", ...line.words, ...before, text].join(" ") }];
}

/** What a surplus argument may have been meant for. */
function meantBy(line: Line): NextStep[] {
  const [first = ""] = positional(line);
  if (line.words.join(" ") === "init")
    return [{ intent: "A workstream of that name", command: `mu workstream init ${shellWord(first)}` }];
  if (line.words.join(" ") !== "log") return [];
  const number = line.argv.find((word) => /^\d+$/.test(word));
  if (number !== undefined) return [{ intent: "Read the newest entries", command: `mu log -n ${number}` }];
  const text = positional(line).join(" ") || "…";
  return [
    { intent: "Write it to the log", command: `mu log write ${shellWord(text)}` },
    { intent: "Read what an agent or a person did", command: `mu log --source ${shellWord(text)}` },
    { intent: "Read the history of a task", command: `mu task history ${shellWord(text)}` },
  ];
}

/** Adds the usage line to every fault about usage, wherever it was found, and to a name that is a flag's the flag. */
export function withUsage(error: unknown, line: Line, verbs: readonly Verb[]): unknown {
  const verb = findVerb(line.words, verbs);
  if (!(error instanceof Fault) || verb === undefined) return error;
  const command = ["mu", ...line.words].join(" ");
  const given = positional(line);
  const { kind, code, message, nextSteps, details } = error;
  const flag =
    code.endsWith(".not_found") && verb.options.find(({ flag, type }) => type === "boolean" && given.includes(flag));
  if (flag)
    return new Fault(
      kind,
      code,
      message,
      [{ intent: "It is a flag", command: `${command} --${flag.flag}` }, ...nextSteps],
      details,
    );
  const [first = "", second] = given;
  if (code === "agent.not_found" && second !== undefined && isAgentName(second) && !isAgentName(first)) {
    const swapped = `${command} ${second} ${shellWord(first)}`;
    return new Fault(
      kind,
      code,
      message,
      [{ intent: "The name comes first", command: swapped }, ...nextSteps],
      details,
    );
  }
  if (!code.startsWith("usage.")) return error;
  const isMissing = code === "usage.invalid_input" && message.endsWith(" is missing.");
  const steps = isMissing ? [filledIn(verb, command, given), ...nextSteps] : nextSteps;
  return new Fault(kind, code, message, steps, { usage: usageOf(verb, command), ...details });
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

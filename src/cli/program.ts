import { Command, Argument as CommanderArgument, Option } from "commander";
import { type Argument, type Flag, flagName, flagSpelling, flagText, type Verb, wordsOf } from "../operations/verb.js";
import { TEXT_MARK } from "./argv.js";
import { rootHelp } from "./help.js";

/** What a parsed command line asks for. */
export interface Call {
  verb: Verb;
  input: Record<string, unknown>;
  /** The line says `--self`. */
  self: boolean;
}

const NOUNS: Readonly<Record<string, string>> = {
  agent: "Start, prompt, watch and close agents",
  asset: "Register files that were made, and list them",
  delivery: "Track prompts sent to agents",
  hooks: "Install the hooks through which agent CLIs report to mu",
  skill: "Teach agent CLIs to work with mu",
  audit: "Verify the chain of events",
  snapshot: "List, show, restore and delete snapshots of the database",
  db: "Maintain the database",
  notify: "Try how people are told",
  pricing: "Show, check and update the prices of models",
  role: "List, show and check the roles of the project",
  me: "Show who you are to mu, and your tasks",
  dispatch: "Start ready tasks by role, within their budgets",
  runs: "See what the dispatcher ran and what it cost",
  task: "Plan, claim and finish tasks",
  track: "Show which tracks of work can run in parallel",
  salvage: "Restore work saved from deleted or rewritten workspaces",
  workspace: "Manage the agents' checkouts",
  workstream: "Create, configure and destroy workstreams",
};

/**
 * A commander tree over `verbs`. When the line calls one of them, `found` gets it with its input. Parsing
 * throws commander's own errors and never ends the process.
 */
export function buildProgram(verbs: readonly Verb[], found: (call: Call) => void): Command {
  const program = new Command("mu")
    .description("Run crews of coding agents in tmux on one task graph")
    .usage("<noun> <verb> [options]")
    .configureHelp({ formatHelp: rootHelp })
    .option("-V, --version", "Print the version")
    .option("--json", "Print JSON")
    .helpCommand(false)
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .exitOverride();
  for (const verb of verbs) addVerb(program, verb, found);
  return program;
}

/** Descriptions wrap beside the longest of names, too. */
const HELP = { sortSubcommands: true, sortOptions: true, minWidthToWrap: 20 };

function addVerb(program: Command, verb: Verb, found: (call: Call) => void): void {
  for (const words of [wordsOf(verb.name), ...verb.aliases.map((alias) => alias.split(" "))]) {
    const command = descend(program, words);
    const canonical = wordsOf(verb.name).join(" ");
    const isAlias = words.join(" ") !== canonical;
    command
      .description(isAlias ? `Alias of \`mu ${canonical}\`` : verb.summary)
      .allowExcessArguments(false)
      .exitOverride();
    command.addHelpText("after", () => helpAfter(verb, command));
    for (const argument of verb.arguments) command.addArgument(commanderArgument(argument));
    for (const flag of verb.options) for (const option of commanderOptions(flag)) command.addOption(option);
    command.addOption(new Option("--json", "Print JSON"));
    if (takesLines(verb)) command.addOption(new Option("--raw", "Keep \\n in texts as it is, not as a new line"));
    if (!verb.options.some((flag) => flag.field === "yes")) {
      command.addOption(new Option("-y, --yes", "Accepted everywhere; this verb needs no confirmation").hideHelp());
    }
    if (verb.effect !== "read" && !verb.options.some((flag) => flag.field === "self")) {
      command.addOption(new Option("--self", "Act as a person, also in the pane of an agent CLI").hideHelp());
    }
    command.action(() => found({ verb, input: inputOf(verb, command), self: command.opts()["self"] === true }));
  }
}

/** The command at `words`, made with its parents where missing. */
function descend(program: Command, words: readonly string[]): Command {
  let command = program;
  for (const word of words) {
    let next = command.commands.find((child) => child.name() === word);
    if (next === undefined) {
      next = command.command(word).helpCommand(false).enablePositionalOptions().exitOverride();
      next.configureHelp(HELP);
      if (NOUNS[word] !== undefined) next.description(NOUNS[word]);
    }
    command = next;
  }
  return command;
}

function commanderArgument(argument: Argument): CommanderArgument {
  const name = flagName(argument.field);
  const text = argument.variadic ? `${name}...` : name;
  return new CommanderArgument(argument.required ? `<${text}>` : `[${text}]`, argument.description);
}

function commanderOptions(flag: Flag): Option[] {
  return [flag.flag, ...flag.aliases].map((spelling) => {
    const isAlias = spelling !== flag.flag;
    const written = flagSpelling(isAlias ? { ...flag, flag: spelling, short: "" } : flag);
    const option = new Option(written, isAlias ? `Alias of --${flag.flag}` : flagText(flag));
    option.attributeName = () => flag.field;
    // `--no-check` of a field `noCheck` is a flag like any other; of a field `check` it would turn that one off.
    option.negate = spelling === `no-${flagName(flag.field)}`;
    if (flag.type === "list") option.argParser((text, before) => [...((before as string[] | undefined) ?? []), text]);
    return option;
  });
}

function helpAfter(verb: Verb, command: Command): string {
  const lines = [];
  if (verb.description !== "") lines.push("", command.createHelp().boxWrap(verb.description, helpWidth(command)));
  lines.push("", "Examples:");
  for (const { command, shows, fault } of verb.examples) {
    if (fault === undefined) lines.push(`  ${command}`, `      ${shows}`);
  }
  return lines.join("\n");
}

/** The width in columns that commander wraps the rest of the help to. */
function helpWidth(command: Command): number {
  return command.configureOutput().getOutHelpWidth?.() ?? 80;
}

/** Whether the verb has texts that can have several lines. */
export const takesLines = (verb: Verb) => [...verb.arguments, ...verb.options].some(({ lines }) => lines);

/** The words that commander collected, as the verb's raw input: numbers read, lists of names split at commas. */
function inputOf(verb: Verb, command: Command): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  const options = command.opts<Record<string, Written>>();
  const read = (field: Argument | Flag, value: Written) =>
    convert(options["raw"] ? { ...field, lines: false } : field, value);
  const replaced = verb.options.find(({ field, replaces }) => replaces && options[field])?.replaces;
  const places = verb.arguments.filter(({ field }) => field !== replaced);
  const surplus = command.processedArgs[places.length] as string | string[] | undefined;
  if (replaced !== undefined && surplus !== undefined && surplus.length > 0) tooMany(command, places.length);
  places.forEach((argument, index) => {
    const value = command.processedArgs[index] as string | string[] | undefined;
    if (value === undefined || (argument.variadic && value.length === 0 && !argument.required)) return;
    input[argument.field] = read(argument, value);
  });
  for (const flag of verb.options) {
    const value = options[flag.field];
    if (value !== undefined) input[flag.field] = read(flag, value);
  }
  return input;
}

function tooMany(command: Command, most: number): never {
  command.error(`too many arguments: expected ${most}`, { code: "commander.excessArguments" });
}

type Written = string | string[] | boolean;

function convert(field: Argument | Flag, written: Written): unknown {
  const value = textOf(written, field.lines === true);
  if (field.type === "list") {
    const items = Array.isArray(value) ? value : [String(value)];
    return (field.commas ? items.flatMap(fragments) : items).map((item) => choiceOf(field, item));
  }
  if (field.type === "number") {
    return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(String(value)) ? Number(value) : value;
  }
  if (field.type === "json") return parsedJson(String(value));
  return choiceOf(field, value);
}

/** A choice in any case: `open` for OPEN. */
function choiceOf({ choices = [] }: Argument | Flag, value: Written): unknown {
  if (typeof value !== "string" || choices.includes(value)) return value;
  return choices.find((choice) => choice.toLowerCase() === value.toLowerCase()) ?? value;
}

/** The word as it was meant: agents write `\n` where a shell gives them no way to type a new line. */
function textOf(written: Written, lines: boolean): Written {
  if (typeof written === "boolean") return written;
  if (Array.isArray(written)) return written.map((text) => textOf(text, lines) as string);
  const text = written.startsWith(TEXT_MARK) ? written.slice(TEXT_MARK.length) : written;
  return lines ? text.replace(/(?<!\\)\\n/g, "\n") : text;
}

/** `a, b` as two; braces keep a glob like `src/{a,b}.ts` in one piece. A lone `""` empties the list. */
function fragments(text: string): string[] {
  return text === "" ? [] : text.split(/,(?![^{]*\})/).map((fragment) => fragment.trim());
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

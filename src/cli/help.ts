import type { Command } from "commander";

/** What a person does first, each with what it is for. */
const FIRST_STEPS = [
  ["mu demo", "Watch scripted agents do it"],
  ["mu workstream init shop", "A workstream for this folder"],
  ["mu task add fix --title 'Fix the login'", "A task"],
  ["mu agent spawn ada --task fix", "An agent that starts on it"],
  ["mu state", "Who does what, and what is ready"],
  ["mu land", "Finished work, onto the main branch"],
] as const;

/** The commands of the top, by what one is about to do. The last group is for those who automate. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  Plan: ["init", "workstream", "task", "track", "plan", "forecast", "role"],
  Crew: ["agent", "delivery", "dispatch", "runs", "budget", "kill", "resume", "freeze", "thaw"],
  Land: ["review", "land", "workspace", "salvage"],
  Look: ["top", "state", "inbox", "escalations", "log", "report", "me", "prime", "demo"],
  Repair: ["doctor", "undo", "reconcile", "recover", "audit", "backup", "snapshot"],
};
const PLUMBING = "Plumbing";

/** The widest line, in columns, and where the text of a command begins. */
const WIDTH = 80;
const TEXT_AT = 15;

/** The help of `mu` itself: first steps, then the commands in groups. */
export function rootHelp(program: Command): string {
  const known = new Map(program.commands.map((command) => [command.name(), shorten(command.description())]));
  const grouped = Object.values(GROUPS).flat();
  const others = [...known.keys()].filter((name) => !grouped.includes(name)).sort();
  const group = ([title, names]: [string, readonly string[]]) => [
    "",
    `${title}:`,
    ...names.filter((name) => known.has(name)).map((name) => `  ${name.padEnd(TEXT_AT - 2)}${known.get(name)}`),
  ];
  const widest = Math.max(...FIRST_STEPS.map(([command]) => command.length));
  return [
    `Usage: mu ${program.usage()}`,
    "",
    program.description(),
    "",
    "First steps:",
    ...FIRST_STEPS.map(([command, what]) => `  ${command.padEnd(widest)}   ${what}`),
    ...Object.entries(GROUPS).flatMap(group),
    "",
    `${PLUMBING}:`,
    ...program
      .createHelp()
      .boxWrap(others.join(", "), WIDTH - 2)
      .split("\n")
      .map((line) => `  ${line}`),
    "",
    "mu <command> --help shows its verbs, flags and examples.",
    "--json prints JSON, --version the version; MU_HINTS=0 leaves next steps out.",
    "",
  ].join("\n");
}

/** The first part of a text that is too long for its line. */
function shorten(text: string): string {
  return text.length <= WIDTH - TEXT_AT ? text : (text.split(/[:;,]/, 1)[0] ?? text);
}

import { synopsis } from "./cli/usage.js";
import { describeVerb } from "./operations/describe.js";
import { loadOperations } from "./operations/index.js";
import { flagSpelling, flagText, type Verb, wordsOf } from "./operations/verb.js";
import { settingRows, settingsSchema } from "./project/read.js";

/** A file that is made from the operations; `render` gets its present text. */
export interface GeneratedFile {
  path: string;
  render: (before: string) => string;
}

/** Everything that is generated: the command line's manifest, the reference, the schema of the settings file, the skill's table of verbs. */
export async function generatedFiles(): Promise<GeneratedFile[]> {
  const verbs = (await loadOperations()).map(describeVerb);
  return [
    { path: "src/operations/manifest.ts", render: () => manifest(verbs) },
    { path: "docs/reference.md", render: () => reference(verbs) },
    { path: "docs/settings.schema.json", render: () => `${JSON.stringify(settingsSchema(), null, 2)}\n` },
    { path: "skills/mu/SKILL.md", render: (before) => betweenMarks(before, verbTable(verbs)) },
  ];
}

function manifest(verbs: readonly Verb[]): string {
  const rows = verbs.map((verb) => `  ${JSON.stringify(verb)},`).join("\n");
  return `import type { Verb } from "./verb.js";

/** Made by \`npm run docs\` from the operations, so that parsing a command line loads no schema. */
// biome-ignore format: a generated table reads best as one row a verb
export const VERBS: readonly Verb[] = [
${rows}
];
`;
}

function reference(verbs: readonly Verb[]): string {
  const sections = verbs.map(section).join("\n");
  return `# Reference

Made from the operations by \`npm run docs\`. Every verb also takes \`--json\`, and \`-w\` and \`--yes\` anywhere on
the line; in notes, descriptions, reasons and evidence \`\\n\` begins a new line unless the line has \`--raw\`.
Commas separate names in lists of names only. \`mu schema <verb>\` prints its input and output as JSON schemas. Exit codes: 0 done, 1 a check came
out red or a bug, 2 usage, 3 not found, 4 conflict, 5 unavailable or timed out, 6 a watched task's owner died,
7 a watched task stalled, 8 a watched task was rejected, deferred or deleted,
130 or 143 ended by SIGINT or SIGTERM.

${sections}
${settings()}`;
}

function settings(): string {
  const rows = settingRows().map((row) => `| \`${row[0]}\` | ${row[3]} | ${row[1]} | \`${row[2]}\` |`);
  return `## The settings file

\`.mu/settings.json\` in the project folder, plain JSON. Every key may be left out, and so may the file. Its JSON schema is
[settings.schema.json](settings.schema.json).

| key | what it is | value | default |
| --- | --- | --- | --- |
${rows.join("\n")}
`;
}

function section(verb: Verb): string {
  const lines = [`## mu ${verb.name.replace(".", " ")}`, "", `${verb.summary}. *${verb.effect}*`, ""];
  if (verb.description !== "") lines.push(verb.description, "");
  lines.push("```", synopsis(verb), "```", "");
  if (verb.aliases.length > 0) lines.push(`Also: ${verb.aliases.map((alias) => `\`mu ${alias}\``).join(", ")}.`, "");
  const rows = [
    ...verb.arguments.map((argument) => [`<${argument.field}>`, argument.description]),
    ...verb.options.map((flag) => [flagSpelling(flag), flagText(flag)]),
  ];
  if (rows.length > 0) {
    lines.push("| | |", "| --- | --- |");
    for (const [name, text] of rows) lines.push(`| \`${name}\` | ${text?.replaceAll("|", "\\|")} |`);
    lines.push("");
  }
  for (const { command, shows, fault } of verb.examples) {
    lines.push(`- \`${command}\` — ${fault ? `refused (\`${fault}\`): ` : ""}${shows}`);
  }
  return `${lines.join("\n")}\n`;
}

/** Nouns that an agent in a pane works with; the rest is for the person who runs the crew. */
const AGENTS_NOUNS = ["task", "me", "track", "log", "state", "prime"];

/** One row a verb, for an agent that must find the right one fast. */
function verbTable(verbs: readonly Verb[]): string {
  const own = verbs.filter((verb) => AGENTS_NOUNS.includes(wordsOf(verb.name)[0] ?? ""));
  const rows = own.map((verb) => `| \`${synopsis(verb).replace(" [options]", "")}\` | ${verb.summary} |`);
  return ["| verb | what it does |", "| --- | --- |", ...rows].join("\n");
}

const START = "<!-- verbs: made by npm run docs -->";
const END = "<!-- /verbs -->";

function betweenMarks(text: string, table: string): string {
  const from = text.indexOf(START);
  const to = text.indexOf(END);
  if (from < 0 || to < 0) return text;
  return `${text.slice(0, from + START.length)}\n${table}\n${text.slice(to)}`;
}

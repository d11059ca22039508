import * as z from "zod";
import { listAgents } from "../agents/agent.js";
import { insteadOfFault } from "../errors.js";
import { listTasks } from "../tasks/task.js";
import type { App } from "./app.js";
import { field } from "./fields.js";
import { defineOperation, listed, listOf } from "./operation.js";
import { findWorkstream } from "./resolve.js";
import { type Verb, wordsOf } from "./verb.js";

/** At most this many names from the database: a shell shows no more in any useful way. */
const MOST_NAMES = 200;

interface Candidate {
  value: string;
  about: string;
}

export const complete = defineOperation({
  name: "complete",
  summary: "Print completions for a command line",
  description: "Called by the completion scripts. The last word is the one being typed; it can be empty.",
  effect: "read",
  input: () => ({ words: field(z.array(z.string()).default([]), "Words after mu; the last one is being typed") }),
  output: listOf({ value: "string", about: "string" }),
  positional: ["words"],
  examples: [
    { command: "mu complete -- task cl", shows: "task verbs that start with cl" },
    { command: "mu complete -- task claim ''", shows: "names of tasks" },
    { command: "mu complete --shell bash", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run(app, { words }) {
    const typed = words.at(-1) ?? "";
    const found = await candidates(app, words.slice(0, -1), typed);
    const items = found.filter((candidate) => candidate.value.startsWith(typed));
    return listed(items);
  },
  render: ({ items }) => items.map((item) => `${item.value}\t${item.about}`).join("\n"),
});

async function candidates(app: App, before: readonly string[], typed: string): Promise<Candidate[]> {
  const { verbs } = app.program.registry;
  const { verb, used } = verbOf(verbs, before);
  const next = verb === undefined || used === before.length ? nextWords(verbs, before) : [];
  if (verb === undefined) return next;
  const flag = verb.options.find((option) => takesValueOf(option, before.at(-1) ?? ""));
  if (flag !== undefined && flag.type !== "boolean") return valuesOf(app, flag, before);
  if (typed.startsWith("-")) return flagsOf(verb);
  const given = before.slice(used).filter((word) => !word.startsWith("-")).length;
  const argument = verb.arguments[Math.min(given, verb.arguments.length - 1)];
  return [...next, ...(argument === undefined ? flagsOf(verb) : await valuesOf(app, argument, before))];
}

/** The longest run of words that calls a verb. */
function verbOf(verbs: readonly Verb[], words: readonly string[]): { verb: Verb | undefined; used: number } {
  for (let used = words.length; used > 0; used--) {
    const name = words.slice(0, used).join(".");
    const verb = verbs.find((candidate) => candidate.name === name);
    if (verb !== undefined) return { verb, used };
  }
  return { verb: undefined, used: 0 };
}

function nextWords(verbs: readonly Verb[], before: readonly string[]): Candidate[] {
  const found = new Map<string, string>();
  for (const verb of verbs) {
    const words = wordsOf(verb.name);
    if (words.length <= before.length || !before.every((word, at) => word === words[at])) continue;
    const word = words[before.length] as string;
    found.set(word, words.length === before.length + 1 ? verb.summary : (found.get(word) ?? `${word} …`));
  }
  return [...found].map(([value, text]) => ({ value, about: text }));
}

const takesValueOf = (flag: Verb["options"][number], word: string) =>
  word === `--${flag.flag}` || (flag.short !== undefined && word === `-${flag.short}`);

function flagsOf(verb: Verb): Candidate[] {
  return [...verb.options.map((flag) => ({ value: `--${flag.flag}`, about: flag.description })), JSON_FLAG];
}

const JSON_FLAG = { value: "--json", about: "Print JSON" };

async function valuesOf(
  app: App,
  field: { completes?: string; choices?: string[] },
  before: readonly string[],
): Promise<Candidate[]> {
  if (field.choices) return field.choices.map((value) => ({ value, about: "" }));
  const { db } = app.context.store;
  if (field.completes === "workstream") {
    const rows = await db.selectFrom("workstreams").select("name").orderBy("name").limit(MOST_NAMES).execute();
    return rows.map((row) => ({ value: row.name, about: "workstream" }));
  }
  const scope = await findWorkstream(app, namedWorkstream(before));
  if (scope === undefined) return [];
  if (field.completes === "task") {
    const filter = { workstream: scope, sort: "recency", limit: MOST_NAMES } as const;
    const tasks = await listTasks(db, filter).catch(insteadOfFault([]));
    return tasks.map(({ name, title }) => ({ value: name, about: title.replace(/\s+/g, " ").slice(0, 60) }));
  }
  if (field.completes === "agent") {
    const agents = await listAgents(db, scope, { people: true }).catch(insteadOfFault([]));
    return agents.slice(0, MOST_NAMES).map(({ name, cli }) => ({ value: name, about: cli }));
  }
  return [];
}

function namedWorkstream(words: readonly string[]): string | undefined {
  const at = words.findIndex((word) => word === "-w" || word === "--workstream");
  return at < 0 ? undefined : words[at + 1];
}

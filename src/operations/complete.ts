import * as z from "zod";
import { listAgents } from "../agents/agent.js";
import { insteadOfFault } from "../errors.js";
import { listTasks } from "../tasks/task.js";
import { CLI_KEYS } from "./agent/shapes.js";
import { type App, defineOperation, listed, listOf } from "./define.js";
import { field } from "./fields.js";
import { projectOf } from "./project.js";
import { findWorkstream } from "./resolve.js";
import { type Argument, type Flag, findVerb, type Verb, wordsOf } from "./verb.js";

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
  input: () => ({
    words: field(z.array(z.string()).default([]), "Words after mu; the last one is being typed"),
  }),
  output: listOf({ value: "string", about: "string" }),
  positional: ["words"],
  examples: [
    { command: "mu complete -- task cl", shows: "task verbs that start with cl" },
    { command: "mu complete -- task claim ''", shows: "names of tasks" },
    { command: "mu complete --shell bash", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run(app, { words }) {
    const last = words.at(-1) ?? "";
    const typed = last === "=" ? "" : last;
    const found = await candidates(app, words.slice(0, -1), typed);
    return listed(found.filter(({ value }) => value.startsWith(typed)));
  },
  render: ({ items }) => items.map((item) => `${item.value}\t${item.about}`).join("\n"),
});

async function candidates(app: App, before: readonly string[], typed: string): Promise<Candidate[]> {
  const { verbs } = app.program.registry;
  const line = readWords(verbs, before);
  const { verb, words, used } = line;
  if (line.open !== undefined) return valuesOf(app, line.open, line, typed);
  if (typed.startsWith("-") && !line.ended) {
    const [name = ""] = typed.split("=", 1);
    const flag = flagAt(verb, name);
    if (flag === undefined || name === typed) return flagsOf(verb);
    const values = await valuesOf(app, flag, line, typed.slice(name.length + 1));
    return values.map(({ value, about }) => ({ value: `${name}=${value}`, about }));
  }
  const next = verb === undefined || used === words.length ? nextWords(verbs, words) : [];
  if (verb === undefined) return next;
  const argument = verb.arguments[Math.min(words.length - used, verb.arguments.length - 1)];
  return [...next, ...(argument === undefined ? flagsOf(verb) : await valuesOf(app, argument, line, typed))];
}

/** The words before the one being typed. */
interface Line {
  /** The verb that the longest run of words calls, and how many those are. */
  verb: Verb | undefined;
  used: number;
  /** All that is neither a flag nor the value of one. */
  words: string[];
  /** The flag whose value is being typed. */
  open: Flag | undefined;
  workstream: string | undefined;
  /** After `--`, where no flag can follow. */
  ended: boolean;
}

function readWords(verbs: readonly Verb[], before: readonly string[]): Line {
  const line: Line = { verb: undefined, used: 0, words: [], open: undefined, workstream: undefined, ended: false };
  const take = (flag: Flag | undefined, value: string) => {
    if (flag?.field === "workstream") line.workstream = value;
  };
  for (const word of before) {
    if (line.open !== undefined) {
      // Bash makes three words of `--cli=pi`.
      if (word === "=") continue;
      take(line.open, word);
      line.open = undefined;
    } else if (line.ended || !word.startsWith("-")) {
      line.words.push(word);
      const verb =
        line.words.length === line.used + 1 || line.verb === undefined ? findVerb(line.words, verbs) : undefined;
      if (verb !== undefined) Object.assign(line, { verb, used: line.words.length });
    } else if (word === "--") {
      line.ended = true;
    } else {
      const [name = ""] = word.split("=", 1);
      const flag = flagAt(line.verb, name);
      if (name !== word) take(flag, word.slice(name.length + 1));
      else if (flag !== undefined && flag.type !== "boolean") line.open = flag;
    }
  }
  return line;
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

/** A flag of the verb, or one that may stand before every verb. */
function flagAt(verb: Verb | undefined, word: string): Flag | undefined {
  const spells = ({ flag, short, aliases }: Flag) =>
    [flag, ...aliases].some((name) => word === `--${name}`) || word === `-${short}`;
  return [...(verb?.options ?? []), WORKSTREAM].find(spells);
}

function flagsOf(verb: Verb | undefined): Candidate[] {
  const flags = verb?.options ?? [WORKSTREAM];
  return [...flags.map((flag) => ({ value: `--${flag.flag}`, about: flag.description })), JSON_FLAG];
}

const JSON_FLAG = { value: "--json", about: "Print JSON" };

const WORKSTREAM: Flag = {
  field: "workstream",
  flag: "workstream",
  short: "w",
  aliases: [],
  type: "text",
  value: "name",
  description: "Workstream",
  required: false,
  completes: "workstream",
};

/** Values for what is typed; in a list with commas, for its last item. */
async function valuesOf(app: App, field: Argument | Flag, line: Line, typed: string): Promise<Candidate[]> {
  const found = field.choices?.map((value) => ({ value, about: "" })) ?? (await namesOf(app, field.completes, line));
  if (!field.commas) return found;
  const items = typed.split(",").slice(0, -1);
  const left = found.filter(({ value }) => !items.includes(value));
  return left.map(({ value, about }) => ({ value: [...items, value].join(","), about }));
}

async function namesOf(app: App, kind: string | undefined, { workstream }: Line): Promise<Candidate[]> {
  const { db } = app.context.store;
  if (kind === "workstream") {
    const rows = await db.selectFrom("workstreams").select("name").orderBy("name").limit(MOST_NAMES).execute();
    return rows.map((row) => ({ value: row.name, about: "workstream" }));
  }
  if (kind === "cli") return CLI_KEYS.map((value) => ({ value, about: "" }));
  const scope = kind === undefined ? undefined : await findWorkstream(app, workstream);
  if (scope === undefined) return [];
  if (kind === "task") {
    const filter = { workstream: scope, sort: "recency", limit: MOST_NAMES } as const;
    const tasks = await listTasks(db, filter).catch(insteadOfFault([]));
    return tasks.map(({ name, title }) => ({ value: name, about: title.replace(/\s+/g, " ").slice(0, 60) }));
  }
  if (kind === "group") return [];
  const agents = await listAgents(db, scope, { people: true }).catch(insteadOfFault([]));
  if (kind === "agent") return agents.slice(0, MOST_NAMES).map(({ name, cli }) => ({ value: name, about: cli }));
  const roles = await db
    .selectFrom("tasks as t")
    .innerJoin("workstreams as w", "w.id", "t.workstream_id")
    .select("t.role")
    .where("w.name", "=", scope)
    .distinct()
    .limit(MOST_NAMES)
    .execute();
  const known = Object.keys((await projectOf(app, scope).catch(insteadOfFault(undefined)))?.settings.roles ?? {});
  const all = [...known, ...[...agents, ...roles].flatMap(({ role }) => role ?? [])];
  return [...new Set(all)].sort().map((value) => ({ value, about: "role" }));
}

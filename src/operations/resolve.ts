import { resolve, sep } from "node:path";
import type * as z from "zod";
import type { Reader } from "../db/schema.js";
import { Fault } from "../errors.js";
import { counted, parseRef, quote, type TaskRef } from "../names.js";
import { parseAwaited } from "../tasks/edge.js";
import { isPastWorkstream, workstreamRow } from "../workstreams/workstream.js";
import type { App } from "./app.js";
import { type FieldNotes, type Naming, notesOf } from "./fields.js";
import { type Operation, step } from "./operation.js";

/** What a verb is given, by the names of its fields. */
export type Input = Readonly<Record<string, unknown>>;

interface Field extends FieldNotes {
  name: string;
}

/** A name in the input, as it was given. */
interface Mention {
  field: string;
  names: Naming;
  text: string;
  workstream?: string | undefined;
}

/**
 * The input with every name in it resolved, once and before the verb runs: tasks, agents and people become references,
 * and the fields that say which workstream the call is about get its name.
 *
 * A call is about one workstream: the one that `-w` names, else the one that a name carries, given by position before
 * given by a flag; else the caller's, else the one whose root holds the current folder, else the only one with a task of
 * that name. Names of another workstream are refused, but blockers, which the core refuses with what to do, and the
 * names of a verb that spans workstreams. Faults `usage.two_workstreams`, `usage.all_and_one`, `workstream.required`,
 * `workstream.not_found`, `task.ambiguous`, `task.invalid_level`.
 */
export async function resolveNames(operation: Operation, schema: z.ZodObject, input: Input, app: App): Promise<Input> {
  const fields = Object.entries(schema.shape).map(([name, field]) => ({ name, ...notesOf(field as z.ZodType) }));
  const mentions = fields.flatMap((field) => mentionsIn(field, input[field.name]));
  const scopes = fields.filter(({ scope }) => scope !== undefined);
  const scope = scopes[0]?.scope;
  if (scope === undefined) return input;
  const all = fields.find(({ everywhere, name }) => everywhere && input[name] === true);
  const given = scopes.flatMap(({ name }) => (typeof input[name] === "string" ? [String(input[name])] : []));
  const carried = leading(operation, mentions).flatMap(({ workstream }) => workstream ?? []);
  const named = operation.spans ? [...new Set(given)] : [...new Set([...given, ...carried])];
  if (all !== undefined && named[0] !== undefined) throw allAndOne(all.name, named[0]);
  if (named[1] !== undefined) throw twoWorkstreams(named[1], named[0] ?? "");

  const isOpen = all === undefined && (scope === "one" || scope === "any");
  const found = isOpen ? await findWorkstream(app, named[0]) : named[0];
  const workstream = found ?? (isOpen ? await workstreamOfTask(app, operation, mentions) : undefined);
  const isNew = scopes.some(({ unlessGiven }) => unlessGiven !== undefined && input[unlessGiven] === true);
  // The core refuses a blocker of another workstream, and says how to bring it here.
  const crosses = mentions.some((one) => one.names === "blocker" && (one.workstream ?? workstream) !== workstream);
  const isChecked = scope !== "chain" && !isNew && (operation.spans || !crosses);
  if (workstream !== undefined && isChecked) await requireKnown(app.context.store.db, workstream, scopes);
  if (workstream === undefined && all === undefined && scope === "one") throw workstreamRequired();

  const told = scopes.filter(({ name }) => name === "workstream" || input[name] !== undefined);
  const resolved = told.map(({ name }): [string, unknown] => [name, workstream]);
  for (const { name } of fields) {
    const own = mentions.filter(({ field }) => field === name);
    if (own.length === 0) continue;
    const refs = await Promise.all(
      own.map((mention) =>
        referenceOf(app, mention, { workstream, given: given[0], spans: operation.spans, all: all?.name }),
      ),
    );
    resolved.push([name, Array.isArray(input[name]) ? refs : refs[0]]);
  }
  return { ...input, ...Object.fromEntries(resolved) };
}

async function requireKnown(db: Reader, workstream: string, scopes: readonly Field[]): Promise<void> {
  if (scopes.some(({ past }) => past) && (await isPastWorkstream(db, workstream))) return;
  await workstreamRow(db, workstream);
}

function mentionsIn({ name: field, names }: Field, value: unknown): Mention[] {
  if (names === undefined || value === undefined) return [];
  const texts = [value].flat().filter((text) => typeof text === "string");
  return texts.map((text) => ({ field, names, text, workstream: workstreamIn(names, text) }));
}

/** A save is `agent/n` or `workstream/agent/n`. */
function workstreamIn(names: Naming, text: string): string | undefined {
  if (names === "save" && text.split("/").length < 3) return undefined;
  return parseRef(text).workstream;
}

/** The names that say which workstream the call is about: a blocker never does, and a save can outlive its own. */
function leading({ positional = [] }: Operation, mentions: readonly Mention[]): Mention[] {
  const leaders = mentions.filter(({ names }) => names !== "blocker" && names !== "save");
  const first = leaders.filter(({ field }) => positional.includes(field));
  return first.length > 0 ? first : leaders;
}

interface Surroundings {
  workstream: string | undefined;
  /** What `-w` says. */
  given: string | undefined;
  spans: true | undefined;
  /** The flag that widens the call to all workstreams, if it is given. */
  all: string | undefined;
}

async function referenceOf(app: App, mention: Mention, { workstream, given, spans, all }: Surroundings) {
  const { names, text } = mention;
  if (all !== undefined && mention.workstream !== undefined) throw allAndOne(all, mention.workstream);
  const bound = names === "save" ? given : names === "blocker" || spans ? undefined : workstream;
  if (bound !== undefined && mention.workstream !== undefined && mention.workstream !== bound) {
    throw twoWorkstreams(text, bound);
  }
  if (names === "save") return text;
  const { task, until } = names === "blocker" ? parseAwaited(text) : { task: text, until: undefined };
  const { name, workstream: own = workstream } = parseRef(task);
  if (own !== undefined || names === "person") return { workstream: own, name, ...(until && { until }) };
  if (names === "agent") throw workstreamRequired();
  return { ...(await onlyTaskNamed(app.context.store.db, name)), ...(until && { until }) };
}

/** The workstream that is meant: the one named, else the caller's, else the one of the current folder; or undefined. */
export async function findWorkstream(app: App, named?: string): Promise<string | undefined> {
  return named ?? app.caller.workstream ?? (await workstreamOfFolder(app.context.store.db, app.request.cwd));
}

async function workstreamOfFolder(db: Reader, cwd: string): Promise<string | undefined> {
  const rows = await db.selectFrom("workstreams").select(["name", "root"]).where("root", "is not", null).execute();
  const here = resolve(cwd) + sep;
  const holding = rows.filter((row) => here.startsWith(resolve(row.root ?? "") + sep));
  return holding.sort((a, b) => (b.root?.length ?? 0) - (a.root?.length ?? 0))[0]?.name;
}

/** The only workstream that has the task that the call is about, where nothing else says which. */
async function workstreamOfTask(app: App, operation: Operation, mentions: readonly Mention[]) {
  const first = mentions.find(({ field }) => operation.positional?.includes(field));
  if (first?.names !== "task" || operation.spans) return undefined;
  return (await onlyTaskNamed(app.context.store.db, first.text)).workstream;
}

async function onlyTaskNamed(db: Reader, name: string): Promise<TaskRef> {
  const found = await db
    .selectFrom("tasks as t")
    .innerJoin("workstreams as w", "w.id", "t.workstream_id")
    .select(["w.name as workstream", "t.name"])
    .where("t.name", "=", name)
    .orderBy("w.name")
    .execute();
  const [only, ...others] = found;
  if (only === undefined) throw workstreamRequired();
  if (others.length === 0) return only;
  throw new Fault(
    "conflict",
    "task.ambiguous",
    `${counted(found.length, "workstream")} have a task named ${quote(name)}.`,
    found.map((task) => step(`Show the one in ${task.workstream}`, `mu task show ${task.workstream}/${name}`)),
  );
}

function workstreamRequired(): Fault {
  return new Fault(
    "usage",
    "workstream.required",
    "No workstream given. Pass -w <name>, set MU_WORKSTREAM, or run mu inside a workstream's folder.",
    [step("List the workstreams", "mu workstream list"), step("Start one here", "mu workstream init <name>")],
  );
}

function twoWorkstreams(text: string, workstream: string): Fault {
  return new Fault(
    "usage",
    "usage.two_workstreams",
    `${quote(text)} is not in ${quote(workstream)}. Name one workstream.`,
  );
}

function allAndOne(flag: string, workstream: string): Fault {
  return new Fault("usage", "usage.all_and_one", `Give --${flag} or the workstream ${quote(workstream)}, not both.`);
}

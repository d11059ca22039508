import type { SetFields } from "../db/task-columns.js";
import { Fault } from "../errors.js";
import { checkTaskName, didYouMean, quote, slug } from "../names.js";
import { isObject } from "../shape.js";
import { PLANNED_FIELDS, type TaskColumns, taskColumns } from "./fields.js";
import type { NewNote } from "./notes.js";
import { readLongYaml, type YamlContent } from "./yaml.js";

/** Steps from a document's top to a value in it: `["tasks", 17, "blockedBy", 0]`. */
export type PlanPath = readonly (string | number)[];

/** Describes where in its document a value is, for people. */
export type Place = (path: PlanPath) => string;

/** A task of a plan. Fields that are not given keep their value, or get the default in a new task. */
export type PlanTask = SetFields<"by verbs and plans"> & {
  title: string;
  /** Derived from the title by default. */
  name?: string | undefined;
  /** Tasks of the plan, earlier or later ones, or of the workstream: `design`, or `design@landed`. */
  blockedBy?: readonly string[] | undefined;
  notes?: readonly (string | NewNote)[] | undefined;
};

/** Tasks with their edges and notes, to apply to a workstream in one write. */
export interface Plan {
  tasks: readonly PlanTask[];
}

/** A task of a plan, checked. */
export interface PlannedTask {
  name: string;
  /** The fields that are given, as they are stored. */
  columns: TaskColumns;
  blockedBy: readonly string[];
  notes: readonly NewNote[];
}

const KEYS: ReadonlySet<string> = new Set([...PLANNED_FIELDS, "name", "blockedBy", "notes"]);

/**
 * Checks a plan from anywhere; every fault begins with its place. Faults `plan.invalid`,
 * `plan.duplicate_name`, `task.invalid_name`, `task.invalid_field`.
 */
export function plannedTasks(plan: unknown, place: Place): PlannedTask[] {
  if (!isObject(plan)) throw invalid(place, [], "must be an object with a list of tasks");
  for (const key of Object.keys(plan)) if (key !== "tasks") throw unknownKey(place, [key], ["tasks"]);
  if (!Array.isArray(plan.tasks)) throw invalid(place, ["tasks"], "must be a list of tasks");

  const places = new Map<string, number>();
  return plan.tasks.map((task: unknown, index) => {
    const planned = plannedTask(task, ["tasks", index], place);
    const earlier = places.get(planned.name);
    if (earlier !== undefined) throw duplicate(planned.name, place(["tasks", earlier]), place(["tasks", index]));
    places.set(planned.name, index);
    return planned;
  });
}

function plannedTask(task: unknown, path: PlanPath, place: Place): PlannedTask {
  if (!isObject(task)) throw invalid(place, path, "must be an object with at least a title");
  for (const key of Object.keys(task)) if (!KEYS.has(key)) throw unknownKey(place, [...path, key], KEYS);
  if (task.title === undefined) throw invalid(place, path, "has no title");
  const columns = columnsOf(task, path, place);
  return {
    name: nameOf(task, path, place),
    columns,
    blockedBy: listOf(task, "blockedBy", path, place).map((name, index) => {
      if (typeof name === "string") return name;
      throw invalid(place, [...path, "blockedBy", index], "must be a task name");
    }),
    notes: listOf(task, "notes", path, place).map((note, index) => noteOf(note, [...path, "notes", index], place)),
  };
}

function columnsOf(task: Record<string, unknown>, path: PlanPath, place: Place): TaskColumns {
  const fields: Record<string, unknown> = {};
  for (const field of PLANNED_FIELDS) if (task[field] !== undefined) fields[field] = task[field];
  try {
    return taskColumns(fields);
  } catch (error) {
    if (error instanceof Fault) throw placed(error, place, [...path, String(error.details.field)]);
    // JSON.stringify throws these two at what is not JSON: a loop of YAML anchors, or a value nested too deeply.
    if (error instanceof TypeError || error instanceof RangeError) {
      throw invalid(place, [...path, "payload"], "must be a JSON value of moderate depth");
    }
    throw error;
  }
}

function nameOf(task: Record<string, unknown>, path: PlanPath, place: Place): string {
  const { name } = task;
  if (name === undefined) {
    const made = slug(String(task.title));
    if (made !== "") return made;
    throw invalid(place, path, "needs a name: its title has no letter or digit to make one from");
  }
  if (typeof name !== "string") throw invalid(place, [...path, "name"], "must be a name in quotes");
  atPlace(place, [...path, "name"], () => checkTaskName(name));
  return name;
}

function listOf(task: Record<string, unknown>, key: string, path: PlanPath, place: Place): unknown[] {
  const list = task[key];
  if (list === undefined) return [];
  if (Array.isArray(list)) return list;
  throw invalid(place, [...path, key], "must be a list");
}

function noteOf(note: unknown, path: PlanPath, place: Place): NewNote {
  if (typeof note === "string") return { text: note };
  if (!isObject(note) || typeof note.text !== "string") {
    throw invalid(place, path, "must be text, or an object with a text");
  }
  for (const key of Object.keys(note)) if (!NOTE_KEYS.includes(key)) throw unknownKey(place, [...path, key], NOTE_KEYS);
  return note as unknown as NewNote;
}

const NOTE_KEYS = ["text", "kind", "rationale"];

/** Runs `check`; its fault then begins with the place of `path`. */
export function atPlace<T>(place: Place, path: PlanPath, check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw error instanceof Fault ? placed(error, place, path) : error;
  }
}

/** The same fault, with its place before the message and in its details. */
export function placed(fault: Fault, place: Place, path: PlanPath): Fault {
  const where = place(path);
  return new Fault(fault.kind, fault.code, `${where}: ${fault.message}`, fault.nextSteps, {
    ...fault.details,
    place: where,
  });
}

function invalid(place: Place, path: PlanPath, rule: string, hint = ""): Fault {
  const where = place(path);
  return new Fault("usage", "plan.invalid", `${where}: ${rule}.${hint}`, SEE_PLAN, { place: where });
}

function unknownKey(place: Place, path: PlanPath, known: Iterable<string>): Fault {
  const key = String(path.at(-1));
  const hint = key === "status" ? " A plan never sets a status." : didYouMean(key, known);
  return invalid(place, path, `unknown field ${quote(key)}`, hint);
}

function duplicate(name: string, first: string, second: string): Fault {
  const message = `${first} and ${second}: duplicate task name ${quote(name)}.`;
  return new Fault("usage", "plan.duplicate_name", message, SEE_PLAN, { place: second, places: [first, second] });
}

/** The next step of a fault in a plan. */
export const SEE_PLAN = [{ intent: "See what a plan looks like", command: "mu task apply --help" }];

export const PLAN_FORMATS = ["json", "yaml"] as const;
export type PlanFormat = (typeof PLAN_FORMATS)[number];

/** The unchecked content of a document, and the places of its values. */
export interface PlanDocument {
  plan: unknown;
  place: Place;
}

/** Aliases that one document may use: a few lines must not expand into gigabytes. */
const MOST_ALIASES = 10_000;

export interface ParseOptions {
  /** Either, whichever parses, without it. */
  format?: PlanFormat;
  signal?: AbortSignal;
}

/**
 * Reads a plan from JSON or YAML. A place is a path in JSON (`tasks[17].blockedBy[0]`) and a line in YAML. Faults
 * `plan.unreadable`, `request.interrupted`.
 */
export async function parsePlan(text: string, { format, signal }: ParseOptions = {}): Promise<PlanDocument> {
  const source = text.replace(/^\ufeff/, "");
  if (format === "yaml") return parseYaml(source, signal);
  try {
    return { plan: parseJsonPlan(source), place: pathPlace };
  } catch (error) {
    if (format === "json") throw error;
    return parseYaml(source, signal);
  }
}

/** The roles that a plan names, as far as it is one. */
export function rolesIn(plan: unknown): string[] {
  const tasks: unknown[] = isObject(plan) && Array.isArray(plan.tasks) ? plan.tasks : [];
  return tasks.flatMap((task) => (isObject(task) && typeof task.role === "string" ? [task.role] : []));
}

/** The value of a JSON document. Faults `plan.unreadable` with the place of the mistake. */
export function parseJsonPlan(text: string): unknown {
  const source = text.replace(/^\ufeff/, "");
  try {
    return JSON.parse(source);
  } catch (error) {
    throw unreadable(jsonPlace(source, error as Error), (error as Error).message);
  }
}

/** `tasks[17].blockedBy[0]`. */
export const pathPlace: Place = (path) => {
  const steps = path.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`));
  return steps.join("").replace(/^\./, "") || "the document";
};

/** V8 reports the offset of the error, or that the text ended too early. */
function jsonPlace(source: string, error: Error): string {
  const offset = /position (\d+)/.exec(error.message)?.[1];
  return lineAt(source, offset === undefined ? source.length : Number(offset));
}

const lineAt = (source: string, offset: number) => `line ${source.slice(0, offset).split("\n").length}`;

async function parseYaml(source: string, signal?: AbortSignal): Promise<PlanDocument> {
  const { isNode, LineCounter, parseDocument } = await import("yaml");
  const lines = new LineCounter();
  const parse = () => parseDocument(source, { lineCounter: lines, prettyErrors: false });
  const options = { maxAliasCount: MOST_ALIASES };
  let document: ReturnType<typeof parse> | undefined;
  const readHere = (): YamlContent => {
    document = parse();
    const [error] = document.errors;
    return error ? { at: error.pos[0], problem: error.message } : { value: document.toJS(options) };
  };
  const content = await shallow(async () => (await readLongYaml(source, options, signal)) ?? readHere());
  if ("problem" in content) throw unreadable(lineAt(source, content.at), content.problem);

  const place: Place = (path) => {
    document ??= parse();
    for (let length = path.length; length >= 0; length--) {
      const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return `line ${lines.linePos(node.range[0]).line}`;
    }
    return "line 1";
  };
  return { plan: content.value, place };
}

/** Runs the parser; too deep nesting and too many aliases are faults of the document. */
async function shallow<T>(parse: () => Promise<T>): Promise<T> {
  try {
    return await parse();
  } catch (error) {
    if (error instanceof RangeError) throw unreadable("line 1", "nesting is too deep");
    if (error instanceof ReferenceError) throw unreadable("line 1", `unknown or too many aliases`);
    throw error;
  }
}

function unreadable(place: string, reason: string): Fault {
  const message = `Cannot read the plan, ${place}: ${reason.slice(0, 200)}.`;
  return new Fault("usage", "plan.unreadable", message, SEE_PLAN, { place });
}

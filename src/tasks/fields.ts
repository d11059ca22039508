import { parseMoment } from "../clock.js";
import { type SetFields, type TaskColumn, taskColumnEntries } from "../db/task-columns.js";
import type { NewRow } from "../db/write.js";
import { Fault } from "../errors.js";
import { quote } from "../names.js";

/** The fields of a task that people set. Status and owner are not among them: verbs change those. */
export type TaskFields = SetFields;

/** The columns that `TaskFields` are stored in. */
export type TaskColumns = Partial<NewRow<"tasks">>;

/** The fields of a task that does not exist yet. */
export type NewTaskFields = TaskFields & { title: string };

/** The longest role, kind, step, hold or tag, in characters. */
const LABEL_LENGTH = 64;

interface Bounds {
  least?: number;
  most?: number;
}

type Store = (field: string, value: unknown, bounds: Bounds) => unknown;

/** How each kind of column checks and stores a value, within the bounds of the column. */
const STORES: Readonly<Record<TaskColumn["kind"], Store>> = {
  line,
  label,
  text: cleanText,
  phrase,
  whole: number("a whole number", Number.isInteger),
  days: number("a number of days", Number.isFinite),
  usd: number("an amount in USD", Number.isFinite),
  moment,
  labels: list(label),
  texts: list(phrase),
  json,
  id: number("a whole number", Number.isInteger),
};

/** The value of any column, checked and in its stored form. Faults `task.invalid_field`. */
export function storedColumn(name: string, { kind, nullable, values, ...bounds }: TaskColumn, value: unknown): unknown {
  if (nullable && value === null && !isList(kind)) return null;
  if (values === undefined || values.some((known) => known === value)) return STORES[kind](name, value, bounds);
  throw invalid(name, `one of ${values.join(", ")}`, value);
}

/** The fields that verbs set, each with its column and its stored form. */
const FIELDS = taskColumnEntries().flatMap(([name, { key, set, ...column }]) => {
  if (key === undefined || set === undefined) return [];
  const { kind, nullable, ...bounds } = column;
  const store = (field: string, value: unknown) =>
    nullable && value === null && !isList(kind) ? null : STORES[kind](field, value, bounds);
  return [{ key, name, store }];
});

const isList = (kind: TaskColumn["kind"]) => kind === "labels" || kind === "texts";

/** The names of the fields that plans set. */
export const PLANNED_FIELDS: readonly string[] = taskColumnEntries().flatMap(([, { key, set }]) =>
  key !== undefined && set === "by verbs and plans" ? [key] : [],
);

/** Fields by the column that holds them. */
export const FIELD_OF_COLUMN: ReadonlyMap<string, string> = new Map(FIELDS.map(({ key, name }) => [name, key]));

/**
 * The columns for the fields that are given, checked and in their stored form; `undefined` is not given.
 * Faults `task.invalid_field`.
 */
export function taskColumns(fields: TaskFields): TaskColumns {
  const columns: Record<string, unknown> = {};
  const given: Readonly<Record<string, unknown>> = fields;
  for (const { key, name, store } of FIELDS) if (given[key] !== undefined) columns[name] = store(key, given[key]);
  return columns;
}

const INITIAL = Object.fromEntries(
  taskColumnEntries()
    .filter(([name]) => name !== "created_at")
    .map(([name, { initial }]) => [name, initial ?? null]),
) as NewRow<"tasks">;

/**
 * The row of a new OPEN task; fields that are not given get their defaults. That the name is valid and free, and
 * `root_id`, are up to the caller. Faults `task.invalid_field`.
 */
export function newTaskRow(workstreamId: number, name: string, fields: NewTaskFields, now: string): NewRow<"tasks"> {
  return { ...INITIAL, workstream_id: workstreamId, name, title: name, updated_at: now, ...taskColumns(fields) };
}

/**
 * Text as both dialects can store it: half a surrogate pair becomes U+FFFD. Faults `task.invalid_field` on NUL,
 * which PostgreSQL refuses and SQLite's functions stop at.
 */
export function cleanText(field: string, value: unknown): string {
  if (typeof value !== "string") throw invalid(field, "text", value);
  if (value.includes("\0")) throw invalid(field, "text without NUL characters", value);
  return value.replace(/\p{Surrogate}/gu, "\ufffd");
}

/** A moment as the database writes it: UTC, ISO 8601, milliseconds. Faults `task.invalid_field`. */
export function moment(field: string, value: unknown): string {
  const found = typeof value === "string" ? parseMoment(value) : undefined;
  if (found === undefined) throw invalid(field, "a moment as ISO 8601, like 2030-01-31T09:00:00Z", value);
  return found;
}

function line(field: string, value: unknown, { most = Number.MAX_SAFE_INTEGER }: Bounds): string {
  const found = cleanText(field, value).trim();
  if (found !== "" && found.length <= most) return found;
  throw invalid(field, `1 to ${most} characters`, value);
}

function phrase(field: string, value: unknown): string {
  const found = cleanText(field, value).trim();
  if (found !== "") return found;
  throw invalid(field, "text that is not empty", value);
}

function label(field: string, value: unknown): string {
  const found = phrase(field, value);
  if (found.length <= LABEL_LENGTH && !/\p{Control}/u.test(found)) return found;
  throw invalid(field, `1 to ${LABEL_LENGTH} characters on one line`, value);
}

function number(what: string, is: (value: number) => boolean): Store {
  return (field, value, { least = 0, most = Number.MAX_SAFE_INTEGER }) => {
    if (typeof value === "number" && is(value) && value >= least && value <= most) return value;
    throw invalid(field, `${what} from ${least} to ${most}`, value);
  };
}

function list(each: Store): Store {
  return (field, value) => {
    if (!Array.isArray(value)) throw invalid(field, "a list", value);
    const found = [...new Set(value.map((item) => each(field, item, {})))];
    return found.length === 0 ? null : JSON.stringify(found);
  };
}

function json(field: string, value: unknown): string | null {
  if (value === null) return null;
  const written = JSON.stringify(value);
  if (typeof written !== "string") throw invalid(field, "a JSON value", value);
  return written;
}

function invalid(field: string, rule: string, value: unknown): Fault {
  return new Fault(
    "usage",
    "task.invalid_field",
    `${field} must be ${rule}, not ${shown(value)}.`,
    [{ intent: "See what a task takes", command: "mu task update --help" }],
    { field },
  );
}

function shown(value: unknown): string {
  if (typeof value === "string") return quote(value);
  return typeof value === "number" ? String(value) : `a value of type ${value === null ? "null" : typeof value}`;
}

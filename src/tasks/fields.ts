import type { NewRow } from "../db/write.js";
import { Fault } from "../errors.js";
import { quote } from "../names.js";

/** The fields of a task that people set. Status and owner are not among them: verbs change those. */
export interface TaskFields {
  title?: string | undefined;
  description?: string | null | undefined;
  kind?: string | undefined;
  role?: string | null | undefined;
  /** 1–100. */
  impact?: number | undefined;
  /** Days, at least 0.001. */
  effortDays?: number | undefined;
  /** 1 first … 9 last. */
  priority?: number | undefined;
  tags?: readonly string[] | undefined;
  /** Globs of the files that the task expects to change. */
  touches?: readonly string[] | undefined;
  /** Any JSON value. */
  payload?: unknown;
  /** Why nobody may take the task, in a word; null lets it go. */
  hold?: string | null | undefined;
  holdReason?: string | null | undefined;
  /** A moment, as ISO 8601, before which nobody may take the task. */
  notBefore?: string | null | undefined;
  maxRetries?: number | undefined;
  externalRef?: string | null | undefined;
  step?: string | null | undefined;
}

/** The columns that `TaskFields` speak of. */
export type TaskColumns = Partial<NewRow<"tasks">>;

/** The longest title, in characters: it has to fit a table. */
const TITLE_LENGTH = 500;
/** The longest role, kind, step, hold or tag, in characters. */
const LABEL_LENGTH = 64;

/**
 * The columns for the fields that are given, checked and in their stored form; `undefined` is not given.
 * Faults `task.invalid_field`.
 */
export function taskColumns(fields: TaskFields): TaskColumns {
  const columns: Record<string, unknown> = {};
  for (const [field, rule] of Object.entries(RULES)) {
    const value = fields[field as keyof TaskFields];
    if (value !== undefined) columns[rule.column] = rule.store(field, value);
  }
  return columns;
}

/** The column that holds `field`. */
export function columnOf(field: keyof TaskFields): keyof TaskColumns {
  return RULES[field].column;
}

interface Rule {
  column: keyof TaskColumns;
  store(field: string, value: unknown): unknown;
}

const RULES: Record<keyof TaskFields, Rule> = {
  title: { column: "title", store: title },
  description: { column: "description", store: nullable(cleanText) },
  kind: { column: "kind", store: label },
  role: { column: "role", store: nullable(label) },
  impact: { column: "impact", store: whole(1, 100) },
  effortDays: { column: "effort_days", store: days },
  priority: { column: "priority", store: whole(1, 9) },
  tags: { column: "tags", store: list(label) },
  touches: { column: "touches", store: list(text) },
  payload: { column: "payload", store: json },
  hold: { column: "hold", store: nullable(label) },
  holdReason: { column: "hold_reason", store: nullable(cleanText) },
  notBefore: { column: "not_before", store: nullable(moment) },
  maxRetries: { column: "max_retries", store: whole(0, 1000) },
  externalRef: { column: "external_ref", store: nullable(text) },
  step: { column: "step", store: nullable(label) },
};

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
  const date = new Date(typeof value === "string" ? value : Number.NaN);
  const written = Number.isNaN(date.getTime()) ? "" : date.toISOString();
  if (!/^\d{4}-/.test(written)) throw invalid(field, "a moment as ISO 8601, like 2030-01-31T09:00:00Z", value);
  return written;
}

function title(field: string, value: unknown): string {
  const found = cleanText(field, value).trim();
  if (found !== "" && found.length <= TITLE_LENGTH) return found;
  throw invalid(field, `1 to ${TITLE_LENGTH} characters`, value);
}

function text(field: string, value: unknown): string {
  const found = cleanText(field, value).trim();
  if (found !== "") return found;
  throw invalid(field, "text that is not empty", value);
}

function label(field: string, value: unknown): string {
  const found = text(field, value);
  if (found.length <= LABEL_LENGTH && !/\p{Control}/u.test(found)) return found;
  throw invalid(field, `1 to ${LABEL_LENGTH} characters on one line`, value);
}

function whole(least: number, most: number) {
  return (field: string, value: unknown): number => {
    if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
    throw invalid(field, `a whole number from ${least} to ${most}`, value);
  };
}

/** Bounded, so that impact / effort stays a number that sorts and prints. */
function days(field: string, value: unknown): number {
  if (typeof value === "number" && value >= 0.001 && value <= 100_000) return value;
  throw invalid(field, "a number of days from 0.001 to 100000", value);
}

function list(each: Rule["store"]): Rule["store"] {
  return (field, value) => {
    if (!Array.isArray(value)) throw invalid(field, "a list", value);
    const found = [...new Set(value.map((item) => each(field, item)))];
    return found.length === 0 ? null : JSON.stringify(found);
  };
}

function nullable(store: Rule["store"]): Rule["store"] {
  return (field, value) => (value === null ? null : store(field, value));
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

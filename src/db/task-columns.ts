import type { Shape, TypeOf } from "../shape.js";

export const TASK_STATUSES = ["OPEN", "IN_PROGRESS", "CLOSED", "REJECTED", "DEFERRED"] as const;
export type TaskStatus = (typeof TASK_STATUSES)[number];

/** How well it is proved that a CLOSED task is done: its owner says so, its check passed, its work is on the target. */
export const TASK_LEVELS = ["claimed", "verified", "landed"] as const;
export type TaskLevel = (typeof TASK_LEVELS)[number];

/** A column of `tasks`: how it is stored, checked, set, shown and undone. */
export interface TaskColumn {
  /**
   * `line`: a title; `label`: a few words; `phrase`: text that is not blank; `text`: any text; `whole`: an integer; `days`; `usd`: an amount; `moment`: UTC ISO 8601;
   * `labels` and `texts`: JSON lists; `json`: any value; `id`: a row's id, shown as that row's name.
   */
  kind: "line" | "label" | "phrase" | "text" | "whole" | "days" | "usd" | "moment" | "labels" | "texts" | "json" | "id";
  nullable?: true;
  /** Mu's own: not in JSON, plans and input. */
  internal?: true;
  /** What a new task has; null without it. */
  initial?: string | number;
  /** All its values. */
  values?: readonly string[];
  /** Bounds of a number; `most` of a text is its length in characters. */
  least?: number;
  most?: number;
  /** Who sets it beside mu's verbs: `task add` and `update`, or plans as well. */
  set?: "by verbs" | "by verbs and plans";
  /** Its place in the document of `task edit`: the first line, or a text below. */
  edit?: "line" | "text";
  /** What its flag says. */
  about?: string;
  short?: string;
  completes?: "task" | "role";
  /** Other names of its flag. */
  aliases?: string[];
  /** Its label on the card of a task. */
  card?: string;
  /**
   * Follows from other columns, so history leaves it out. Undo sets a `clock` to its own moment, never turns a `counter`
   * back, and turns back what is `derived`.
   */
  quiet?: "clock" | "counter" | "derived";
  /** The column without whose value this one means nothing: undo of that one refuses once this one is set. */
  restsOn?: string;
}

/** The columns of a task beside its id, in the order in which they are shown. A new column needs a line and a migration. */
export const TASK_COLUMNS = {
  name: { kind: "label" },
  workstream_id: { kind: "id" },
  title: {
    kind: "line",
    most: 500,
    set: "by verbs and plans",
    edit: "line",
    about: "What to do, in one line",
    short: "t",
  },
  status: { kind: "label", initial: "OPEN", values: TASK_STATUSES, card: "status" },
  level: { kind: "label", nullable: true, values: TASK_LEVELS, card: "level", restsOn: "status" },
  owner_id: { kind: "id", nullable: true, card: "owner" },
  /** Who had it where it was kept or imported from. */
  former_owner: { kind: "text", nullable: true, card: "owner before" },
  role: {
    kind: "label",
    nullable: true,
    set: "by verbs and plans",
    about: "Only agents with this role can claim it",
    completes: "role",
    aliases: ["agent"],
    card: "role",
  },
  kind: {
    kind: "label",
    initial: "task",
    set: "by verbs and plans",
    about: "Kind of task",
    card: "kind",
  },
  /** 1 first … 9 last. */
  priority: {
    kind: "whole",
    initial: 5,
    least: 1,
    most: 9,
    set: "by verbs and plans",
    about: "1 (first) to 9 (last)",
    card: "priority",
  },
  impact: {
    kind: "whole",
    initial: 50,
    least: 1,
    most: 100,
    set: "by verbs and plans",
    about: "Impact, 1 to 100",
    short: "i",
    card: "worth",
  },
  /** Bounded, so that impact / effort stays a number that sorts and prints. */
  effort_days: {
    kind: "days",
    initial: 1,
    least: 0.001,
    most: 100_000,
    set: "by verbs and plans",
    about: "Effort in days, more than 0",
    short: "e",
    aliases: ["effort"],
  },
  /** Why nobody may take the task, in a word. */
  hold: {
    kind: "label",
    nullable: true,
    set: "by verbs",
    about: "A word that says why nobody can claim it",
    card: "hold",
  },
  hold_reason: {
    kind: "text",
    nullable: true,
    most: 2000,
    set: "by verbs",
    about: "Full reason for the hold",
  },
  not_before: {
    kind: "moment",
    nullable: true,
    set: "by verbs",
    about: "Date before which nobody can claim it",
    card: "not before",
  },
  lease_until: { kind: "moment", nullable: true, card: "lease until" },
  /** Length of the lease, so that the owner's activity can renew it. */
  lease_seconds: { kind: "whole", nullable: true, internal: true, quiet: "derived" },
  /** The job or intake that the task belongs to. */
  root_id: { kind: "id", nullable: true, card: "belongs to" },
  step: {
    kind: "label",
    nullable: true,
    set: "by verbs",
    about: "Step of its job",
    card: "step",
  },
  tags: { kind: "labels", nullable: true, set: "by verbs and plans", card: "tags" },
  /** Globs of the files that the task expects to change. */
  touches: {
    kind: "texts",
    nullable: true,
    set: "by verbs and plans",
    about: "Globs of the files it may change",
    card: "touches",
  },
  outcome: { kind: "text", nullable: true, card: "outcome" },
  attempts: { kind: "whole", initial: 0, card: "attempts" },
  max_retries: {
    kind: "whole",
    initial: 3,
    least: 0,
    most: 1000,
    set: "by verbs",
    about: "How often a failed run is retried",
  },
  max_checks: {
    kind: "whole",
    nullable: true,
    least: 0,
    most: 100,
    set: "by verbs",
    about: "How often a red check is handed back",
    card: "max checks",
  },
  /** Of all its runs together. */
  budget_usd: {
    kind: "usd",
    nullable: true,
    least: 0,
    most: 1_000_000,
    set: "by verbs and plans",
    about: "What its runs may cost together, in USD",
    aliases: ["budget"],
    card: "budget",
  },
  /** The run that added it. */
  from_run: { kind: "whole", nullable: true, card: "added by run" },
  /** How many runs, each adding the task of the next, led to it. */
  depth: { kind: "whole", initial: 0, internal: true },
  external_ref: {
    kind: "phrase",
    nullable: true,
    most: 2000,
    set: "by verbs",
    about: "Reference elsewhere, such as an issue URL",
    card: "elsewhere",
  },
  payload: {
    kind: "json",
    nullable: true,
    set: "by verbs and plans",
    about: "Any JSON value",
    card: "payload",
  },
  description: {
    kind: "text",
    nullable: true,
    most: 1_048_576,
    set: "by verbs and plans",
    edit: "text",
    about: "Description; @file reads a file, @- standard input",
  },
  /** The commit on the target branch that has the work. */
  landed_commit: { kind: "text", nullable: true },
  /** The end of the work that was approved: later commits need another approval. */
  approved_commit: { kind: "text", nullable: true },
  /** The start of that work. */
  approved_from: { kind: "text", nullable: true, internal: true },
  approved_by: { kind: "text", nullable: true },
  /** Its address; a branch's name while it is being opened. */
  pull_request: { kind: "text", nullable: true, card: "pull request" },
  /** Counts the claims, so that a late answer to an old claim can be told from the present one. */
  claim_generation: { kind: "whole", initial: 0, quiet: "counter" },
  created_at: { kind: "moment", card: "created" },
  updated_at: { kind: "moment", card: "updated", quiet: "clock" },
  closed_at: { kind: "moment", nullable: true, card: "closed" },
  /** Whose workspace has the work. */
  work_agent: { kind: "text", nullable: true, internal: true },
  /** The repository that the work was done in. */
  work_root: { kind: "text", nullable: true, internal: true },
  /** The commit that the owner's workspace was at when it claimed the task: the work begins behind it. */
  work_from: { kind: "text", nullable: true, internal: true },
  /** The commit that the workspace was at when the task was closed: the end of the work. */
  work_to: { kind: "text", nullable: true, internal: true },
} as const satisfies Record<string, TaskColumn>;

type Columns = typeof TASK_COLUMNS;

/** The name of a column in JSON, plans and input: `effortDays` for `effort_days`, `owner` for `owner_id`. */
type FieldOf<C extends string> = C extends `${infer Name}_id` ? Name : CamelCase<C>;
type CamelCase<C extends string> = C extends `${infer Word}_${infer Rest}`
  ? `${Word}${Capitalize<CamelCase<Rest>>}`
  : C;

function fieldOf(column: string): string {
  return column.replace(/_id$/, "").replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

type OrNull<C extends TaskColumn> = C["nullable"] extends true ? null : never;

/** A column as the database has it. */
type Stored<C extends TaskColumn> = (C["kind"] extends "whole" | "days" | "usd" | "id" ? number : string) | OrNull<C>;

/** The shape of a column in JSON. */
type ShapeOf<C extends TaskColumn> = C extends { values: infer V extends readonly string[] }
  ? C["nullable"] extends true
    ? readonly [V, null]
    : V
  : C["kind"] extends "labels" | "texts"
    ? "string[]"
    : C["kind"] extends "json"
      ? "unknown"
      : `${C["kind"] extends "whole" | "days" | "usd" ? "number" : "string"}${C["nullable"] extends true ? " | null" : ""}`;

/** The value of a column in JSON. */
type Shown<C extends TaskColumn> = TypeOf<ShapeOf<C>>;

/** A row of `tasks` beside its id. */
export type StoredTask = { -readonly [C in keyof Columns]: Stored<Columns[C]> };

/** The shape of the fields of a task that have a column. */
export type TaskShape = {
  readonly [C in keyof Columns as Columns[C] extends { internal: true } ? never : FieldOf<C>]: ShapeOf<Columns[C]>;
};

/** The shape of a column in JSON, as data. */
export function shapeOfColumn({ kind, values, nullable }: TaskColumn): Shape {
  if (kind === "json") return "unknown";
  if (kind === "labels" || kind === "texts") return "string[]";
  if (values !== undefined) return nullable ? [values, null] : values;
  const scalar = kind === "whole" || kind === "days" || kind === "usd" ? "number" : "string";
  return nullable ? `${scalar} | null` : scalar;
}

/** The fields that people set, each with the column behind it; `By` narrows it to those that plans set. */
export type SetFields<By extends TaskColumn["set"] = TaskColumn["set"]> = {
  [C in keyof Columns as Columns[C] extends { set: By } ? FieldOf<C> : never]?: Given<Shown<Columns[C]>> | undefined;
};

type Given<V> = V extends readonly string[] ? readonly string[] : V;

/** Every column by its name, as the folds read them; `key` is its name in JSON, plans and input, if it is there. */
export const taskColumnEntries = (
  columns: Readonly<Record<string, TaskColumn>> = TASK_COLUMNS,
): [name: string, column: TaskColumn & { key: string | undefined }][] =>
  Object.entries(columns).map(([name, column]) => [
    name,
    { ...column, key: column.internal ? undefined : fieldOf(name) },
  ]);

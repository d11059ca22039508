import * as z from "zod";
import { parseMoment } from "../clock.js";
import type { AgentRef, TaskRef } from "../names.js";
import { EDGE_LEVELS, type EdgeLevel } from "../tasks/edge.js";

/** What the shell completes a field's value from. */
export type Completes = "task" | "workstream" | "agent" | "group" | "role" | "cli";

/**
 * What a field's text names: a task, a task to wait for (`build@landed`), an agent, an agent or a person who need not
 * exist any more, or a save.
 */
export type Naming = "task" | "blocker" | "agent" | "person" | "save";

/**
 * Which workstream a call is about by its `-w`: `one`, also the caller's or the folder's; `any`, which is all where
 * nothing says which; only one that is `named`, else all; or one that is named as a `chain` of events, which outlives it.
 */
type Scope = "one" | "any" | "named" | "chain";

/** What a field says of itself beyond its type; it travels in the JSON schema. */
export type FieldNotes = {
  /** Verbs get what a text names as a reference: see `resolveNames`. */
  names?: Naming;
  scope?: Scope;
  /** The workstream may be one that was destroyed. */
  past?: true;
  /** A switch with which the workstream may be a new one. */
  unlessGiven?: string;
  /** On a command line this switch stands in for the argument of that name. */
  replaces?: string;
  /** A switch that makes the call about all workstreams. */
  everywhere?: true;
  /** One letter for the command line. */
  short?: string;
  /** Older spellings of the flag. */
  aliases?: string[];
  completes?: Completes;
  /** Another word than the field's name for the flag's value. */
  value?: string;
  /** A list of names: on the command line commas separate them. Lists of tasks, agents and choices are so anyway. */
  commas?: true;
  /** It asks servers on the network. MCP does not offer it, and refuses it. */
  outward?: true;
  /** A text in which `\n` begins a new line on the command line, unless it has `--raw`. */
  lines?: true;
};

/** What a verb's `run` gets for its fields. */
export type InputOf<F extends () => z.ZodRawShape> = z.output<z.ZodObject<ReturnType<F>>>;

/** A field with its description and notes. */
export function field<T extends z.ZodType>(schema: T, description: string, notes: FieldNotes = {}): T {
  return schema.meta({ description, ...notes });
}

/** The notes of a field, also of one that may be left out. */
export function notesOf(schema: z.ZodType): FieldNotes {
  const { innerType } = schema.def as { innerType?: z.ZodType };
  return { ...(innerType && notesOf(innerType)), ...(schema.meta() as FieldNotes | undefined) };
}

/** A task to wait for, and the level that it must have. */
export type BlockerRef = TaskRef & { until?: EdgeLevel };

/** An agent or a person; without a workstream, those of that name in all. */
export type PersonRef = { workstream: string | undefined; name: string };

/** A field whose text is a name: the schema checks the text, and the verb gets the reference. */
function reference<Ref>(description: string, notes: FieldNotes): z.ZodType<Ref, string> {
  return field(z.string().min(1), description, notes) as unknown as z.ZodType<Ref, string>;
}

function references<Ref>(description: string, notes: FieldNotes): z.ZodType<Ref[], string[]> {
  const texts = z.array(z.string().trim().min(1, "must not be blank").max(200));
  return field(texts, description, notes) as unknown as z.ZodType<Ref[], string[]>;
}

/** A switch that is off unless given. */
export const flag = (description: string, notes: FieldNotes = {}) =>
  field(z.boolean().default(false), description, notes);

/** A text that may be left out, but not be empty. */
export const optionalText = (description: string, notes: FieldNotes = {}) =>
  field(z.string().min(1).optional(), description, notes);

/** `-n`, how many to show. */
export const limitField = (fallback: number, description = "Maximum number; 0 means all", notes: FieldNotes = {}) =>
  field(z.number().int().min(0).default(fallback), description, { short: "n", ...notes });

/** `--all` of a verb that is about one workstream without it. */
export const allField = (description = "Include all workstreams") => flag(description, { everywhere: true });

/** An agent by `name` or `workstream/name`. */
export const agentField = (description = "Agent, as name or workstream/name", notes: FieldNotes = {}) =>
  reference<AgentRef>(description, { names: "agent", completes: "agent", ...notes });

/** Several agents. */
export const agentsField = (description: string) =>
  references<AgentRef>(description, { names: "agent", completes: "agent" });

/** An agent or a person by `name` or `workstream/name`, who need not exist any more. */
export const personField = (description: string, notes: FieldNotes = {}) =>
  reference<PersonRef>(description, { names: "person", completes: "agent", ...notes });

/** Several of them. */
export const peopleField = (description: string) =>
  references<PersonRef>(description, { names: "person", completes: "agent", value: "agent" });

/** `--role` of a verb that chooses tasks by role. */
export const roleField = (description: string) => field(z.string().optional(), description, { completes: "role" });

/** Which workstream a field of type `W` gives: undefined where the call can be about all. */
type WorkstreamOf<W> = W extends "one" ? string : string | undefined;

/** `-w`; `one or all` is for verbs with `--all`. */
export function workstreamField<W extends Scope | "one or all" = "one">(kind?: W, notes: FieldNotes = {}) {
  const scope: Scope = kind === undefined || kind === "one or all" ? "one" : (kind as Scope);
  const fallback = { one: DEFAULTS, any: `${DEFAULTS}, then all`, named: "all", chain: "all" }[scope];
  const schema = field(z.string().optional(), `Workstream (default: ${fallback})`, {
    ...{ short: "w", completes: "workstream", value: "name", scope, ...notes },
  });
  return schema as unknown as z.ZodType<WorkstreamOf<W>, string | undefined>;
}

const DEFAULTS = "$MU_WORKSTREAM, then the agent's, then this folder's";

/** The workstream that a verb is about, by position instead of by `-w`. */
export const namedWorkstreamField = () =>
  field(z.string().optional(), "Workstream", { completes: "workstream", scope: "one" });

/** A task by `name` or `workstream/name`. */
export const taskField = (description = "Task, as name or workstream/name", notes: FieldNotes = {}) =>
  reference<TaskRef>(description, { names: "task", completes: "task", ...notes });

/** A task to wait for, as `build` or `build@landed`. */
export const blockerField = (description: string, notes: FieldNotes = {}) =>
  reference<BlockerRef>(description, { names: "blocker", completes: "task", value: "task", ...notes });

/** `--until` of an edge. */
export const untilField = () =>
  field(z.enum(EDGE_LEVELS).optional(), "What to wait for: closed, verified by a check, or landed");

/** `--under`: of the tasks only one goal's subtree. */
export const underField = () => taskField("Only this task's subtree", { aliases: ["scope"] }).optional();

/** Several tasks; on the command line repeated, with commas, or both. */
export const tasksField = (description: string) =>
  references<TaskRef>(description, { names: "task", completes: "task", value: "task" });

/** Several tasks to wait for. */
export const blockersField = (description: string, notes: FieldNotes = {}) =>
  references<BlockerRef>(description, { names: "blocker", completes: "task", value: "task", ...notes });

/** `--yes` of a verb that is a dry run without it. */
export const yesField = () => flag("Apply the change (default: dry run)", { short: "y" });

/** `--no-reconcile` of a read that looks at the panes first. */
export const reconcileField = () =>
  field(z.boolean().default(true), "Show the last known state without reading the panes");

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A length of time in ms, written `500ms`, `30s`, `10m`, `2h`, `1d`, or as a number of seconds. */
export const durationField = (description: string) =>
  field(
    z
      .string()
      .regex(/^\d{1,9}(\.\d{1,3})?(ms|s|m|h|d)?$/, "must be a duration such as 30s, 10m or 2h")
      .transform((text) => {
        const [, amount, unit] = /^([\d.]+)(\w*)$/.exec(text) ?? [];
        return Math.round(Number(amount) * (UNITS[unit || "s"] ?? 1000));
      }),
    description,
    { value: "time" },
  );

/** Whole text up to 1 MB: longer belongs into a file of the project. */
export const textField = () => z.string().min(1).max(1_048_576, "at most 1 MB of text");

/** A moment as UTC ISO 8601 with milliseconds; see `parseMoment`. */
export const momentField = (description: string) =>
  field(
    z.string().transform((text, context) => {
      const found = parseMoment(text);
      if (found !== undefined) return found;
      context.addIssue("must be a date that exists, such as 2026-01-31 (local midnight) or 2026-01-31T12:00:00Z");
      return z.NEVER;
    }),
    description,
    { value: "date" },
  );

/** A UTC day, as runs are booked by. */
export const dayField = (description: string) =>
  field(z.iso.date("must be a UTC day such as 2026-01-31").optional(), description, { value: "day" });

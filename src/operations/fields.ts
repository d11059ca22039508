import * as z from "zod";
import { parseMoment } from "../clock.js";
import { EDGE_LEVELS } from "../tasks/edge.js";

/** What the shell completes a field's value from. */
export type Completes = "task" | "workstream" | "agent" | "group" | "role";

/** What a field says of itself beyond its type; it travels in the JSON schema. */
type FieldNotes = {
  /** One letter for the command line. */
  short?: string;
  /** Older spellings of the flag. */
  aliases?: string[];
  completes?: Completes;
  /** Another word than the field's name for the flag's value. */
  value?: string;
  /** A list of names: on the command line commas separate them. Lists of tasks, agents and choices are so anyway. */
  commas?: true;
  /** A text in which `\n` begins a new line on the command line, unless it has `--raw`. */
  lines?: true;
};

/** What a verb's `run` gets for its fields. */
export type InputOf<F extends () => z.ZodRawShape> = z.output<z.ZodObject<ReturnType<F>>>;

/** A field with its description and notes. */
export function field<T extends z.ZodType>(schema: T, description: string, notes: FieldNotes = {}): T {
  return schema.meta({ description, ...notes });
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
export const allField = () => flag("Include all workstreams");

/** An agent by `name` or `workstream/name`. */
export const agentField = (description = "Agent, as name or workstream/name") =>
  field(z.string().min(1), description, { completes: "agent" });

/** `--role` of a verb that chooses tasks by role. */
export const roleField = (description: string) => field(z.string().optional(), description, { completes: "role" });

/** `-w`, on every verb that is about one workstream. */
export const workstreamField = () =>
  field(z.string().optional(), "Workstream (default: $MU_WORKSTREAM, then the agent's, then this folder's)", {
    short: "w",
    completes: "workstream",
    value: "name",
  });

/** A task by `name` or `workstream/name`. */
export const taskField = (description = "Task, as name or workstream/name") =>
  field(z.string().min(1), description, { completes: "task" });

/** `--until` of an edge. */
export const untilField = () =>
  field(
    z.enum(EDGE_LEVELS).optional(),
    "What to wait for: closed, verified by a check, or landed on the target branch",
  );

/** Several tasks; on the command line repeated, with commas, or both. */
export const tasksField = (description: string, notes: FieldNotes = {}) =>
  field(z.array(z.string().min(1)), description, { completes: "task", value: "task", ...notes });

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

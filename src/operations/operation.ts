import * as z from "zod";
import type { NextStep } from "../errors.js";
import { type Fields, type Shape, shape, type TypeOf } from "../shape.js";
import type { App, Need } from "./app.js";
import type { Paint } from "./paint.js";
import { schemaOf } from "./schema-of.js";

// Most processes check one input: writing and compiling a checker for it takes longer than the check.
z.config({ jitless: true });

/** Commands that make sense next, each with what it is for. */
export const NEXT_STEPS = shape([{ intent: "string", command: "string" }]);

/** One of them. */
export const step = (intent: string, command: string) => ({ intent, command });

/** What the caller should know of a write that was done all the same. */
export const WARNINGS = shape([{ code: "string", message: "string" }]);

/** A line for each. */
export const warningLines = (warnings: TypeOf<typeof WARNINGS>) => warnings.map(({ message }) => `  ! ${message}`);

/** `{items, count}`, which every list returns. */
export const listOf = <const S extends Shape>(item: S) => ({ items: [item], count: "number" }) as const;

/** The result of a list. */
export const listed = <T>(items: T[]) => ({ items, count: items.length });

/** A list that shows the first of `total` items. */
export const excerptOf = <const S extends Shape>(item: S) => ({ ...listOf(item), total: "number" }) as const;

/** The result of such a list: at most `limit` of `all`, 0 for all of them. */
export function excerpt<T>(all: T[], limit: number) {
  return { ...listed(limit > 0 ? all.slice(0, limit) : all), total: all.length };
}

/** What a person sees of it: `drawn`, and how much of it is not there. */
export function withTotal(drawn: string, { count, total }: { count: number; total: number }, paint: Paint): string {
  return count < total ? `${drawn}\n${paint.dim(`${count} of ${total}`)}` : drawn;
}

/** `read` changes nothing; `write` leaves one group of events; `destroy` is a dry run until `yes`. */
export type Effect = "read" | "write" | "destroy";

/**
 * `ends`: ends programs, or overwrites and deletes what mu did not make. `runs`: runs commands of the project, or gives
 * agents prompts. `shows`: changes what a person sees in tmux.
 */
export type Act = "ends" | "runs" | "shows";

/** A command line that shows the verb at work: with `fault`, one that is refused with that code. */
export interface Example {
  command: string;
  shows: string;
  fault?: string;
}

/** One verb, defined once; every surface is a fold over these. */
export interface Operation<I extends z.ZodObject = z.ZodObject, O extends z.ZodType = z.ZodType> {
  /** `noun.verb`, or one word for a verb that stands alone. */
  name: string;
  /** Older spellings that go on working, as the words of a command line. */
  aliases?: readonly string[];
  /** One line, a verb first, no full stop. */
  summary: string;
  /** What the summary leaves out, in whole sentences. */
  description?: string;
  effect: Effect;
  /** A write that leaves no event: what it writes changes all the time and is not journalled. */
  journalled?: false;
  /**
   * A read that makes the database agree with tmux: first, unless its input says `reconcile: false`, or by itself while
   * it runs.
   */
  reconcile?: "first" | "by itself";
  /** What it does beyond the database's own rows, for surfaces that warn of it. */
  acts?: readonly Act[];
  /** A write that changes nothing the second time. */
  repeatable?: true;
  /** What it cannot work without: surfaces that lack it do not offer the verb. */
  needs?: readonly Need[];
  /** Also for an agent CLI in a pane that nobody adopted: it changes nothing in anybody's name. */
  unadopted?: true;
  /** What the schema cannot say, such as two fields that exclude each other. Faults `usage.*`. */
  validate?: (input: z.output<I>) => void;
  /** Whether a call writes; without it a `write` does, and a `destroy` with `yes`. */
  writes?: (input: z.output<I>) => boolean;
  /** Of a verb that takes several names: the one for one of them, which programs call. */
  single?: Operation;
  /** A call can be about several workstreams: each name says its own, and tables show them. */
  spans?: true;
  /** After a first signal it ends in its own time, as what it waits for does; a second one ends the process. */
  endsLate?: true;
  /** Opens no database: the verb is about the program itself. Of the context it has the clock alone. */
  standalone?: true;
  /** It puts another database in the place of this one, which may be damaged; it closes it by itself. */
  mends?: true;
  /** It is about the database itself: where that cannot be used, it gets an empty one, and `App.examined` says why. */
  anyDatabase?: true;
  /** It asks servers on the network. MCP does not offer it. */
  outward?: true;
  input: () => I;
  output: () => O;
  /** Input fields that are given by position; a field that is a list takes the rest of the line. */
  positional?: readonly (keyof z.input<I> & string)[];
  examples: readonly Example[];
  run: (app: App, input: z.output<I>) => Promise<z.input<O>>;
  /** For a verb that can go on for ever: each value is one line of JSON. Used when it says that it applies. */
  follow?: (app: App, input: z.output<I>) => AsyncIterable<unknown> | undefined;
  /** Followed values are states of one thing: on a terminal each is drawn over the one before. */
  redraws?: true;
  /** How `--json` prints it where a contract says how; otherwise as one line. */
  json?: (result: z.output<O>) => string;
  /** What a person sees; without it the JSON. `followed` values are rendered one at a time. */
  render?: (result: z.output<O>, paint: Paint) => string;
  renderFollowed?: (value: never, paint: Paint) => string;
  /** The exit code where success has several. */
  exitCode?: (result: z.output<O>) => number;
}

/** What a verb returns, said by a shape, or by a schema where a shape cannot say it. */
export type Result<S> = S extends () => infer Z ? z.input<Z> : TypeOf<S>;

/** A text, or lines; what is absent, null or false among them is left out. */
export type Drawing = string | false | null | undefined | readonly Drawing[];

type Verb<I extends z.ZodRawShape, S> = Omit<
  Operation<z.ZodObject<I>, z.ZodType<Result<S>, Result<S>>>,
  "input" | "output" | "render"
>;

/** A verb as it is written down: the fields that it takes, and the shape of what it returns. */
export type Definition<I extends z.ZodRawShape, S> = Verb<I, S> & {
  input?: () => I;
  output: S;
  /** The commands that make sense after it; they are returned as `nextSteps`. */
  next?: (result: Result<S>, input: z.output<z.ZodObject<I>>, app: App) => NextSteps | Promise<NextSteps>;
  render?: (result: Result<S>, paint: Paint) => Drawing;
};

export type NextSteps = readonly NextStep[];

/** A definition whose types are forgotten, as that of every verb is in the end. */
export type AnyDefinition = Definition<z.ZodRawShape, "object">;

/** Gives the verb with its types inferred and then forgotten, so that tables can hold any. */
export function defineOperation<const S, I extends z.ZodRawShape = Record<never, never>>(
  definition: Definition<I, S>,
): Operation {
  const { input, output, next, run, render, ...verb } = definition as unknown as AnyDefinition;
  const returned: unknown = next === undefined ? output : { ...(output as unknown as Fields), nextSteps: NEXT_STEPS };
  return {
    ...(verb as unknown as Operation),
    input: () => z.strictObject(input?.() ?? {}),
    output: typeof output === "function" ? (output as () => z.ZodType) : () => schemaOf(returned as "object"),
    async run(app, given) {
      const result = await run(app, given);
      return next === undefined ? result : { ...result, nextSteps: await next(result, given, app) };
    },
    ...(render && { render: (result, paint) => linesOf(render(result as never, paint)).join("\n") }),
  };
}

/** The lines of a drawing. */
export function linesOf(drawing: Drawing): string[] {
  return typeof drawing === "string" ? [drawing] : (drawing || []).flatMap(linesOf);
}

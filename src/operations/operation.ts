import type * as z from "zod";
import { Fault } from "../errors.js";
import type { App, Need, Request } from "./app.js";
import type { Paint } from "./paint.js";

/** `read` changes nothing; `write` leaves one group of events; `destroy` is a dry run until `yes`. */
export type Effect = "read" | "write" | "destroy";

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
  /** A read that first makes the database agree with tmux, unless its input says `reconcile: false`. */
  reconcile?: true;
  /** What it cannot work without: surfaces that lack it do not offer the verb. */
  needs?: readonly Need[];
  /** Opens no database: the verb is about the program itself. */
  standalone?: true;
  input: () => I;
  output: () => O;
  /** Input fields that are given by position; a field that is a list takes the rest of the line. */
  positional?: readonly (keyof z.input<I> & string)[];
  examples: readonly Example[];
  run: (app: App, input: z.output<I>) => Promise<z.input<O>>;
  /** For a verb that can go on for ever: each value is one line of JSON. Used when it says that it applies. */
  follow?: (app: App, input: z.output<I>) => AsyncIterable<unknown> | undefined;
  /** What a person sees; without it the JSON. `followed` values are rendered one at a time. */
  render?: (result: z.output<O>, paint: Paint) => string;
  renderFollowed?: (value: never, paint: Paint) => string;
  /** The exit code where success has several. */
  exitCode?: (result: z.output<O>) => number;
}

/** Gives the definition back with its types inferred and then forgotten, so that tables can hold any verb. */
export function defineOperation<I extends z.ZodObject, O extends z.ZodType>(operation: Operation<I, O>): Operation {
  return operation as unknown as Operation;
}

const NEEDED: Readonly<Record<Need, string>> = { stdin: "standard input", terminal: "a terminal" };

/** What the surface must have for this. Faults `usage.needs_stdin`, `usage.needs_terminal`. */
export function required<N extends Need>(request: Request, need: N): NonNullable<Request[N]> {
  const found = request[need];
  if (found !== undefined) return found;
  throw new Fault("usage", `usage.needs_${need}`, `This needs ${NEEDED[need]}. Run mu in a shell.`);
}

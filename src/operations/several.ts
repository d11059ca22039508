import * as z from "zod";
import { asFault, Fault } from "../errors.js";
import { qualifiedName, type TaskRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import type { App } from "./app.js";
import { flag } from "./fields.js";
import { NEXT_STEPS, type Operation, warningLines } from "./operation.js";
import { schemaOf } from "./schema-of.js";
import { wordsOf } from "./verb.js";

/** One of several names with which it did not work. */
export const REFUSAL = shape({
  name: "string",
  /** The kind of the fault. */
  error: "string",
  code: "string",
  message: "string",
  /** 0 where --all met one with which there was nothing to do. */
  exitCode: "number",
  nextSteps: NEXT_STEPS,
});

export type Refusal = TypeOf<typeof REFUSAL>;

/** What became of each of several names. */
export interface Outcomes<T> {
  items: T[];
  count: number;
  refused: Refusal[];
  nextSteps: TypeOf<typeof NEXT_STEPS>;
}

/** The schema of the outcomes of a verb that returns this for one name. */
export const outcomesOf = <T extends z.ZodType>(one: T) =>
  z.strictObject({
    items: z.array(one),
    count: z.number(),
    refused: schemaOf([REFUSAL] as const),
    nextSteps: schemaOf(NEXT_STEPS),
  });

/** Does `act` with each, each for itself: a name that is refused stops no other one. An interruption stops all. */
export async function withEach<R extends TaskRef, T>(
  refs: readonly R[],
  act: (ref: R) => Promise<T>,
  { order, signal, all }: { order: Order; signal: AbortSignal; all?: boolean },
): Promise<Outcomes<T>> {
  const outcomes: ({ done: T } | { refused: Refusal })[] = [];
  const once = async (ref: R, at: number) => {
    try {
      outcomes[at] = { done: await act(ref) };
    } catch (error) {
      if (signal.aborted) throw error;
      const { kind, code, message, nextSteps, exitCode } = asFault(error);
      const own = all && kind === "negative" ? 0 : exitCode;
      outcomes[at] = {
        refused: { name: ref.name, error: kind, code, message, exitCode: own, nextSteps: [...nextSteps] },
      };
    }
  };
  const distinct = [...new Map(refs.map((ref) => [qualifiedName(ref), ref])).values()];
  if (order === "at once") await Promise.all(distinct.map(once));
  else for (const [at, ref] of distinct.entries()) await once(ref, at);
  const items = outcomes.flatMap((one) => ("done" in one ? [one.done] : []));
  const refused = outcomes.flatMap((one) => ("refused" in one ? [one.refused] : []));
  return {
    items,
    count: items.length,
    refused,
    nextSteps: refused.flatMap(({ exitCode, nextSteps }) => (exitCode === 0 ? [] : nextSteps)),
  };
}

/** The exit code of the worst. */
export const worstExitCode = <T>({ items, refused }: Outcomes<T>, codeOf: (item: T) => number = () => 0) =>
  Math.max(0, ...(refused.length > 0 ? refused.map(({ exitCode }) => exitCode) : items.map(codeOf)));

/** Whether each is done beside the others, or after those before it. */
type Order = "at once" | "in turn";

/** How a verb about one task or agent takes several. */
export interface Several {
  order: Order;
  /** Takes more names behind the first; not where a text follows it. */
  names?: false;
  /** With --all: those of the workstream. */
  all?: { about: string; refs: (app: App, workstream: string) => Promise<TaskRef[]> };
}

/** The verb for one subject or several. With one name its result is as it was; with several it is their outcomes. */
export function severally(
  one: Operation,
  subject: string,
  more: (description: string) => z.ZodType,
  { order, names, all }: Several,
): Operation {
  const takesNames = names !== false;
  const isSeveral = ({ others, all: whole }: Given) => whole === true || (others?.length ?? 0) > 0;
  const isOutcomes = (result: unknown): result is Outcomes<unknown> =>
    (result as Outcomes<unknown>).refused !== undefined;
  const [first, ...rest] = one.positional ?? [];
  return {
    ...one,
    single: one,
    input: () => {
      const { [subject]: own, ...fields } = one.input().shape as Record<string, z.ZodType>;
      return z.strictObject({
        [subject]: all === undefined ? (own as z.ZodType) : (own as z.ZodType).optional(),
        ...(takesNames && { others: more(`More ${subject}s`).default([]) }),
        ...(all && { all: flag(all.about, { replaces: subject }) }),
        ...fields,
      });
    },
    positional: [first as string, ...(takesNames ? ["others"] : []), ...rest],
    output: () => z.union([one.output(), outcomesOf(one.output())]),
    validate(input) {
      one.validate?.(input);
      const { [subject]: first, others = [], all: whole } = input as Given;
      const isNamed = first !== undefined || others.length > 0;
      if (all !== undefined && (whole === true) === isNamed) throw eitherOne(one, subject);
    },
    async run(app, input) {
      const { others = [], all: whole = false, ...given } = input as Given;
      if (!isSeveral(input)) return one.run(app, given);
      const refs = whole
        ? await all?.refs(app, String(given["workstream"]))
        : [given[subject] as TaskRef | undefined, ...others].flatMap((ref) => ref ?? []);
      const act = (ref: TaskRef) => one.run(app, { ...given, [subject]: ref });
      return withEach(refs ?? [], act, { order, signal: app.request.signal, all: whole });
    },
    render(result, paint) {
      const draw = (item: unknown) => one.render?.(item as never, paint) ?? "";
      if (!isOutcomes(result)) return draw(result);
      return [...result.items.map(draw), ...refusalLines(result)].join("\n");
    },
    exitCode: (result) =>
      isOutcomes(result) ? worstExitCode(result, one.exitCode as never) : (one.exitCode?.(result) ?? 0),
  };
}

type Given = Record<string, unknown> & { others?: TaskRef[]; all?: boolean };

/** A line for each that was refused. */
export const refusalLines = ({ refused }: Pick<Outcomes<unknown>, "refused">) =>
  warningLines(
    refused.map(({ name, code, message }) => ({
      code,
      message: message.includes(name) ? message : `${name}: ${message}`,
    })),
  );

function eitherOne({ name }: Operation, subject: string): Fault {
  return new Fault("usage", "usage.missing_argument", `Name an ${subject}, or pass --all, not both.`, [
    { intent: "See the usage", command: `mu ${wordsOf(name).join(" ")} --help` },
  ]);
}

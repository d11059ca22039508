import type * as z from "zod";
import { type AgentRef, qualifiedName, type TaskRef } from "../names.js";
import type { App } from "./app.js";
import { agentField, agentsField, taskField, tasksField, workstreamField } from "./fields.js";
import {
  type AnyDefinition,
  type Definition,
  defineOperation,
  type NextSteps,
  type Operation,
  type Result,
} from "./operation.js";
import { type Several, severally } from "./several.js";

/** A verb about one `Ref`, which it takes first and by position, together with `-w`. */
type SubjectVerb<Ref, I extends z.ZodRawShape, S> = Omit<Definition<I, S>, "run" | "next" | "positional"> & {
  /** What the first argument is; by default any task or agent. */
  about?: string;
  /** It can be about several at once: see `severally`. */
  several?: Several;
  /** Fields that are given by position after it. */
  positional?: readonly (keyof I & string)[];
  run: (app: App, ref: Ref, input: z.output<z.ZodObject<I>>) => Promise<Result<S>>;
  /** What makes sense after it; `at` is the subject as `workstream/name`. */
  next?: (
    result: Result<S>,
    at: string,
    input: z.output<z.ZodObject<I>> & { workstream: string },
    app: App,
  ) => NextSteps | Promise<NextSteps>;
};

/** Defines a verb about one agent. */
export function defineAgentVerb<const S, I extends z.ZodRawShape = Record<never, never>>(
  verb: SubjectVerb<AgentRef, I, S>,
): Operation {
  return defineSubjectVerb("agent", { one: agentField, more: agentsField }, verb);
}

/** Defines a verb about one task. */
export function defineTaskVerb<const S, I extends z.ZodRawShape = Record<never, never>>(
  verb: SubjectVerb<TaskRef, I, S>,
): Operation {
  return defineSubjectVerb("task", { one: taskField, more: tasksField }, verb);
}

/** A verb about one job, which is a task. */
export const defineJobVerb = <const S, I extends z.ZodRawShape = Record<never, never>>(
  verb: Omit<SubjectVerb<TaskRef, I, S>, "several">,
): Operation =>
  defineSubjectVerb(
    "job",
    { one: (about = "Job, as name or workstream/name") => taskField(about), more: tasksField },
    verb,
  );

function defineSubjectVerb<Ref extends TaskRef, I extends z.ZodRawShape, S>(
  subject: string,
  field: { one: (description?: string) => z.ZodType; more: (description: string) => z.ZodType },
  { about, several, input, positional = [], run, next, ...verb }: SubjectVerb<Ref, I, S>,
): Operation {
  const definition = {
    ...verb,
    input: () => ({ [subject]: field.one(about), workstream: workstreamField(), ...input?.() }),
    positional: [subject, ...positional],
    run: (app: App, { [subject]: ref, workstream: _, ...rest }: Given) => run(app, ref as Ref, rest as never),
    ...(next && {
      next: (result: Result<S>, given: Given, app: App) =>
        next(result, qualifiedName(given[subject] as Ref), given as never, app),
    }),
  };
  const one = defineOperation(definition as unknown as AnyDefinition);
  return several === undefined ? one : severally(one, subject, field.more, several);
}

type Given = Readonly<Record<string, unknown>>;

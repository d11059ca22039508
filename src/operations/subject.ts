import type * as z from "zod";
import type { AgentRef, TaskRef } from "../names.js";
import type { App } from "./app.js";
import { agentField, taskField, workstreamField } from "./fields.js";
import { type Definition, defineOperation, type Operation, type Result } from "./operation.js";

/** A verb about one `Ref`, which it takes first and by position, together with `-w`. */
type SubjectVerb<Ref, I extends z.ZodRawShape, S> = Omit<Definition<I, S>, "run" | "positional"> & {
  /** What the first argument is; by default any task or agent. */
  about?: string;
  /** Fields that are given by position after it. */
  positional?: readonly (keyof I & string)[];
  run: (app: App, ref: Ref, input: z.output<z.ZodObject<I>>) => Promise<Result<S>>;
};

/** Defines a verb about one agent. */
export function defineAgentVerb<const S, I extends z.ZodRawShape = Record<never, never>>(
  verb: SubjectVerb<AgentRef, I, S>,
): Operation {
  return defineSubjectVerb("agent", agentField, verb);
}

/** Defines a verb about one task. */
export function defineTaskVerb<const S, I extends z.ZodRawShape = Record<never, never>>(
  verb: SubjectVerb<TaskRef, I, S>,
): Operation {
  return defineSubjectVerb("task", taskField, verb);
}

function defineSubjectVerb<Ref, I extends z.ZodRawShape, S>(
  subject: string,
  subjectField: (description?: string) => z.ZodType,
  { about, input, positional = [], run, ...verb }: SubjectVerb<Ref, I, S>,
): Operation {
  return defineOperation({
    ...(verb as unknown as Operation),
    input: () => ({ [subject]: subjectField(about), workstream: workstreamField(), ...input?.() }),
    positional: [subject, ...positional],
    run: (app, { [subject]: ref, workstream: _, ...rest }) => run(app, ref as Ref, rest as never),
  });
}

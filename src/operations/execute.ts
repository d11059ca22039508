import type { core, ZodError, ZodNumber, ZodObject } from "zod";
import type { Crew } from "../agents/crew.js";
import { type AskPane, type Caller, identify, requireActiveRun, yieldsToSelf } from "../agents/identity.js";
import type { Clock } from "../clock.js";
import { type Context, newGroup } from "../db/context.js";
import type { Examined } from "../db/examine.js";
import type { Damaged } from "../db/open.js";
import { type Store, withSignal } from "../db/store.js";
import { Fault } from "../errors.js";
import { quote } from "../names.js";
import { type App, type Program, type Request, required } from "./app.js";
import type { Operation } from "./operation.js";
import { step } from "./operation.js";
import { type Input, resolveNames } from "./resolve.js";
import { flagName, wordsOf } from "./verb.js";

/** What a surface brings along so that verbs can run. */
export interface World {
  clock: Clock;
  program: Program;
  /** Opens the database; for a verb that mends one, a damaged one as empty. */
  openStore(damaged?: Damaged): Promise<Store>;
  /** Looks at the database and opens it, or an empty one where it cannot be used. */
  openExamined(): Promise<{ store: Store; examined: Examined }>;
  /** The outside world of agents around a context. */
  openCrew(context: Context, request: Request): Promise<Crew>;
  /** Who the pane says that the caller is; asked only where the environment does not settle it. */
  askPane(pane: string, request: Request): ReturnType<AskPane>;
}

/** Checks the input, runs the verb and gives its result. Every surface comes through here. */
export async function execute(operation: Operation, input: unknown, world: World, request: Request): Promise<unknown> {
  return withApp(operation, input, world, request, async (app, checked) => {
    await reconcileFirst(operation, checked, app);
    return operation.run(app, checked);
  });
}

/** Runs the streaming form of a verb, or gives undefined where this input asks for the plain one. */
export async function executeFollowing(
  operation: Operation,
  input: unknown,
  world: World,
  request: Request,
  each: (value: unknown) => void,
): Promise<boolean> {
  if (operation.follow === undefined) return false;
  return withApp(operation, input, world, request, async (app, checked) => {
    const stream = operation.follow?.(app, checked);
    if (stream === undefined) return false;
    for await (const value of stream) each(value);
    return true;
  });
}

async function withApp<T>(
  operation: Operation,
  given: unknown,
  world: World,
  request: Request,
  work: (app: App, input: Input) => Promise<T>,
): Promise<T> {
  const schema = operation.input();
  const input = checkInput(operation, schema, given);
  for (const need of operation.needs ?? []) required(request, need);
  const { program } = world;
  if (operation.standalone) return work({ request, program, context: { clock: world.clock } } as App, input);
  const { store, ...examined }: { store: Store; examined?: Examined } = operation.anyDatabase
    ? await world.openExamined()
    : { store: await world.openStore(operation.mends ? "empty if damaged" : undefined) };
  const letGo = operation.effect === "read" || operation.mends ? () => {} : store.hold();
  try {
    const caller = await identify(store.db, request.env, (pane) => world.askPane(pane, request));
    requireProof(operation, input, caller, request);
    const known: Context = {
      ...{ store: withSignal(store, request.signal), clock: world.clock, actor: caller.name },
      ...(caller.kind === "agent" && caller.incarnation !== null && { incarnation: caller.incarnation }),
      ...(caller.run !== null && {
        run: { id: caller.run, requireActive: (db) => requireActiveRun(db, caller) },
      }),
    };
    const context: Context =
      operation.effect === "read"
        ? known
        : {
            ...known,
            group: request.group ?? newGroup(),
            ...(operation.effect === "destroy" && snapshotBefore(operation, known)),
          };
    const crew = lazily(() => world.openCrew(context, request));
    const app: App = { context, caller, request, program, crew, orphans: [], ...examined };
    // Of a database that cannot be used, no name is known.
    return await work(app, examined.examined?.fault ? input : await resolveNames(operation, schema, input, app));
  } finally {
    letGo();
    await store.close();
  }
}

/** Refuses a write of a caller who may not write. */
function requireProof(operation: Operation, input: Input, caller: Caller, { self }: Request): void {
  const { refusal } = caller;
  const writes = operation.writes?.(input) ?? (operation.effect === "write" || input["yes"] === true);
  if (refusal === null || operation.effect === "read" || !writes) return;
  if (yieldsToSelf(refusal) && (operation.unadopted || self || input["self"] === true)) return;
  throw refusal;
}

/** What a verb destroys can be had again from the snapshot before its first event; one that records none takes none. */
function snapshotBefore({ name }: Operation, { store, clock }: Context): Pick<Context, "beforeEvent"> {
  return {
    beforeEvent: lazily(async () => (await import("../backup/snapshots.js")).takeSnapshot(store, name, clock.now())),
  };
}

function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

async function reconcileFirst(operation: Operation, input: Input, app: App): Promise<void> {
  if (operation.reconcile !== "first" || input["reconcile"] === false) return;
  const { reconcileBeforeRead } = await import("./reality.js");
  if (await reconcileBeforeRead(app)) app.request.remark("The database was busy: this is what was last known.");
}

function checkInput(operation: Operation, schema: ZodObject, input: unknown): Input {
  const checked = schema.safeParse(input, { error: describeProblem });
  if (checked.success) {
    operation.validate?.(checked.data);
    return checked.data;
  }
  throw new Fault("usage", "usage.invalid_input", describeIssues(operation, checked.error, input), [
    step("See the usage", `mu ${wordsOf(operation.name).join(" ")} --help`),
  ]);
}

/** What is wrong with one value, in plain English; undefined keeps zod's message. */
function describeProblem(issue: core.$ZodRawIssue): string | undefined {
  if (issue.input === undefined) return MISSING;
  switch (issue.code) {
    case "too_small":
      if (issue.origin === "string" && issue.minimum === 1) return "must not be empty";
      return `must be ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}${unitOf(issue.origin)}`;
    case "too_big":
      return `must be ${issue.inclusive ? "at most" : "less than"} ${issue.maximum}${unitOf(issue.origin)}`;
    case "invalid_value":
      return `must be ${issue.values.length > 1 ? "one of " : ""}${issue.values.join(", ")}`;
    case "invalid_type":
      return `must be ${TYPES[issue.expected] ?? issue.expected}`;
    default:
      return undefined;
  }
}

const MISSING = "is missing";

function unitOf(origin: string): string {
  if (origin === "string") return " characters long";
  return origin === "array" ? " items long" : "";
}

const TYPES: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
};

const valueAt = (input: unknown, path: readonly PropertyKey[]) =>
  path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], input);

interface NumberCheck {
  check: string;
  value: number;
  inclusive: boolean;
}

/** `a whole number from 1 to 100`, for a field that is a number. */
function numberWanted(schema: unknown): string | undefined {
  let inner = schema as { def?: { type: string; innerType?: unknown } } | undefined;
  while (inner?.def?.innerType !== undefined) inner = inner.def.innerType as typeof inner;
  if (inner?.def?.type !== "number") return undefined;
  const { isInt, def } = inner as unknown as ZodNumber;
  const checks = (def.checks ?? []).map((check) => check._zod.def as unknown as NumberCheck);
  const [least, most] = ["greater_than", "less_than"].map((kind) => checks.find(({ check }) => check === kind));
  const range =
    least?.inclusive && most?.inclusive
      ? ` from ${least.value} to ${most.value}`
      : [
          least && ` ${least.inclusive ? "of at least" : "above"} ${least.value}`,
          most && ` ${most.inclusive ? "at most" : "below"} ${most.value}`,
        ]
          .filter(Boolean)
          .join(",");
  return `a ${isInt ? "whole " : ""}number${range}`;
}

function describeIssues(operation: Operation, error: ZodError, input: unknown): string {
  const issues = error.issues.slice(0, 5).map((issue) => {
    if (issue.code === "unrecognized_keys") return `Unknown field ${issue.keys.map(quote).join(", ")}`;
    // A place in a list says nothing to whoever typed it: the value does.
    const item = issue.path.findIndex((part) => typeof part === "number");
    const value = item < 0 ? "" : `${quote(String(valueAt(input, issue.path.slice(0, item + 1))))} `;
    const [field, ...rest] = issue.path.filter((part) => typeof part !== "number");
    const name = String(field ?? "input");
    const shown = operation.positional?.includes(name) ? `<${flagName(name)}>` : `--${flagName(name)}`;
    const wanted = value === "" && issue.message !== MISSING ? numberWanted(operation.input().shape[name]) : undefined;
    if (wanted !== undefined) return `${shown} is ${wanted}, not ${JSON.stringify(valueAt(input, issue.path))}`;
    return `${shown}${rest.length > 0 ? ` (${rest.join(".")})` : ""}: ${value}${issue.message}`;
  });
  return `${issues.join("; ")}.`;
}

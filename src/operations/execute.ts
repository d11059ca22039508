import type { ZodError } from "zod";
import type { Crew } from "../agents/crew.js";
import { type AskPane, identify } from "../agents/identity.js";
import type { Clock } from "../clock.js";
import { type Context, newGroup } from "../db/context.js";
import type { Store } from "../db/store.js";
import { Fault } from "../errors.js";
import { quote } from "../names.js";
import type { App, Io } from "./app.js";
import type { Operation } from "./operation.js";
import { flagName, wordsOf } from "./verb.js";

/** What a surface brings along so that verbs can run. */
export interface World {
  clock: Clock;
  io: Io;
  /** Opens the database. */
  openStore(): Promise<Store>;
  /** The outside world of agents around a context. */
  openCrew(context: Context): Promise<Crew>;
  /** Who the pane says that the caller is; asked only where the environment does not settle it. */
  askPane: AskPane;
}

/** Checks the input, runs the verb and gives its result. Every surface comes through here. */
export async function execute(operation: Operation, input: unknown, world: World): Promise<unknown> {
  return withApp(operation, world, async (app) => {
    const checked = checkInput(operation, input);
    await reconcileFirst(operation, checked, app);
    return operation.run(app, checked);
  });
}

/** Runs the streaming form of a verb, or gives undefined where this input asks for the plain one. */
export async function executeFollowing(
  operation: Operation,
  input: unknown,
  world: World,
  each: (value: unknown) => void,
): Promise<boolean> {
  if (operation.follow === undefined) return false;
  const checked = checkInput(operation, input);
  return withApp(operation, world, async (app) => {
    const stream = operation.follow?.(app, checked);
    if (stream === undefined) return false;
    for await (const value of stream) each(value);
    return true;
  });
}

async function withApp<T>(operation: Operation, world: World, work: (app: App) => Promise<T>): Promise<T> {
  if (operation.standalone) return work({ io: world.io } as App);
  const store = await world.openStore();
  try {
    const caller = await identify(store.db, world.io.env, world.askPane);
    if (caller.refusal !== null && operation.effect !== "read") throw caller.refusal;
    const known = { store, clock: world.clock, actor: caller.name };
    const context = operation.effect === "read" ? known : { ...known, group: newGroup() };
    return await work({ context, caller, io: world.io, crew: lazily(() => world.openCrew(context)) });
  } finally {
    await store.close();
  }
}

function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

async function reconcileFirst(operation: Operation, input: Record<string, unknown>, app: App): Promise<void> {
  if (!operation.reconcile || input["reconcile"] === false) return;
  const { reconcileBeforeRead } = await import("./reality.js");
  if (await reconcileBeforeRead(app)) app.io.remark("The database was busy: this is what was last known.");
}

function checkInput(operation: Operation, input: unknown): Record<string, unknown> {
  const checked = operation.input().safeParse(input);
  if (checked.success) return checked.data;
  throw new Fault("usage", "usage.invalid_input", describeIssues(operation, checked.error), [
    { intent: "See the usage", command: `mu ${wordsOf(operation.name).join(" ")} --help` },
  ]);
}

function describeIssues(operation: Operation, error: ZodError): string {
  const issues = error.issues.slice(0, 5).map((issue) => {
    if (issue.code === "unrecognized_keys") return `unknown field ${issue.keys.map(quote).join(", ")}`;
    const [field, ...rest] = issue.path;
    const name = String(field ?? "input");
    const shown = operation.positional?.includes(name) ? `<${flagName(name)}>` : `--${flagName(name)}`;
    return `${shown}${rest.length > 0 ? ` (${rest.join(".")})` : ""}: ${issue.message}`;
  });
  return `${issues.join("; ")}.`;
}

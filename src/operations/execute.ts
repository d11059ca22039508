import type { ZodError } from "zod";
import { identify } from "../agents/identity.js";
import type { Clock } from "../clock.js";
import { newGroup } from "../context.js";
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
}

/** Checks the input, runs the verb and gives its result. Every surface comes through here. */
export async function execute(operation: Operation, input: unknown, world: World): Promise<unknown> {
  return withApp(operation, world, (app) => operation.run(app, checkInput(operation, input)));
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
    const caller = await identify(store.db, world.io.env);
    if (caller.refusal !== null && operation.effect !== "read") throw caller.refusal;
    const context = { store, clock: world.clock, actor: caller.name };
    const isRead = operation.effect === "read";
    return await work({ context: isRead ? context : { ...context, group: newGroup() }, caller, io: world.io });
  } finally {
    await store.close();
  }
}

function checkInput(operation: Operation, input: unknown): Record<string, unknown> {
  const checked = operation.input().safeParse(input);
  if (checked.success) return checked.data;
  throw new Fault("usage", "usage.invalid_input", describeIssues(operation, checked.error), [
    { intent: "See how it is used", command: `mu ${wordsOf(operation.name).join(" ")} --help` },
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

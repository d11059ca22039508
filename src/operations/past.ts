import * as z from "zod";
import { localTime } from "../clock.js";
import { Fault } from "../errors.js";
import { keyframeFolder } from "../journal/past/keyframes.js";
import { type Moment, momentOf } from "../journal/past/moment.js";
import { openPast, type Past } from "../journal/past/past.js";
import type { TaskRef } from "../names.js";
import { stateFolder } from "../paths.js";
import { readState, type State } from "../state.js";
import { type App, type Drawing, type Paint, shape, step, type TypeOf } from "./define.js";
import { field } from "./fields.js";

/** The moment that a result is about, if it is not the present: after an event, by the number that `mu log` prints. */
export const AS_OF = shape({ event: "number", at: "string" });

export type AsOf = TypeOf<typeof AS_OF>;

export const atField = (description = "As of a date, 22:00 or an event") =>
  field(z.string().optional(), description, { value: "time|event" });

export const foldersOf = ({ request }: App) => ({ folder: keyframeFolder(stateFolder(request.env)) });

/** Gives `work` the tables as they were at a moment, which a text names. What is not there then is said to be missing then. */
export async function inPast<T>(app: App, text: string, work: (past: Past, moment: Moment) => Promise<T>): Promise<T> {
  const { store, clock } = app.context;
  const moment = await momentOf(store.db, text, clock.now());
  const past = await openPast(store.db, moment.event, foldersOf(app));
  try {
    return await work(past, moment);
  } catch (error) {
    if (!(error instanceof Fault) || error.kind !== "missing") throw error;
    const message = `At ${localTime(moment.at)}, after event #${moment.event}: ${error.message}`;
    throw new Fault("missing", error.code, message, [step("See the events and their numbers", "mu log")]);
  } finally {
    await past.close();
  }
}

/** The name that a workstream had then: of the one that has this name now, or else of the one that had it. */
export async function workstreamThen({ context }: App, past: Past, name: string): Promise<string> {
  const { db } = context.store;
  const now = await db.selectFrom("workstreams").select("id").where("name", "=", name).executeTakeFirst();
  const then = past.db.selectFrom("workstreams").select("name");
  return (now && (await then.where("id", "=", now.id).executeTakeFirst())?.name) ?? name;
}

/** What mu does not keep of a workstream's past. */
const NOT_KEPT = ["status of agents", "inbox", "missing roles", "waiting landings", "conflicts"];

export interface StateThenOptions {
  limit: number;
  events: number;
  under?: TaskRef | undefined;
}

/** A workstream as the past has it: what is not kept is empty. Faults as `readState`. */
export async function stateThen(
  app: App,
  past: Past,
  { event, at }: Moment,
  workstream: string,
  { under, ...options }: StateThenOptions,
): Promise<State & { asOf: AsOf; notKept: string[] }> {
  const name = await workstreamThen(app, past, workstream);
  await past.takeEvents(name, options.events);
  const task = under && { ...under, workstream: name };
  const state = await readState(past.db, name, { ...options, under: task, now: at });
  const agents = state.agents.map((agent) => ({ ...agent, status: null, statusSince: null }));
  return { ...state, agents, missingRoles: [], asOf: { event, at }, notKept: NOT_KEPT };
}

/** The line that says of when a result is, and what is not in it. */
export const asOfLine = (asOf: AsOf | undefined, notKept: readonly string[], paint: Paint): Drawing =>
  asOf && [
    `${paint.bold(localTime(asOf.at))}  after event #${asOf.event}`,
    paint.dim(paint.fit(`Not kept: ${notKept.join(", ")}`)),
  ];

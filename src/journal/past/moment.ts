import { localTime, parsePast } from "../../clock.js";
import type { Reader } from "../../db/schema.js";
import { Fault } from "../../errors.js";
import { quote } from "../../names.js";
import { eventBefore, lastWhere } from "./past.js";

/** A point in the log. */
export interface Moment {
  /** The last event before it, by the number that `mu log` prints. */
  event: number;
  at: string;
}

/**
 * The moment that a text names: an event's number, `#12`, or a time as `parsePast` reads it, which is between two events.
 * Faults `usage.invalid_input`, `past.not_yet` (usage), `past.no_such_event`, `past.before_first` (missing).
 */
export async function momentOf(db: Reader, text: string, now: Date): Promise<Moment> {
  const [, number] = /^#?(\d{1,15})$/.exec(text.trim()) ?? [];
  if (number !== undefined) return momentOfEvent(db, Number(number));
  const at = parsePast(text.trim(), now);
  if (at === undefined) throw invalid(text);
  if (at > now.toISOString())
    throw new Fault("usage", "past.not_yet", `${localTime(at)} is not past yet. Name an earlier moment.`);
  const newest = await eventBefore(db, Number.MAX_SAFE_INTEGER);
  const last = await lastWhere(newest?.id ?? 0, async (id) => ((await eventBefore(db, id))?.at ?? "") <= at);
  const event = await eventBefore(db, last);
  if (event !== undefined) return { event: event.id, at };
  const [first] = await db.selectFrom("events").select("at").orderBy("id").limit(1).execute();
  const since = first === undefined ? "is empty" : `begins at ${localTime(first.at)}`;
  throw new Fault("missing", "past.before_first", `Nothing is known of ${localTime(at)}: the log ${since}.`, SEE_LOG);
}

async function momentOfEvent(db: Reader, id: number): Promise<Moment> {
  const event = await eventBefore(db, id);
  if (event?.id === id) return { event: id, at: event.at };
  const newest = await eventBefore(db, Number.MAX_SAFE_INTEGER);
  const known = newest === undefined ? "The log is empty" : `The newest is #${newest.id}`;
  throw new Fault("missing", "past.no_such_event", `There is no event #${id}. ${known}.`, SEE_LOG);
}

const SEE_LOG = [{ intent: "See the events and their numbers", command: "mu log" }];

function invalid(text: string): Fault {
  const message = `${quote(text)} is no event's number, no time such as 22:00, and no date.`;
  return new Fault("usage", "usage.invalid_input", message, SEE_LOG);
}

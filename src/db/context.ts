import { randomUUID } from "node:crypto";
import type { Clock } from "../clock.js";
import type { Reader } from "./schema.js";
import type { Store } from "./store.js";

/** All that core code may know of the world. Built once, at the edge; tests build their own. */
export interface Context {
  readonly store: Store;
  readonly clock: Clock;
  /** Who acts: the name that events carry. */
  readonly actor: string;
  /** The row id of the agent that acts; absent for a person, and where only the name is known. */
  readonly incarnation?: number;
  /** The run whose agent acts, if one does. */
  readonly run?: ActingRun;
  /** One id for all events of one verb; without it every write is a group of its own. */
  readonly group?: string;
  /** Called in each write that records an event, before it is recorded: what it reads of the store is as it was before. */
  readonly beforeEvent?: () => Promise<void>;
}

/** A run whose agent writes. */
export interface ActingRun {
  id: number;
  /** Refuses the write of a run that is over. Called first in every write. */
  requireActive(db: Reader): Promise<void>;
  /** How many tasks it may add, and how many runs may have led to one. Without it nothing limits them. */
  limits?: { children: number; depth: number };
}

/** The moment as the database writes it: UTC, ISO 8601, milliseconds. */
export function timestamp(clock: Clock): string {
  return clock.now().toISOString();
}

/**
 * An id for a group of events: 40 random bits, enough to name one undo among a machine's. They are the first of
 * a UUID because Node keeps those in store; asking the system for 5 bytes costs a few percent of a claim.
 */
export function newGroup(): string {
  const uuid = randomUUID();
  return uuid.slice(0, 8) + uuid.slice(9, 11);
}

/** Given as the reason, as an error of its own would be made at every change. */
const WOKEN = "the database has changed";

/** The context's clock, whose sleep ends early when the database has changed since the last one. */
export function wakingClock({ clock, store }: Context): Clock & { end(): void } {
  let changed = false;
  let wake = () => {};
  const end = store.watch(() => {
    changed = true;
    wake();
  });
  return {
    now: () => clock.now(),
    sleep: async (ms, signal) => {
      const change = new AbortController();
      wake = () => change.abort(WOKEN);
      if (!changed) await clock.sleep(ms, signal ? AbortSignal.any([signal, change.signal]) : change.signal);
      changed = false;
    },
    end,
  };
}

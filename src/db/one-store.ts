import { type Store, withParts } from "./store.js";

const opened = new Map<string, { store: Promise<Store>; users: number }>();

/**
 * The store that this process has open under `key`, else the one that `open` gives: however often a database is opened
 * in a process, its writes go through one queue. It is closed when all who got it have closed it.
 */
export async function openOnce(key: string, open: () => Promise<Store>): Promise<Store> {
  const entry = opened.get(key) ?? { store: open(), users: 0 };
  opened.set(key, entry);
  entry.users++;
  let left = false;
  const leave = () => {
    if (left) return false;
    left = true;
    entry.users--;
    if (entry.users === 0) opened.delete(key);
    return entry.users === 0;
  };
  try {
    const store = await entry.store;
    return withParts(store, { close: async () => (leave() ? store.close() : undefined) });
  } catch (error) {
    leave();
    throw error;
  }
}

/** Whether this process has a database open that `key` names. */
export const isOpen = (key: string) => opened.has(key);

/** Runs pieces of work one after another, in the order in which they come. */
export function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const done = last.then(work);
    last = done.catch(() => {});
    return done;
  };
}

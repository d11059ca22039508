/** Time as an argument, so that tests can set it. */
export interface Clock {
  now(): Date;
  /** Resolves after `ms`, or when `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const finish = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", finish);
        resolve();
      };
      const timer = setTimeout(finish, ms);
      signal?.addEventListener("abort", finish, { once: true });
    }),
};

/** One turn of a loop: a value ends the loop, `undefined` continues it. */
export type Turn<T> = () => Promise<T | undefined>;

/** Runs `once` until it gives a value; undefined after `timeoutMs` or when `signal` aborts. The only polling loop here. */
export async function pollUntil<T>(
  clock: Clock,
  once: Turn<T>,
  options: { everyMs: number; timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<T | undefined> {
  const deadline = clock.now().getTime() + options.timeoutMs;
  for (;;) {
    const found = await once();
    if (found !== undefined) return found;
    const left = deadline - clock.now().getTime();
    if (left <= 0 || options.signal?.aborted) return undefined;
    await clock.sleep(Math.min(options.everyMs, left), options.signal);
  }
}

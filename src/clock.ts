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

const MOMENT = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?))?$/;

/**
 * A moment written as ISO 8601, as UTC with milliseconds. Without a zone it is local time, and a date alone is its
 * midnight. Undefined for other texts and for dates that do not exist.
 */
export function parseMoment(text: string): string | undefined {
  const [, date, time = "00:00"] = MOMENT.exec(text) ?? [];
  if (date === undefined || !isDate(date)) return undefined;
  const found = new Date(`${date}T${time}`);
  return Number.isNaN(found.getTime()) ? undefined : found.toISOString();
}

/** As `parseMoment`; a time of day alone, `22:00`, is the last such moment in local time. */
export function parsePast(text: string, now: Date): string | undefined {
  const [, hours, minutes] = /^(\d\d?):(\d\d)$/.exec(text) ?? [];
  if (hours === undefined) return parseMoment(text);
  if (Number(hours) > 23 || Number(minutes) > 59) return undefined;
  const found = new Date(now);
  found.setHours(Number(hours), Number(minutes), 0, 0);
  if (found > now) found.setDate(found.getDate() - 1);
  return found.toISOString();
}

function isDate(date: string): boolean {
  const found = new Date(`${date}T00:00Z`);
  return !Number.isNaN(found.getTime()) && found.toISOString().startsWith(date);
}

/** A moment as people read it: `2026-12-25 00:00:00` in local time. */
export function localTime(moment: string): string {
  const at = new Date(moment);
  const two = (value: number) => String(value).padStart(2, "0");
  const date = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join("-");
  return `${date} ${[at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":")}`;
}

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

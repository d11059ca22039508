/** A time of at most a year, or until `LATEST` of a clock: what is further away is a misreading. */
const LONGEST_MS = 366 * 86_400_000;
const DAY_MINUTES = 24 * 60;

/**
 * When the limit ends that a message speaks of, as UTC ISO 8601; null where it does not say. Without `endedAt` only
 * messages with a whole date are understood.
 */
export function limitEnd(message: string, endedAt?: Date): string | null {
  const text = message.slice(0, 2000);
  return (
    iso(wholeDate(text)) ?? (endedAt === undefined ? null : iso(afterwards(text, endedAt) ?? clockTime(text, endedAt)))
  );
}

/** `2026-11-30T15:00:00Z`, or Claude Code's `limit reached|1796050800`. */
function wholeDate(text: string): number | undefined {
  const date = /\b20\d\d-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)/.exec(text)?.[0];
  const seconds = /\|(\d{10})\b/.exec(text)?.[1];
  if (date === undefined) return seconds === undefined ? undefined : Number(seconds) * 1000;
  return Date.parse(date);
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SPAN = /(\d+(?:\.\d+)?)\s*(ms|d|h|m|s)(?:[a-z]*)\b/gi;

/** `try again in 1 hour 5 minutes`, `Please retry in 12.5s`, `retry-after: 30`. */
function afterwards(text: string, from: Date): number | undefined {
  const seconds = /retry.?after["':=\s]+(\d+)\b(?!\.?\d*\s*[a-z])/i.exec(text)?.[1];
  const words =
    /(?:again|retry|reset\w*|retrydelay)["':\s]+(?:in|after)?\s*["']?((?:\d+(?:\.\d+)?\s*[a-z]+[\s,]*(?:and\s+)?)+)/i.exec(
      text,
    )?.[1];
  const spans = [...(words ?? "").matchAll(SPAN)];
  if (seconds === undefined && spans.length === 0) return undefined;
  const ms = spans.reduce((sum, [, n, unit = ""]) => sum + Number(n) * (UNITS[unit.toLowerCase()] ?? 0), 0);
  const wait = seconds === undefined ? ms : Number(seconds) * 1000;
  return wait < LONGEST_MS ? from.getTime() + wait : undefined;
}

const CLOCK = /\b(?:resets?|again|until)(?: at)? (\d{1,2})(?::(\d\d))? ?([ap])\.?m\b\.?(?: \(([A-Za-z_+\-/0-9]+)\))?/i;

/** `resets 3pm (Europe/Berlin)`: the next time that clocks there show this. Zones differ by whole minutes. */
function clockTime(text: string, from: Date): number | undefined {
  const [, hour, minute = "00", half = "", zone] = CLOCK.exec(text) ?? [];
  if (hour === undefined) return undefined;
  const wanted = `${String((Number(hour) % 12) + (/p/i.test(half) ? 12 : 0)).padStart(2, "0")}:${minute}`;
  const clock = clockOf(zone);
  const first = Math.floor(from.getTime() / 60_000) + 1;
  for (let at = first; at <= first + DAY_MINUTES; at++) if (clock?.format(at * 60_000) === wanted) return at * 60_000;
  return undefined;
}

function clockOf(timeZone: string | undefined): Intl.DateTimeFormat | undefined {
  try {
    return new Intl.DateTimeFormat("en-GB", {
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
      ...(timeZone && { timeZone }),
    });
  } catch {
    return undefined;
  }
}

function iso(ms: number | undefined): string | null {
  return ms === undefined || !Number.isFinite(ms) || Math.abs(ms) > 8e15 ? null : new Date(ms).toISOString();
}

/** An object of unknown shape, as it came out of a foreign program. */
export type Json = Readonly<Record<string, unknown>>;

/** The value as an object, or an empty one. */
export function asObject(value: unknown): Json {
  return isObject(value) ? value : {};
}

/** The value as a list, or an empty one. */
export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The value as a number, or 0. */
export function asNumber(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

/** The value as a text, or undefined. */
export function asText(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** The objects of a JSON Lines text; lines that are none (warnings, logs) are passed over. */
export function parseLines(text: string): Json[] {
  return text.split("\n").map(parseObject).filter(isObject);
}

/** The last JSON object that begins at the start of a line and reaches to the end of the text, as after a noisy log. */
export function parseTrailingObject(text: string): Json | undefined {
  const end = text.trimEnd();
  for (let at = end.lastIndexOf("\n{"); at >= 0; at = at === 0 ? -1 : end.lastIndexOf("\n{", at - 1)) {
    const found = parseObject(end.slice(at + 1));
    if (found) return found;
    if (end.length - at > MAX_TRAILER) break;
  }
  return parseObject(end);
}

/** A result of any CLI is far smaller; without a bound a log full of braces would cost quadratic time. */
const MAX_TRAILER = 1_000_000;

function parseObject(text: string): Json | undefined {
  const trimmed = text.trim();
  if (!trimmed.startsWith("{") || !trimmed.endsWith("}")) return undefined;
  try {
    const value: unknown = JSON.parse(trimmed);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

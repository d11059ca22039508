const UNSTORABLE = /[\0\ud800-\udfff]/;
const LONE_OR_NUL = /\0|\p{Surrogate}/gu;
const UNSTORABLE_ESCAPE = /\\u(?:d[89a-f]|0000)/;

/**
 * `text` as both dialects can hold it: half surrogate pairs, which UTF-8 has no bytes for, and NUL, which
 * PostgreSQL refuses, become U+FFFD. What an event says and what the row holds stay the same text.
 */
export function storableText(text: string): string {
  return UNSTORABLE.test(text) ? text.replace(LONE_OR_NUL, "\ufffd") : text;
}

/** A copy of `row` whose texts are storable; the row itself when all are. */
export function storableRow<T extends Record<string, unknown>>(row: T): T {
  const unstorable = Object.entries(row).filter(([, value]) => typeof value === "string" && UNSTORABLE.test(value));
  if (unstorable.length === 0) return row;
  return { ...row, ...Object.fromEntries(unstorable.map(([column, value]) => [column, storableText(String(value))])) };
}

/** `value` as JSON text whose strings are storable. */
export function storableJson(value: unknown): string {
  const text = JSON.stringify(value);
  if (!UNSTORABLE_ESCAPE.test(text)) return text;
  return JSON.stringify(value, (_, part) => (typeof part === "string" ? storableText(part) : part));
}

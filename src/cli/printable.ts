import { UNPRINTABLE } from "../names.js";

/** Text in which whatever could steer a terminal, or hide, is shown as `�`. */
export function printable(text: string): string {
  return text.replace(/\r\n/g, "\n").replace(UNPRINTABLE, "�");
}

/** A value as one line of JSON in which the same characters are escaped, so that none is lost. */
export function jsonLine(value: unknown): string {
  const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return `${JSON.stringify(value).replace(UNPRINTABLE, (found) => found.split("").map(escaped).join(""))}\n`;
}

/** A JSON value with all its texts and names printable, so that what is drawn from it holds no colour but its own. */
export function printableValue(value: unknown): unknown {
  if (typeof value === "string") return printable(value);
  if (Array.isArray(value)) return value.map(printableValue);
  if (typeof value !== "object" || value === null || Buffer.isBuffer(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [printable(name), printableValue(inner)]));
}

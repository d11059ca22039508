import { isObject } from "../shape.js";

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

/** The value as a text, or undefined. */
export function asText(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

import { Fault } from "../errors.js";
import type { Io } from "./app.js";

/**
 * A text as it was meant: `-` and `@-` are standard input, `@file` a file, `\@…` a text that begins with `@`.
 * Faults `file.not_readable`.
 */
export async function readMeant(io: Io, text: string): Promise<string> {
  if (text === "-" || text === "@-") return withoutLastNewline(await io.readText("-"));
  if (text.startsWith("@") && text.length > 1) return withoutLastNewline(await io.readText(text.slice(1)));
  return text.startsWith("\\@") ? text.slice(1) : text;
}

/** The text given by position, by `--file`, or neither. Faults `usage.two_texts`, `usage.missing_argument`. */
export async function textOrFile(io: Io, text: string | undefined, file: string | undefined): Promise<string> {
  if (text !== undefined && file !== undefined) {
    throw new Fault("usage", "usage.two_texts", "Give the text or --file, not both.");
  }
  if (file !== undefined) return withoutLastNewline(await io.readText(file));
  if (text === undefined)
    throw new Fault("usage", "usage.missing_argument", "Give the text, - for standard input, or --file.");
  return text === "-" ? withoutLastNewline(await io.readText("-")) : text;
}

const withoutLastNewline = (text: string) => text.replace(/\r?\n$/, "");

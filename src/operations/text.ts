import { resolve } from "node:path";
import { Fault } from "../errors.js";
import { type Request, required } from "./app.js";

/**
 * A text as it was meant: on a command line `-` and `@-` are standard input, `@file` is a file, `\@…` a text that
 * begins with `@`; elsewhere it is the text itself. Faults `file.not_readable`.
 */
export async function readMeant(request: Request, text: string): Promise<string> {
  if (request.stdin === undefined) return text;
  if (text === "-" || text === "@-") return withoutLastNewline(await request.stdin());
  if (text.startsWith("@") && text.length > 1) return withoutLastNewline(await request.readFile(text.slice(1)));
  return text.startsWith("\\@") ? text.slice(1) : text;
}

/** The text given by position, by `--file`, or neither. Faults `usage.two_texts`, `usage.missing_argument`. */
export async function textOrFile(
  request: Request,
  text: string | undefined,
  file: string | undefined,
): Promise<string> {
  if (text !== undefined && file !== undefined) {
    throw new Fault("usage", "usage.two_texts", "Give the text or --file, not both.");
  }
  if (file !== undefined) return withoutLastNewline(await readSource(request, file));
  if (text === undefined)
    throw new Fault("usage", "usage.missing_argument", "Give the text, - for standard input, or --file.");
  return text === "-" && request.stdin !== undefined ? withoutLastNewline(await request.stdin()) : text;
}

/** The text of a file, or of standard input for `-`. Faults `file.not_readable`, `usage.needs_stdin`. */
export async function readSource(request: Request, file: string): Promise<string> {
  if (file !== "-") return request.readFile(resolve(request.cwd, file));
  return required(request, "stdin")();
}

const withoutLastNewline = (text: string) => text.replace(/\r?\n$/, "");

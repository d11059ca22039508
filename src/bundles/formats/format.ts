import { Fault } from "../../errors.js";
import { quote } from "../../names.js";
import { isObject } from "../../shape.js";
import type { KeptTask } from "../../tasks/kept.js";
import type { Drafted } from "../drafts.js";

/** Texts by their path in a folder; a single file is alone in it. */
export type Files = ReadonlyMap<string, string>;

/** The tasks of one list of another program; its name if it has one. */
export interface Listed extends Drafted {
  name?: string;
  deleted?: number;
}

/** Files of another program, and what they cannot hold, a line each. */
export interface Written {
  files: Files;
  left: string[];
}

/** How tasks are kept in another program: pure functions from its files to tasks and back. */
export interface Format {
  read(files: Files): Listed[] | Promise<Listed[]>;
  /** Absent where nothing reads such files. */
  write?(tasks: readonly KeptTask[]): Written;
}

export type Fields = Readonly<Record<string, unknown>>;

/** A field that is a text and not empty. */
export const textIn = (fields: Fields, key: string): string | undefined => {
  const value = fields[key];
  return typeof value === "string" && value !== "" ? value : undefined;
};

export const numberIn = (fields: Fields, key: string): number | undefined =>
  typeof fields[key] === "number" ? fields[key] : undefined;

export const listIn = (fields: Fields, key: string): readonly unknown[] => {
  const value = fields[key];
  return Array.isArray(value) ? value : [];
};

export const objectsIn = (fields: Fields, key: string): Fields[] => listIn(fields, key).filter(isObject);

/** Labels as tags: without commas, each once. */
export const tagsOf = (labels: readonly string[]): string[] =>
  labels
    .map((label) =>
      label
        .replace(/[\s,]+/g, " ")
        .trim()
        .slice(0, 64),
    )
    .filter((label) => label !== "");

/** A text of several parts, each below its heading; null if none says anything. */
export function sections(
  first: string | undefined,
  parts: Readonly<Record<string, string | undefined>>,
): string | null {
  const told = Object.entries(parts).flatMap(([head, text]) => (text === undefined ? [] : [`## ${head}\n\n${text}`]));
  const all = first === undefined ? told : [first, ...told];
  return all.length === 0 ? null : all.join("\n\n");
}

/** The fault of a file in which there is something else than its format has. */
export function invalidFile(path: string, why: string): Fault {
  return new Fault("usage", "import.invalid_file", `${quote(path)} cannot be imported: ${why}.`);
}

import * as z from "zod";
import type { Operation } from "./operation.js";
import type { Argument, Flag, ValueType, Verb } from "./verb.js";
import { flagName } from "./verb.js";

interface Property {
  type?: string;
  description?: string;
  enum?: string[];
  items?: { enum?: string[] };
  default?: unknown;
  short?: string;
  aliases?: string[];
  completes?: string;
  value?: string;
  replaces?: string;
  commas?: boolean;
  lines?: boolean;
}

/** The command line's picture of an operation, read off its input schema. */
export function describeVerb(operation: Operation): Verb {
  const schema = z.toJSONSchema(operation.input(), { io: "input" }) as {
    properties?: Record<string, Property>;
    required?: string[];
  };
  const properties = Object.entries(schema.properties ?? {});
  const required = new Set(schema.required ?? []);
  const positional = operation.positional ?? [];
  const find = (field: string) => properties.find(([name]) => name === field)?.[1] ?? {};
  return {
    name: operation.name,
    aliases: [...(operation.aliases ?? [])],
    summary: operation.summary,
    description: operation.description ?? "",
    effect: operation.effect,
    follows: operation.follow !== undefined,
    arguments: positional.map((field) => argument(field, find(field), required.has(field))),
    options: properties
      .filter(([field]) => !positional.includes(field))
      .map(([field, property]) => flag(field, property, required.has(field)))
      .sort((a, b) => (a.flag < b.flag ? -1 : 1)),
    examples: operation.examples.map((example) => ({ ...example })),
  };
}

function argument(field: string, property: Property, required: boolean): Argument {
  return { ...common(field, property, required), variadic: property.type === "array" };
}

function flag(field: string, property: Property, required: boolean): Flag {
  const about = common(field, property, required);
  const { short, aliases = [], default: fallback, value, replaces } = property;
  const negated = about.type === "boolean" && fallback === true;
  return {
    ...about,
    flag: negated ? `no-${flagName(field)}` : flagName(field),
    ...(short && { short }),
    ...(replaces && { replaces }),
    aliases,
    value: value ?? (about.choices ? "choice" : VALUE_WORDS[about.type]),
    ...(fallback !== undefined && fallback !== false && !negated && { default: String(fallback) }),
  };
}

function common(field: string, property: Property, required: boolean) {
  const { type, description = "", items, completes, commas, lines } = property;
  const choices = property.enum ?? items?.enum;
  return {
    field,
    description,
    required,
    type: valueType(property),
    ...(choices && { choices }),
    ...(completes && { completes }),
    ...(type === "array" && (commas || completes || items?.enum) && { commas: true }),
    ...(lines && { lines }),
  };
}

const VALUE_WORDS: Record<ValueType, string> = { text: "text", number: "n", boolean: "", list: "text", json: "json" };

const VALUE_TYPES: Readonly<Record<string, ValueType>> = {
  string: "text",
  integer: "number",
  number: "number",
  boolean: "boolean",
  array: "list",
};

function valueType({ type = "" }: Property): ValueType {
  return VALUE_TYPES[type] ?? "json";
}

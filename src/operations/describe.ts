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
  return {
    field,
    description: property.description ?? "",
    required,
    variadic: property.type === "array",
    type: valueType(property),
    ...(property.enum && { choices: property.enum }),
    ...writtenForm(property),
  };
}

/** How its words are read and completed. */
function writtenForm({ type, items, completes, commas, lines }: Property) {
  return {
    ...(completes && { completes }),
    ...(type === "array" && (commas || completes || items?.enum) && { commas: true }),
    ...(lines && { lines }),
  };
}

function flag(field: string, property: Property, required: boolean): Flag {
  const type = valueType(property);
  const choices = property.enum ?? property.items?.enum;
  const fallback = property.default;
  const negated = type === "boolean" && fallback === true;
  return {
    field,
    flag: negated ? `no-${flagName(field)}` : flagName(field),
    ...(property.short && { short: property.short }),
    aliases: property.aliases ?? [],
    type,
    value: property.value ?? (choices ? "choice" : VALUE_WORDS[type]),
    description: property.description ?? "",
    required,
    ...(choices && { choices }),
    ...(fallback !== undefined && fallback !== false && !negated && { default: String(fallback) }),
    ...writtenForm(property),
  };
}

const VALUE_WORDS: Record<ValueType, string> = { text: "text", number: "n", boolean: "", list: "text", json: "json" };

function valueType(property: Property): ValueType {
  switch (property.type) {
    case "string":
      return "text";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    case "array":
      return "list";
    default:
      return "json";
  }
}

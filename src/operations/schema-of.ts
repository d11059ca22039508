import * as z from "zod";
import type { Fields, Shape, TypeOf } from "../shape.js";

/** The schema of a shape. Objects take no other fields. */
export function schemaOf<const S extends Shape>(shape: S): z.ZodType<TypeOf<S>, TypeOf<S>> {
  return build(shape) as z.ZodType<TypeOf<S>, TypeOf<S>>;
}

const SCALARS = {
  string: () => z.string(),
  number: () => z.number(),
  boolean: () => z.boolean(),
  unknown: () => z.unknown(),
  object: () => z.record(z.string(), z.unknown()),
};

function build(shape: Shape): z.ZodType {
  if (typeof shape === "string") {
    const [, scalar, suffix] = /^(\w+)(.*)$/.exec(shape) as unknown as [string, keyof typeof SCALARS, string];
    const one = SCALARS[scalar]();
    const whole = suffix.startsWith("[]") ? z.array(one) : one;
    return suffix.endsWith("| null") ? orNull(whole) : whole;
  }
  if (!Array.isArray(shape)) return buildObject(shape as Fields);
  if (shape.every((word) => typeof word === "string")) return z.enum(shape);
  return shape.length === 1 ? z.array(build(shape[0])) : orNull(build(shape[0]));
}

function buildObject(fields: Fields): z.ZodType {
  if (fields["*"] !== undefined) return z.record(z.string(), build(fields["*"]));
  const built = Object.entries(fields).map(([name, field]) =>
    name.endsWith("?") ? [name.slice(0, -1), build(field).optional()] : [name, build(field)],
  );
  return z.strictObject(Object.fromEntries(built));
}

const orNull = (schema: z.ZodType) => z.union([schema, z.null()]);

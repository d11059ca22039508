import type { Fields, TypeOf } from "../shape.js";

/** `base_ref` for `baseRef`. */
type ColumnOf<F extends string> = F extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${ColumnOf<Rest>}`
  : "";

/** A value as it is stored: a choice of words is any text there. */
type Stored<V> = V extends string ? string : V;

/** A row with a column for each field. */
type RowFor<F> = { readonly [K in keyof F & string as ColumnOf<K>]: Stored<F[K]> };

/** The fields of a shape, each from the column of its name: `baseRef` from `base_ref`. */
export function fromRow<const S extends Fields>(shape: S, row: RowFor<TypeOf<S>>): TypeOf<S> {
  const values: Readonly<Record<string, unknown>> = row;
  const columnOf = (field: string) => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.keys(shape).map((field) => [field, values[columnOf(field)]])) as never;
}

type Scalars = { string: string; number: number; boolean: boolean; unknown: unknown; object: Record<string, unknown> };
type Scalar = keyof Scalars;

/**
 * What a value looks like, as data, so that it is written once: core reads the TypeScript type from it, operations the
 * JSON schema. A text names a type as TypeScript does; a list of texts is a choice of words; `[shape]` is a list,
 * `[shape, null]` a shape or null; an object has fields, of which `"name?"` may be absent; `{ "*": shape }`
 * has any names.
 */
export type Shape =
  | Scalar
  | `${Scalar}[]`
  | `${Scalar}[] | null`
  | `${Scalar} | null`
  | readonly string[]
  | readonly [Shape]
  | readonly [Shape, null]
  | Fields;

export interface Fields {
  readonly [field: string]: Shape;
}

/** The TypeScript type of a shape. */
export type TypeOf<S> = S extends Scalar
  ? Scalars[S]
  : S extends `${infer T extends Scalar}[] | null`
    ? Scalars[T][] | null
    : S extends `${infer T extends Scalar} | null`
      ? Scalars[T] | null
      : S extends `${infer T extends Scalar}[]`
        ? Scalars[T][]
        : S extends readonly string[]
          ? S[number]
          : S extends readonly [infer T, null]
            ? TypeOf<T> | null
            : S extends readonly [infer T]
              ? TypeOf<T>[]
              : S extends { readonly "*": infer T }
                ? Record<string, TypeOf<T>>
                : FieldsOf<S>;

type FieldsOf<S> = Extract<keyof S, `${string}?`> extends never ? Always<S> : Always<S> & Sometimes<S>;
type Always<S> = { -readonly [K in keyof S as K extends `${string}?` ? never : K]: TypeOf<S[K]> };
type Sometimes<S> = {
  -readonly [K in keyof S as K extends `${infer Name}?` ? Name : never]?: TypeOf<S[K]> | undefined;
};

/** Gives `shape` back with its words kept as types. */
export const shape = <const S extends Shape>(shape: S): S => shape;

/** Whether `value` is an object with fields: no list, and not null. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

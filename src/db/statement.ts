import type { CompiledQuery, InferResult, SelectQueryBuilder } from "kysely";
import type { Reader, Schema } from "./schema.js";

class Parameter {
  constructor(readonly key: string) {}
}

interface Compilable {
  compile(): CompiledQuery<unknown>;
}

type RowOf<Q> = Q extends Compilable ? InferResult<Q & { compile(): CompiledQuery<unknown> }> : never;

/**
 * A query that is built and compiled once per dialect and from then on only bound: the builder costs some
 * 30 µs a time, which a claim cannot afford. `build` gets stand-ins for the values; it must not look at them.
 */
export function statement<P extends object, Q extends Compilable>(
  build: (db: Reader, values: P) => Q,
): (db: Reader, values: P) => Promise<RowOf<Q>> {
  const compiled = new Map<unknown, CompiledQuery<unknown>>();
  const standIns = new Proxy({} as P, { get: (_, key) => new Parameter(String(key)) });

  return async (db, values) => {
    const dialect = db.getExecutor().adapter.constructor;
    let query = compiled.get(dialect);
    if (query === undefined) {
      query = build(db, standIns).compile();
      compiled.set(dialect, query);
    }
    const parameters = query.parameters.map((parameter) =>
      parameter instanceof Parameter ? (values as Record<string, unknown>)[parameter.key] : parameter,
    );
    const { rows } = await db.executeQuery({ ...query, parameters });
    return rows as RowOf<Q>;
  };
}

/** Values bound, or rows read, by one query: both dialects limit the first. */
const PORTION = 500;

/** `values` in portions of `size`, by default as many as one query may bind. */
export function* portions<T>(values: readonly T[], size = PORTION): Generator<T[]> {
  for (let at = 0; at < values.length; at += size) yield values.slice(at, at + size);
}

export async function rowsByIds<Row>(
  ids: readonly number[],
  read: (portion: readonly number[]) => Promise<Row[]>,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const portion of portions(ids)) for (const row of await read(portion)) rows.push(row);
  return rows;
}

/** The rows of an unordered query in pages of `size`, ordered by a unique column that it selects. */
export async function* pages<T extends keyof Schema, C extends "id" | "n", Row extends Record<C, number>>(
  query: SelectQueryBuilder<Schema, T, Row>,
  column: C,
  order: "asc" | "desc" = "asc",
  size = PORTION,
): AsyncGenerator<Row[]> {
  const ordered = query.orderBy(column as never, order).limit(size);
  let page = await ordered.execute();
  for (let last = page.at(-1); last !== undefined; last = page.at(-1)) {
    yield page;
    if (page.length < size) return;
    page = await ordered.where(column as never, order === "asc" ? ">" : "<", last[column] as never).execute();
  }
}

import type { CompiledQuery, InferResult } from "kysely";
import type { Reader } from "./schema.js";

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

/** `values` in portions, by default of as many as fit into one query: both dialects limit how many it may bind. */
export function* portions<T>(values: readonly T[], size = 500): Generator<T[]> {
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

/**
 * What the types of mu's SDK need of Kysely, so that its users need not install it. The SDK's functions take
 * `store.db`; queries of your own go through `querySql`.
 */

/** The database behind a store. */
export interface Kysely<DB> {
  /** Never there: it keeps the tables apart from any other database's. */
  readonly tables?: DB;
}

/** A query; only the shape of its rows is known. */
export interface SelectQueryBuilder<DB, TB extends keyof DB, O> {
  /** Never there: it keeps the tables that the query reads. */
  readonly from?: Pick<DB, TB>;
  execute(): Promise<O[]>;
  executeTakeFirstOrThrow(): Promise<O>;
}

export type Generated<T> = T;
export type Selectable<T> = { [K in keyof T]: T[K] };
export type Nullable<T> = { [K in keyof T]: T[K] | null };

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { PGlite } from "@electric-sql/pglite";
import { afterEach, beforeEach, describe, inject, it } from "vitest";
import { systemClock } from "../../src/clock.js";
import type { Context } from "../../src/db/context.js";
import { openPostgres, POSTGRES_PARSERS } from "../../src/db/postgres.js";
import { openSqlite } from "../../src/db/sqlite/sqlite.js";
import type { Store } from "../../src/db/store.js";

/** A context on a fresh database, made anew for every test. */
export interface Bench {
  context: Context;
  /** The same database, acting as somebody else. */
  as(actor: string): Context;
}

declare module "vitest" {
  interface ProvidedContext {
    /** Set in the project whose stories run on PostgreSQL. */
    dialect?: "postgres";
  }
}

/** The dialect of this run's project. */
export const dialect = inject("dialect") ?? "sqlite";

/**
 * Stories that depend on the dialect: they run on SQLite, and in the project `postgres` once more on PostgreSQL. A
 * file that calls this is one of that project's; what else it tests goes into `describeOnce`.
 */
export function onEachDialect(title: string, stories: (bench: Bench) => void): void {
  describe(`${title} (${dialect})`, () => {
    const bench = {} as Bench;
    let end: () => Promise<void>;
    beforeEach(async () => {
      const opened = await open[dialect]();
      end = opened.end;
      bench.context = contextOn(opened.store);
      bench.as = (actor) => ({ ...bench.context, actor });
    }, 60_000);
    afterEach(() => end());
    stories(bench);
  });
}

/** Stories that have nothing to do with a dialect, in a file that `onEachDialect` has put into both projects. */
export function describeOnce(title: string, stories: () => void): void {
  if (dialect === "sqlite") describe(title, stories);
}

/** A story among those of `onEachDialect` that does not depend on the dialect, such as one of git. */
export function itOnce(title: string, story: () => Promise<void>): void {
  if (dialect === "sqlite") it(title, story);
}

const open = { sqlite: sqliteOnDisk, postgres: postgresInProcess };

/** A context on `store` with the real clock. */
export function contextOn(store: Store, actor = "tester"): Context {
  return { store, clock: systemClock, actor };
}

/** A temporary folder that `remove` takes away. */
export function temporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "mu-test-"));
  return { path, remove: () => removeTree(path) };
}

/**
 * Removes a folder, into which programs that are just ending may still write their last files: for 20 s at most. Node's
 * own retries do not look again for what has come in.
 */
export function removeTree(path: string): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let left = 400; ; left--) {
    try {
      rmSync(path, { recursive: true, force: true });
      return;
    } catch (error) {
      if (left === 0) throw error;
      Atomics.wait(pause, 0, 0, 50);
    }
  }
}

/** Opens the database at `path`. A new one is a copy of one whose migrations ran once. */
export async function openTestStore(path: string): Promise<Store> {
  if (!existsSync(path)) {
    empty ??= emptyDatabase();
    const bytes = await empty;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, bytes, { mode: 0o600 });
  }
  return openSqlite(path, { missing: "create", synchronous: "NORMAL" });
}

let empty: Promise<Buffer> | undefined;

async function emptyDatabase(): Promise<Buffer> {
  const folder = temporaryFolder();
  const path = join(folder.path, "mu.db");
  const store = await openSqlite(path, { missing: "create" });
  await store.close();
  const bytes = readFileSync(path);
  folder.remove();
  return bytes;
}

async function sqliteOnDisk() {
  const folder = temporaryFolder();
  const store = await openTestStore(join(folder.path, "mu.db"));
  return { store, end: () => store.close().finally(folder.remove) };
}

/** One engine serves all files of the project: it takes seconds and most of a gigabyte to start. */
const engines = globalThis as { muTestEngine?: Promise<PGlite> };

/** Takes what a story's own migration made out of the engine that other files share; nothing to do on SQLite. */
export async function dropFromEngine(statements: readonly string[]): Promise<void> {
  const engine = await engines.muTestEngine;
  for (const text of statements) await engine?.exec(text);
}

/** The engine's database, as its migrations left it. */
async function postgresInProcess() {
  engines.muTestEngine ??= import("@electric-sql/pglite").then(({ PGlite }) =>
    PGlite.create({ parsers: POSTGRES_PARSERS }),
  );
  const engine = await engines.muTestEngine;
  await truncate(engine);
  const store = await openPostgres(singleClientPool(engine), "pglite");
  return { store, end: () => store.close() };
}

/** Truncates every table but those that say which migrations were run. */
async function truncate(engine: PGlite): Promise<void> {
  await engine.exec(`do $$ declare names text; begin
    select string_agg(quote_ident(tablename), ', ') into names
      from pg_tables where schemaname = 'public' and tablename not like 'kysely%';
    if names is not null then execute 'truncate ' || names || ' restart identity cascade'; end if;
  end $$`);
}

/** Hands the one connection out to one holder at a time. */
function singleClientPool(engine: PGlite) {
  let last: Promise<void> = Promise.resolve();
  return {
    async connect() {
      const before = last;
      let release = () => {};
      last = new Promise((resolve) => {
        release = resolve;
      });
      await before;
      return {
        release,
        async query(text: unknown, parameters: readonly unknown[] = []) {
          const result = await engine.query(String(text), [...parameters]);
          return { command: commandOf(String(text)), rowCount: result.affectedRows ?? 0, rows: result.rows };
        },
      };
    },
    end: async () => {},
  } as never;
}

const commandOf = (text: string) => text.trim().split(/\s/, 1)[0]?.toUpperCase() as "SELECT";

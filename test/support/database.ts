import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { afterAll, afterEach, beforeEach, describe } from "vitest";
import { systemClock } from "../../src/clock.js";
import type { Context } from "../../src/db/context.js";
import { openPostgres } from "../../src/db/postgres.js";
import { openSqlite } from "../../src/db/sqlite/sqlite.js";
import type { Store } from "../../src/db/store.js";

/** A context on a fresh database, made anew for every test. */
export interface Bench {
  context: Context;
  /** The same database, acting as somebody else. */
  as(actor: string): Context;
}

const dialects = { sqlite: sqliteOnDisk, postgres: postgresInProcess };

/** Runs the stories once on SQLite and once on PostgreSQL. */
export function onEachDialect(title: string, stories: (bench: Bench) => void): void {
  for (const [dialect, open] of Object.entries(dialects)) {
    describe(`${title} (${dialect})`, () => {
      const bench = {} as Bench;
      let end: () => Promise<void>;
      beforeEach(async () => {
        const opened = await open();
        end = opened.end;
        bench.context = contextOn(opened.store);
        bench.as = (actor) => ({ ...bench.context, actor });
      }, 60_000);
      afterEach(() => end());
      stories(bench);
    });
  }
  afterAll(() => shared?.then((db) => db.close()).finally(() => (shared = undefined)));
}

/** A context on `store` with the real clock. */
export function contextOn(store: Store, actor = "tester"): Context {
  return { store, clock: systemClock, actor };
}

/** A temporary folder that `remove` takes away. */
export function temporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "mu-test-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 }) };
}

async function sqliteOnDisk() {
  const folder = temporaryFolder();
  const store = await openSqlite(join(folder.path, "mu.db"), { missing: "create", synchronous: "NORMAL" });
  return { store, end: () => store.close().finally(folder.remove) };
}

let shared: Promise<PGlite> | undefined;

/** One engine serves a whole test file: it takes seconds and most of a gigabyte to start. */
async function postgresInProcess() {
  shared ??= PGlite.create();
  const engine = await shared;
  await engine.exec("drop schema public cascade; create schema public");
  const store = await openPostgres(singleClientPool(engine), "pglite");
  return { store, end: () => store.close() };
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

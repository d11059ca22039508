import Database from "better-sqlite3";
import type { Connection } from "../../src/db/sqlite/connection.js";
import { createKysely } from "../../src/db/sqlite/driver.js";
import { openSqlite } from "../../src/db/sqlite/sqlite.js";
import { type Store, withParts } from "../../src/db/store.js";

let made: Promise<{ store: Store; image: Buffer }> | undefined;

/** A database in memory as the migrations leave it. They run once in a process: a copy takes a tenth of the time. */
export async function openEmpty(): Promise<Store> {
  made ??= migrated();
  const { store, image } = await made;
  const connection = new Database(image) as Connection;
  connection.pragma("foreign_keys = on");
  const { db } = createKysely(connection, { location: ":memory:", timeoutMs: 1_000 });
  return {
    ...withParts(store, {
      write: (work) => db.transaction().execute(work),
      read: (work) => db.transaction().setAccessMode("read only").execute(work),
      close: () => db.destroy(),
    }),
    db,
  };
}

async function migrated() {
  const store = await openSqlite(":memory:", { missing: "create" });
  const image = await store.db
    .getExecutor()
    .provideConnection(async (connection) => (connection as unknown as { file: Database.Database }).file.serialize());
  return { store, image };
}

import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { sql } from "kysely";
import { afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { upgradeDatabase } from "../src/db/migrate.js";
import { MIGRATION_NAMES } from "../src/db/migrations/names.js";
import { connect } from "../src/db/sqlite/connect.js";
import { openSqlite } from "../src/db/sqlite/sqlite.js";
import { initWorkstream, listWorkstreams } from "../src/workstreams/workstream.js";
import { bundleChild, runChild as run } from "./support/child.js";
import { contextOn, describeOnce, onEachDialect, temporaryFolder } from "./support/database.js";

let folder: ReturnType<typeof temporaryFolder>;
let path: string;

beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder.path, "mu.db");
});

afterEach(() => folder.remove());

const open = (options: Partial<Parameters<typeof openSqlite>[1]> = {}) =>
  openSqlite(path, { missing: "create", ...options });

async function seeded(): Promise<void> {
  const store = await open();
  await initWorkstream(contextOn(store), "demo");
  await store.close();
}

const unavailable = (code: string) => ({ kind: "unavailable", code, exitCode: 5 });

describeOnce("opening a database", () => {
  it("makes a missing one with its folder, for its owner alone", async () => {
    path = join(folder.path, "a", "b", "mu.db");
    await seeded();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
  });

  it("reads a missing one as empty, and makes nothing until the first write", async () => {
    path = join(folder.path, "a", "mu.db");
    const store = await open({ missing: "empty" });
    expect(await listWorkstreams(store.db)).toEqual([]);
    expect(await upgradeDatabase(store, { dryRun: true })).toMatchObject({ pending: [] });
    expect(existsSync(dirname(path))).toBe(false);
    await initWorkstream(contextOn(store), "demo");
    expect(await listWorkstreams(store.db)).toHaveLength(1);
    expect(existsSync(path)).toBe(true);
    await store.close();
  });

  it("takes no write lock and changes no byte of a current one", async () => {
    await seeded();
    const before = { bytes: readFileSync(path), mtime: statSync(path).mtimeMs };
    const other = connect(path, { timeout: 5_000 });
    other.exec("begin immediate");
    const store = await open({ busyTimeoutMs: 1 });
    expect(await listWorkstreams(store.db)).toHaveLength(1);
    expect(await store.read((db) => listWorkstreams(db))).toHaveLength(1);
    await store.close();
    other.exec("rollback");
    other.close();
    expect(readFileSync(path).equals(before.bytes)).toBe(true);
    expect(statSync(path).mtimeMs).toBe(before.mtime);
  });

  it("gives up a write when another holds the lock for too long", async () => {
    await seeded();
    const other = connect(path, { timeout: 5_000 });
    other.exec("begin immediate");
    const store = await open({ busyTimeoutMs: 20 });
    await expect(initWorkstream(contextOn(store), "other")).rejects.toMatchObject({
      ...unavailable("db.locked"),
      message: expect.stringContaining(path),
    });
    other.exec("rollback");
    await initWorkstream(contextOn(store), "other");
    await store.close();
    other.close();
  });

  it("says that the disk is full, and has changed nothing", async () => {
    await seeded();
    const store = await open();
    // A file that may not grow meets the same error as a full disk.
    await sql`pragma max_page_count = 1`.execute(store.db);
    await sql`pragma cache_size = 1`.execute(store.db);
    const root = `/${"x".repeat(2_000_000)}`;
    await expect(initWorkstream(contextOn(store), "big", { root })).rejects.toMatchObject(unavailable("db.disk_full"));
    expect((await listWorkstreams(store.db)).map((one) => one.name)).toEqual(["demo"]);
    await store.close();
  });

  it("tells what went wrong where SQLite has rolled back by itself", async () => {
    const store = await open();
    await sql`create temp trigger broken before insert on workstreams
      begin select raise(rollback, 'the disk broke'); end`.execute(store.db);
    await expect(initWorkstream(contextOn(store), "demo")).rejects.toThrow("the disk broke");
    await store.close();
  });

  it("refuses one that a newer mu made", async () => {
    await seeded();
    alter("insert into kysely_migration (name, timestamp) values ('9999_later', 'x')");
    await expect(open()).rejects.toMatchObject({ kind: "conflict", code: "db.newer", exitCode: 4 });
    const store = await open({ migrate: "never" });
    await expect(upgradeDatabase(store, { dryRun: true })).rejects.toMatchObject({ code: "db.newer" });
    await store.close();
  });

  it("upgrades an older one, and tells beforehand what that will do", async () => {
    writeFileSync(path, "");
    const store = await open({ migrate: "never" });
    expect(await upgradeDatabase(store, { dryRun: true })).toEqual({ location: path, pending: MIGRATION_NAMES });
    expect(statSync(path).size).toBe(0);
    expect(await upgradeDatabase(store, { dryRun: false })).toEqual({ location: path, pending: MIGRATION_NAMES });
    expect(await upgradeDatabase(store, { dryRun: true })).toMatchObject({ pending: [] });
    await initWorkstream(contextOn(store), "demo");
    await store.close();
  });

  it("cannot upgrade what is locked", async () => {
    writeFileSync(path, "");
    const other = connect(path, { timeout: 5_000 });
    other.exec("begin immediate");
    const store = await open({ migrate: "never", busyTimeoutMs: 1 });
    await expect(upgradeDatabase(store, { dryRun: false })).rejects.toMatchObject(unavailable("db.locked"));
    other.close();
    await store.close();
  });

  it("says what is wrong with a file that is no database, damaged, somebody else's or a folder", async () => {
    writeFileSync(path, "this is a text that is longer than the header of a database would be".repeat(20));
    await expect(open()).rejects.toMatchObject({
      ...unavailable("db.not_a_database"),
      message: expect.stringContaining(path),
    });

    path = join(folder.path, "other.db");
    const other = connect(path, { timeout: 5_000 });
    other.exec("create table places (id)");
    other.close();
    await expect(open()).rejects.toMatchObject(unavailable("db.foreign"));

    path = join(folder.path, "damaged.db");
    await seeded();
    truncateSync(path, 4096 * 3);
    await expect(damaged()).rejects.toMatchObject(unavailable("db.corrupt"));

    path = folder.path;
    await expect(open()).rejects.toMatchObject(unavailable("db.cannot_open"));
    path = join(folder.path, "other.db", "mu.db");
    for (const missing of ["create", "empty"] as const) {
      await expect(open({ missing }), missing).rejects.toMatchObject(unavailable("db.cannot_open"));
    }
  });

  async function damaged() {
    const store = await open();
    try {
      await listWorkstreams(store.db);
      await initWorkstream(contextOn(store), "other");
    } finally {
      await store.close();
    }
  }
});

function alter(text: string): void {
  const other = connect(path, { timeout: 5_000 });
  other.exec(text);
  other.close();
}

describeOnce("other processes", () => {
  let bundles: ReturnType<typeof temporaryFolder>;
  let program: string;

  beforeAll(async () => {
    bundles = temporaryFolder();
    program = await bundleChild(bundles.path, "open-child");
    chmodSync(bundles.path, 0o755);
    return bundles.remove;
  });

  it("open a fresh path at the same moment, all of them", async () => {
    for (const fresh of ["absent", "empty"]) {
      path = join(folder.path, fresh, "mu.db");
      if (fresh === "empty") {
        mkdirSync(dirname(path));
        writeFileSync(path, "");
      }
      const said = await Promise.all(Array.from({ length: 8 }, (_, n) => run(program, [path, `w${n}`])));
      expect(said).toEqual(Array.from({ length: 8 }, () => "done"));
      const store = await open();
      expect(await listWorkstreams(store.db)).toHaveLength(8);
      await store.close();
      expect(readdirSync(dirname(path)).filter((name) => name.endsWith(".new"))).toEqual([]);
    }
  });

  it.skipIf(process.getuid?.() !== 0)("without the right to write say so", async () => {
    const nobody = 65_534;
    await seeded();
    chmodSync(folder.path, 0o755);
    chmodSync(path, 0o444);
    expect(await run(program, [path, "read"], nobody)).toBe("db.read_only");
    expect(await run(program, [path, "w1"], nobody)).toBe("db.read_only");
    chmodSync(folder.path, 0o777);
    expect(await run(program, [path, "read"], nobody)).toBe("1 workstreams");
    expect(await run(program, [path, "w1"], nobody)).toBe("db.read_only");
    chmodSync(folder.path, 0o755);
    chmodSync(path, 0o400);
    expect(await run(program, [path, "read"], nobody)).toBe("db.cannot_open");
    path = join(folder.path, "deep", "mu.db");
    expect(await run(program, [path, "w1"], nobody)).toBe("db.cannot_open");
    mkdirSync(dirname(path));
    expect(await run(program, [path, "w1"], nobody)).toBe("db.cannot_open");
    chownSync(dirname(path), nobody, nobody);
    expect(await run(program, [path, "w1"], nobody)).toBe("done");
    chownSync(dirname(path), 0, 0);
    chmodSync(dirname(path), 0o700);
    expect(await run(program, [path, "read"], nobody)).toBe("db.cannot_open");
  });
});

onEachDialect("an upgrade", (bench) => {
  it("has nothing to do on a current database", async () => {
    const { store } = bench.context;
    expect(await upgradeDatabase(store, { dryRun: true })).toMatchObject({ pending: [] });
    expect(await upgradeDatabase(store, { dryRun: false })).toMatchObject({ pending: [] });
  });
});

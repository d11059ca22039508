import { renameSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openStore } from "../../src/db/open.js";
import { connect } from "../../src/db/sqlite/connect.js";
import type { Store } from "../../src/db/store.js";
import { claimNext } from "../../src/tasks/claim.js";
import { initWorkstream, listWorkstreams } from "../../src/workstreams/workstream.js";
import { contextOn, onEachDialect, temporaryFolder } from "../support/database.js";
import { DEMO, ops, plan } from "../support/tasks.js";

let folder: ReturnType<typeof temporaryFolder>;
let path: string;
const opened: Store[] = [];

beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder.path, "mu.db");
});

afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  folder.remove();
});

/** A write that waits for another process gives up within the time limit of a test. */
const open = async (at = path) => {
  const store = await openStore({ path: at, busyTimeoutMs: 2_000 });
  opened.push(store);
  return store;
};

const names = async (store: Store) => (await listWorkstreams(store.db)).map((one) => one.name);
const eventLoopTurn = () => new Promise((resolve) => setImmediate(resolve));

describe("a database opened twice in one process", () => {
  it("lets writes through both stores at once, whatever the file is called", async () => {
    const first = await open();
    await initWorkstream(contextOn(first), "demo");
    symlinkSync(path, join(folder.path, "other.db"));
    const second = await open(join(folder.path, "other.db"));
    const slow = first.write(async () => {
      for (let turn = 0; turn < 10; turn++) await eventLoopTurn();
    });
    await Promise.all([
      slow,
      ...Array.from({ length: 10 }, (_, n) => initWorkstream(contextOn(n % 2 ? first : second), `w${n}`)),
    ]);
    expect(await names(second)).toHaveLength(11);
  });

  it("makes a missing file once, for all who write first", async () => {
    const stores = await Promise.all([open(), open()]);
    await Promise.all(stores.flatMap((store, n) => [`a${n}`, `b${n}`].map((w) => initWorkstream(contextOn(store), w))));
    for (const store of stores) expect(await names(store)).toHaveLength(4);
  });

  it("stays open until both stores are closed", async () => {
    await initWorkstream(contextOn(await open()), "demo");
    const [first, second] = [await open(), await open()];
    await first.close();
    await first.close();
    expect(await names(second)).toEqual(["demo"]);
  });

  it("goes on with the file that has taken the place of its own", async () => {
    const old = await open();
    await initWorkstream(contextOn(old), "old");
    for (const suffix of ["", "-wal", "-shm"]) renameSync(path + suffix, join(folder.path, `backup.db${suffix}`));
    const fresh = await open();
    await initWorkstream(contextOn(fresh), "fresh");
    expect([await names(old), await names(fresh)]).toEqual([["fresh"], ["fresh"]]);
  });
});

describe("a write", () => {
  it("is not seen by reads beside it before it is committed", async () => {
    const store = await open();
    await initWorkstream(contextOn(store), "demo");
    await store.write(async (db) => {
      await db.updateTable("workstreams").set({ name: "half" }).execute();
      const [beside, inOnePicture] = await Promise.all([names(store), store.read((reader) => listWorkstreams(reader))]);
      expect([beside, inOnePicture.map((one) => one.name)]).toEqual([["demo"], ["demo"]]);
      expect((await store.query("select name from workstreams")).rows).toEqual([{ name: "demo" }]);
    });
    expect(await names(store)).toEqual(["half"]);
  });

  it("leaves nothing behind for the next one when it fails", async () => {
    const store = await open();
    await initWorkstream(contextOn(store), "demo");
    const failing = store.write(async (db) => {
      await db.updateTable("workstreams").set({ name: "half" }).execute();
      await eventLoopTurn();
      throw new Error("no");
    });
    const next = initWorkstream(contextOn(store), "next");
    await expect(failing).rejects.toThrow("no");
    await next;
    expect((await names(store)).sort()).toEqual(["demo", "next"]);
  });

  it("waits for another process without holding up this one", async () => {
    const store = await open();
    await initWorkstream(contextOn(store), "demo");
    const other = connect(path, { timeout: 0 });
    other.exec("begin immediate");
    let isDone = false;
    const waiting = initWorkstream(contextOn(store), "late").then(() => (isDone = true));
    for (let turn = 0; turn < 5; turn++) expect(await names(store)).toEqual(["demo"]);
    expect(isDone).toBe(false);
    other.exec("rollback");
    other.close();
    await waiting;
    expect(await names(store)).toHaveLength(2);
  });
});

onEachDialect("calls at once in one process", (bench) => {
  it("claim each task once, and never the same", async () => {
    await plan(bench.context, ["build"], ["docs"]);
    const claims = await Promise.allSettled(
      ["ann", "bob", "cid"].map((person) => claimNext(bench.as(person), DEMO, { person })),
    );
    const won = claims.flatMap((claim) => (claim.status === "fulfilled" ? [claim.value.task.name] : []));
    expect(won.sort()).toEqual(["build", "docs"]);
    expect((await ops(bench.context)).filter((op) => op === "task.claim")).toHaveLength(2);
  });
});

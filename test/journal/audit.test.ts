import fc from "fast-check";
import { sql } from "kysely";
import { expect, it } from "vitest";
import type { Context } from "../../src/db/context.js";
import { type EventRow, eventHash } from "../../src/db/events.js";
import type { Reader } from "../../src/db/schema.js";
import { auditHead, verifyChains } from "../../src/journal/audit.js";
import { compareTables, foldEvents } from "../../src/journal/replay.js";
import { destroyWorkstream, renameWorkstream } from "../../src/workstreams/workstream.js";
import { act, perform } from "../support/acts.js";
import { onEachDialect } from "../support/database.js";
import { patchTask, putEdge, putNote, putTask } from "../support/history.js";

const verify = (context: Context, scope?: string) =>
  context.store.read((db) => verifyChains(db, scope === undefined ? {} : { scope }));

onEachDialect("the chain", (bench) => {
  it("reports each scope with its head", async () => {
    const { context } = bench;
    await putTask(context, "alpha", "build");
    await putTask(context, "beta", "test");
    const reports = await verify(context);
    expect(reports).toEqual([
      { scope: "alpha", n: 2, head: expect.stringMatching(/^[0-9a-f]{64}$/), ok: true, byHash: 0 },
      { scope: "beta", n: 2, head: expect.stringMatching(/^[0-9a-f]{64}$/), ok: true, byHash: 0 },
    ]);
    expect(await auditHead(context.store.db)).toEqual(reports.map(({ scope, n, head }) => ({ scope, n, head })));
    expect(await verify(context, "beta")).toEqual([reports[1]]);
    await expect(verify(context, "alfa")).rejects.toMatchObject({
      kind: "missing",
      code: "audit.no_such_chain",
      message: 'There is no chain of events for "alfa". Did you mean alpha?',
      nextSteps: [{ intent: "See all chains", command: "mu audit head" }],
    });
  });

  it("is sound on an empty database, and after a write without changes", async () => {
    const { context } = bench;
    expect(await verify(context)).toEqual([]);
    await context.store.write((db) =>
      db
        .insertInto("chains")
        .values({ scope: "idle", head_n: 0, head_hash: "0".repeat(64) })
        .execute(),
    );
    expect(await verify(context)).toMatchObject([{ scope: "idle", n: 0, ok: true }]);
    expect(await auditHead(context.store.db, "idle")).toMatchObject([{ scope: "idle", n: 0 }]);
  });

  it("survives half surrogate pairs and NUL characters in every text", async () => {
    const { context } = bench;
    const odd = { ...context, actor: "a\ud800b\0c" };
    const id = await putTask(odd, "alpha", "build");
    await patchTask(odd, "alpha", id, { title: "x\udfffy\0z \u007f \u2028 😀", description: "\ud83d" });
    await putNote(odd, "alpha", id, "\0");
    expect(await verify(context)).toMatchObject([{ ok: true }]);
    expect(await compareTables(context.store.db)).toEqual([]);
    const task = await context.store.db.selectFrom("tasks").selectAll().executeTakeFirstOrThrow();
    expect(task.title).toBe("x\ufffdy\ufffdz \u007f \u2028 😀");
  });

  it("names the first event that was edited, dropped, inserted, swapped or cut off", async () => {
    const { context } = bench;
    await fc.assert(
      fc.asyncProperty(
        fc.array(act, { minLength: 4, maxLength: 10 }),
        fc.nat(),
        tampering,
        async (acts, at, tamper) => {
          await putTask(context, "w0", `t_${(await eventsOf(context)).length}`);
          for (const doing of acts) await perform(context, doing);
          expect((await verify(context)).every((report) => report.ok)).toBe(true);
          await rolledBack(context, async (db) => {
            const bad = await tamper(db, at);
            const found = (await verifyChains(db)).filter((report) => !report.ok);
            expect(found).toMatchObject([{ scope: bad.scope, firstBad: { n: bad.n } }]);
          });
        },
      ),
      { numRuns: 25 },
    );
  });

  it("is broken by events without a head", async () => {
    const { context } = bench;
    await putTask(context, "alpha", "build");
    await putTask(context, "beta", "test");
    await context.store.write((db) => db.deleteFrom("chains").where("scope", "=", "alpha").execute());
    const problem = "is in a chain without a recorded head";
    expect(await verify(context)).toMatchObject([
      { scope: "alpha", n: 2, head: expect.stringMatching(/^[0-9a-f]{64}$/), ok: false, firstBad: { n: 2, problem } },
      { scope: "beta", ok: true },
    ]);
    expect(await verify(context, "alpha")).toMatchObject([{ ok: false }]);
  });

  it("says what is wrong with the first event that does not fit, and keeps to the recorded head", async () => {
    const { context } = bench;
    for (const name of ["build", "test", "ship"]) await putTask(context, "alpha", name);
    const number = (db: Reader, n: number, columns: Partial<EventRow>) =>
      db.updateTable("events").set(columns).where("n", "=", n).execute();
    const drop = (db: Reader, ...ns: number[]) => db.deleteFrom("events").where("n", "in", ns).execute();
    const [head] = await auditHead(context.store.db);
    for (const [tamper, n, problem] of [
      [(db) => drop(db, 2), 3, "follows a gap: event 2 is missing"],
      [(db) => drop(db, 2, 3), 4, "follows a gap: events 2 to 3 are missing"],
      [(db) => number(db, 4, { n: 0 }), 0, "comes after event 3"],
      [(db) => number(db, 3, { actor: "mallory" }), 3, "was changed: its hash does not match its contents"],
      [(db) => drop(db, 3, 4), 3, "is missing: the chain ends after event 2, its recorded head is event 4"],
    ] satisfies [(db: Reader) => Promise<unknown>, number, string][]) {
      await rolledBack(context, async (db) => {
        await tamper(db);
        expect(await verifyChains(db)).toEqual([{ ...head, ok: false, byHash: 0, firstBad: { n, problem } }]);
      });
    }
    await rolledBack(context, async (db) => {
      await db.updateTable("chains").set({ head_n: 3 }).execute();
      const problem = "comes after the recorded head, event 3";
      expect(await verifyChains(db)).toMatchObject([{ ...head, n: 3, ok: false, firstBad: { n: 4, problem } }]);
    });
  });

  it("counts the texts that it has by hash only", async () => {
    const { context } = bench;
    const id = await putTask(context, "alpha", "build");
    await patchTask(context, "alpha", id, { title: '{"sha256":"', description: "long ".repeat(4_000) });
    await patchTask(context, "alpha", id, { description: "longer ".repeat(4_000) });
    expect(await verify(context)).toMatchObject([{ ok: true, byHash: 3 }]);
  });

  it("says so when the tail is rewritten, but not the head", async () => {
    const { context } = bench;
    await putTask(context, "alpha", "build");
    await rolledBack(context, async (db) => {
      const event = await db.selectFrom("events").selectAll().orderBy("n", "desc").executeTakeFirstOrThrow();
      const forged = { ...event, actor: "mallory" };
      await db
        .updateTable("events")
        .set({ actor: "mallory", hash: eventHash(forged) })
        .where("id", "=", event.id)
        .execute();
      expect(await verifyChains(db)).toMatchObject([
        { head: event.hash, ok: false, firstBad: { n: 2, problem: "is not the event that the recorded head names" } },
      ]);
    });
  });

  it("is broken by an event that does not continue the one before, although its hash and the head fit it", async () => {
    const { context } = bench;
    await putTask(context, "alpha", "build");
    await rolledBack(context, async (db) => {
      const event = await db.selectFrom("events").selectAll().orderBy("n", "desc").executeTakeFirstOrThrow();
      const forged = { ...event, prev_hash: "f".repeat(64) };
      const hash = eventHash(forged);
      await db.updateTable("events").set({ prev_hash: forged.prev_hash, hash }).where("id", "=", event.id).execute();
      await db.updateTable("chains").set({ head_hash: hash }).where("scope", "=", "alpha").execute();
      const problem = expect.stringContaining("does not continue the event before it");
      expect(await verifyChains(db)).toMatchObject([{ ok: false, firstBad: { n: 2, problem } }]);
    });
  });

  it("refuses to have events changed", async () => {
    const { context } = bench;
    await putTask(context, "alpha", "build");
    const { db } = context.store;
    await expect(db.deleteFrom("events").execute()).rejects.toThrow(/append-only/);
    await expect(db.updateTable("events").set({ actor: "mallory" }).execute()).rejects.toThrow(/append-only/);
  });
});

onEachDialect("the fold of the events", (bench) => {
  it("equals the tables after any history, and names rows changed outside mu", async () => {
    const { context } = bench;
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 15 }), async (acts) => {
        for (const doing of acts) await perform(context, doing);
        expect(await compareTables(context.store.db)).toEqual([]);
      }),
      { numRuns: 15 },
    );
  });

  it("follows a rename and a destroy", async () => {
    const { context } = bench;
    const a = await putTask(context, "alpha", "build");
    const b = await putTask(context, "alpha", "deploy");
    await putEdge(context, "alpha", a, b);
    await renameWorkstream(context, "alpha", "beta");
    expect(await compareTables(context.store.db)).toEqual([]);
    await destroyWorkstream(context, "beta");
    expect(await compareTables(context.store.db)).toEqual([]);
    expect((await foldEvents(context.store.db)).tasks.size).toBe(0);
  });

  it("gives the rows of any past moment", async () => {
    const { context } = bench;
    const id = await putTask(context, "alpha", "build");
    const { id: then } = (await eventsOf(context)).at(-1) as EventRow;
    await patchTask(context, "alpha", id, { title: "Later" });
    expect((await foldEvents(context.store.db, { untilEventId: then })).tasks.get(id)?.title).toBe("Title of build");
    expect((await foldEvents(context.store.db)).tasks.get(id)?.title).toBe("Later");
  });

  it("names what differs", async () => {
    const { context } = bench;
    const a = await putTask(context, "alpha", "build");
    const b = await putTask(context, "alpha", "deploy");
    const edge = await putEdge(context, "alpha", a, b);
    const note = await putNote(context, "alpha", a, "hello");
    await context.store.write(async (db) => {
      await db.updateTable("tasks").set({ title: "Mine", owner_id: null, impact: 9 }).where("id", "=", a).execute();
      await db.deleteFrom("task_edges").where("id", "=", edge).execute();
      await db
        .insertInto("workstreams")
        .values({ name: "stray", settings: "{}", created_at: "now" } as never)
        .execute();
    });
    expect(await compareTables(context.store.db)).toEqual([
      { table: "workstreams", id: expect.any(Number), name: "stray", problem: "extra", columns: [] },
      { table: "tasks", id: a, name: "build", problem: "changed", columns: ["title", "impact"] },
      { table: "task_edges", id: edge, name: "build → deploy", problem: "missing", columns: [] },
    ]);
    expect(note).toBeGreaterThan(0);
  });
});

const eventsOf = (context: Context): Promise<EventRow[]> =>
  context.store.db.selectFrom("events").selectAll().orderBy("id").execute();

/** What a forger does to one chain; gives the event that the verifier must name. */
type Tamper = (db: Reader, at: number) => Promise<{ scope: string; n: number }>;

const pick = async (db: Reader, at: number) => {
  const events = await db.selectFrom("events").selectAll().where("scope", "=", "w0").orderBy("n").execute();
  return { events, event: events[at % events.length] as EventRow };
};

const edit =
  (column: "actor" | "payload" | "changes" | "at" | "op" | "subject" | "group_id" | "hash" | "prev_hash"): Tamper =>
  async (db, at) => {
    const { event } = await pick(db, at);
    await db
      .updateTable("events")
      .set({ [column]: `${event[column]} ` })
      .where("id", "=", event.id)
      .execute();
    return event;
  };

const drop: Tamper = async (db, at) => {
  const { events, event } = await pick(db, at);
  await db.deleteFrom("events").where("id", "=", event.id).execute();
  return { scope: "w0", n: event.n === events.length ? event.n : event.n + 1 };
};

const truncate: Tamper = async (db, at) => {
  const { event } = await pick(db, at);
  await db.deleteFrom("events").where("scope", "=", "w0").where("n", ">=", event.n).execute();
  return event;
};

const insertOne: Tamper = async (db) => {
  const { events } = await pick(db, 0);
  const { id: _, ...last } = events.at(-1) as EventRow;
  const forged = { ...last, n: last.n + 1, prev_hash: last.hash };
  await db
    .insertInto("events")
    .values({ ...forged, hash: eventHash(forged) })
    .execute();
  return forged;
};

const swap: Tamper = async (db, at) => {
  const { events, event } = await pick(db, at);
  const other = events[event.n % events.length] as EventRow;
  const renumber = (id: number, n: number) => db.updateTable("events").set({ n }).where("id", "=", id).execute();
  await renumber(event.id, -1);
  await renumber(other.id, event.n);
  await renumber(event.id, other.n);
  return { scope: "w0", n: Math.max(event.n, other.n) };
};

const tampering = fc.constantFrom<Tamper>(
  edit("actor"),
  edit("payload"),
  edit("changes"),
  edit("at"),
  edit("op"),
  edit("subject"),
  edit("group_id"),
  edit("hash"),
  edit("prev_hash"),
  drop,
  truncate,
  insertOne,
  swap,
);

/** Takes the triggers away, lets `work` do its worst, and puts all back as it was. */
async function rolledBack(context: Context, work: (db: Reader) => Promise<void>): Promise<void> {
  const stop = new Error("stop");
  const attempt = context.store.write(async (db) => {
    const triggers =
      context.store.dialect === "sqlite"
        ? ["drop trigger events_no_update", "drop trigger events_no_delete"]
        : ["drop trigger events_append_only on events"];
    for (const text of triggers) await sql.raw(text).execute(db);
    await work(db);
    throw stop;
  });
  await expect(attempt).rejects.toBe(stop);
}

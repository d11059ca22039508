import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Clock } from "../../src/clock.js";
import type { Context } from "../../src/db/context.js";
import { withoutNulls } from "../../src/db/events.js";
import { JOURNALLED, type Row } from "../../src/db/relations.js";
import type { Reader } from "../../src/db/schema.js";
import { checkKeyframes } from "../../src/journal/past/keyframes.js";
import { momentOf } from "../../src/journal/past/moment.js";
import { openPast } from "../../src/journal/past/past.js";
import { readState } from "../../src/state.js";
import { destroyWorkstream } from "../../src/workstreams/workstream.js";
import { act, perform } from "../support/acts.js";
import { onEachDialect, temporaryFolder } from "../support/database.js";
import { patchTask, putEdge, putNote, putTask } from "../support/history.js";
import { fewOf } from "../support/sample.js";

/** All rows of the journalled tables. */
async function rowsIn(db: Reader): Promise<Record<string, Row[]>> {
  const found: Record<string, Row[]> = {};
  for (const table of JOURNALLED) {
    const rows: Row[] = await db
      .selectFrom(table as "tasks")
      .selectAll()
      .orderBy("id")
      .execute();
    found[table] = rows.map(withoutNulls);
  }
  return found;
}

async function newestEvent(db: Reader): Promise<number> {
  const row = await db.selectFrom("events").select("id").orderBy("id", "desc").limit(1).executeTakeFirst();
  return row?.id ?? 0;
}

onEachDialect("the past", (bench) => {
  let folder: ReturnType<typeof temporaryFolder>;
  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(() => folder.remove());

  const rowsAt = async ({ store }: Context, event: number, every: number) => {
    const past = await openPast(store.db, event, { folder: folder.path, every });
    try {
      return await rowsIn(past.db);
    } finally {
      await past.close();
    }
  };

  it("has the tables as they were after every event, with and without keyframes, going on from one to the next", async () => {
    const { context } = bench;
    const { db } = context.store;
    const long = fc.record({ act: fc.constant("long" as const), size: fc.integer({ min: 1, max: 3 }) });
    // Acts may come to nothing: there is something to keep without them.
    for (const name of ["a", "b", "c", "d", "e", "f"]) await putTask(context, "w0", name);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 6, arbitrary: act }, long), { minLength: 5, maxLength: 14 }),
        async (acts) => {
          const task = await putTask(context, "w0", `t_${await newestEvent(db)}`);
          const then: [event: number, rows: Record<string, Row[]>][] = [];
          for (const doing of acts) {
            if (doing.act !== "long") await perform(context, doing);
            else await patchTask(context, "w0", task, { description: "long ".repeat(4_000 * doing.size) });
            then.push([await newestEvent(db), await rowsIn(db)]);
          }
          for (const every of [1_000_000, 3]) {
            const [at = 0] = then[0] ?? [];
            const moving = await openPast(db, at, { folder: folder.path, every });
            for (const [event, rows] of then) {
              await moving.moveTo(event);
              expect(await rowsIn(moving.db)).toEqual(rows);
              expect(await rowsAt(context, event, every)).toEqual(rows);
            }
            await moving.close();
          }
          const checked = await context.store.read((reader) => checkKeyframes(reader, folder.path, { deep: true }));
          expect(checked.filter(({ problem }) => problem !== null)).toEqual([]);
          expect(checked.length).toBeGreaterThan(0);
        },
      ),
      { numRuns: fewOf(3, 40) },
    );
  });

  it("survives names that rows have swapped or given away", async () => {
    const { context } = bench;
    const [a, b] = [await putTask(context, "w", "a"), await putTask(context, "w", "b")];
    for (const [task, name] of [
      [a, "c"],
      [b, "a"],
      [a, "b"],
    ] as const)
      await patchTask(context, "w", task, { name });
    expect(await rowsAt(context, await newestEvent(context.store.db), 1_000)).toEqual(await rowsIn(context.store.db));
  });

  it("finds a keyframe that is damaged, of another log, or not what the log says, and makes it anew", async () => {
    const { context } = bench;
    const task = await putTask(context, "w", "a");
    for (let n = 0; n < 20; n++) await putNote(context, "w", task, `note ${n}`);
    const event = await newestEvent(context.store.db);
    const rows = await rowsAt(context, event, 8);
    const check = () => context.store.read((db) => checkKeyframes(db, folder.path, { deep: true }));
    const isWhole = [
      { event: 8, problem: null },
      { event: 16, problem: null },
    ];
    const whole = await check();
    expect(whole).toMatchObject(isWhole);
    const [first, last] = whole as [(typeof whole)[0], (typeof whole)[0]];

    const bytes = readFileSync(last.path);
    bytes.writeUInt8(bytes.readUInt8(5_000) ^ 1, 5_000);
    writeFileSync(last.path, bytes);
    renameSync(first.path, first.path.replace(/-[0-9a-f]{16}-/, `-${"0".repeat(16)}-`));
    writeFileSync(join(folder.path, "notes.txt"), "somebody's");
    expect((await check()).map(({ problem }) => problem)).toEqual(["stale", "damaged"]);
    expect(await rowsAt(context, event, 8)).toEqual(rows);
    const again = await check();
    expect(again).toMatchObject(isWhole);

    const [, { path } = last] = again;
    const forged = new Database(path);
    forged.prepare("update task_notes set text = 'forged' where id = 1").run();
    forged.close();
    const hash = createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 32);
    renameSync(path, path.replace(/[0-9a-f]{32}\.db$/, `${hash}.db`));
    expect((await check()).map(({ problem }) => problem)).toEqual([null, "differs"]);
    const mended = await context.store.read((db) => checkKeyframes(db, folder.path, { deep: true, mend: true }));
    expect(mended.map(({ problem }) => problem)).toEqual([null, "differs"]);
    expect(await check()).toMatchObject(isWhole.slice(0, 1));
    expect(await rowsAt(context, event, 8)).toEqual(rows);
    expect(await check()).toMatchObject(isWhole);
  });

  it("is read without keyframes where none can be written", async () => {
    const { context } = bench;
    const task = await putTask(context, "w", "a");
    for (let n = 0; n < 9; n++) await putNote(context, "w", task, `note ${n}`);
    const file = join(folder.path, "file");
    writeFileSync(file, "");
    const past = await openPast(context.store.db, 8, { folder: join(file, "keyframes"), every: 3 });
    expect((await rowsIn(past.db)).task_notes).toHaveLength(6);
    await past.close();
    expect(await newestEvent(context.store.db)).toBe(11);
  });

  it("is named by an event's number or a time, and says what is not there", async () => {
    const { context } = bench;
    const { db } = context.store;
    const noon = Date.parse("2026-11-20T12:00:00.000Z");
    let minutes = 0;
    const clock: Clock = { now: () => new Date(noon + 60_000 * minutes), sleep: async () => {} };
    const now = new Date(noon + 3_600_000);
    await expect(momentOf(db, "2026-11-20T12:00Z", now)).rejects.toThrow("the log is empty");
    const timed = { ...context, clock };
    const a = await putTask(timed, "w", "a");
    minutes = 10;
    const b = await putTask(timed, "w", "b");
    await putEdge(timed, "w", a, b);
    const newest = await newestEvent(db);
    expect(await momentOf(db, "2026-11-20T12:09:59Z", now)).toEqual({ event: 2, at: "2026-11-20T12:09:59.000Z" });
    expect(await momentOf(db, "2026-11-20T12:10Z", now)).toEqual({ event: newest, at: "2026-11-20T12:10:00.000Z" });
    expect(await momentOf(db, "#2", now)).toEqual({ event: 2, at: "2026-11-20T12:00:00.000Z" });
    for (const [text, code] of [
      ["2026-11-20T11:59Z", "past.before_first"],
      ["0", "past.no_such_event"],
      ["99", "past.no_such_event"],
      ["2026-11-20T13:01Z", "past.not_yet"],
      ["yesterday", "usage.invalid_input"],
    ] as const)
      await expect(momentOf(db, text, now)).rejects.toMatchObject({ code });

    await destroyWorkstream(timed, "w");
    const past = await openPast(db, newest, { folder: folder.path });
    await past.takeEvents("w", 2);
    const state = await readState(past.db, "w", { now: now.toISOString() });
    expect(state).toMatchObject({
      counts: { total: 2, ready: 1, blocked: 1 },
      events: [{ n: newest - 1 }, { n: newest }],
    });
    await past.close();
  });
});

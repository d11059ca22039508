import fc from "fast-check";
import { sql } from "kysely";
import { expect, it } from "vitest";
import type { Context } from "../../src/db/context.js";
import { type Change, changeOf, withoutNulls } from "../../src/db/events.js";
import { JOURNALLED, REFERENCES, UNIQUE_KEYS } from "../../src/db/relations.js";
import type { Reader } from "../../src/db/schema.js";
import { withParts } from "../../src/db/store.js";
import { write } from "../../src/db/write.js";
import { verifyChains } from "../../src/journal/audit.js";
import { writeMessage } from "../../src/journal/log.js";
import { applyChange, compareTables, foldEvents, type Tables } from "../../src/journal/replay.js";
import { writeSql } from "../../src/journal/sql.js";
import { isPassing, netChanges } from "../../src/journal/undo/net-changes.js";
import { listUndoable, newestUndoable, previewUndo, undoGroup } from "../../src/journal/undo/undo.js";
import { destroyWorkstream, initWorkstream, renameWorkstream } from "../../src/workstreams/workstream.js";
import { act, perform } from "../support/acts.js";
import { agentRow } from "../support/agent-row.js";
import { describeOnce, onEachDialect } from "../support/database.js";
import { patchTask, putEdge, putNote, putTask, taskOf, workstreamId } from "../support/history.js";
import { fewOf } from "../support/sample.js";

const newest = async (context: Context) =>
  (await context.store.db.selectFrom("events").select("group_id").orderBy("id", "desc").executeTakeFirstOrThrow())
    .group_id;

/** All rows without what undo leaves alone. */
async function rows(context: Context) {
  const tables = await foldEvents(context.store.db);
  return JOURNALLED.map((table) =>
    [...tables[table]]
      .sort(([a], [b]) => a - b)
      .map(([id, row]) => [
        id,
        Object.fromEntries(
          Object.entries(row)
            .filter(([column]) => !isPassing(table, column))
            .sort(),
        ),
      ]),
  );
}

async function sound(context: Context) {
  expect(await compareTables(context.store.db)).toEqual([]);
  expect((await context.store.read((db) => verifyChains(db))).filter((chain) => !chain.ok)).toEqual([]);
}

const conflict = (code: string) => ({ kind: "conflict", code });

onEachDialect("undo", (bench) => {
  it("lists what can be undone, newest first, by workstream and by actor", async () => {
    const { context } = bench;
    const build = await putTask(context, "alpha", "build");
    await patchTask(bench.as("alice"), "alpha", build, { title: "Hers" });
    await putTask(context, "beta", "test");
    await writeMessage(context, "beta", { text: "hello" });
    const ops = async (filter: Parameters<typeof listUndoable>[1]) =>
      (await listUndoable(context.store.db, filter)).map((group) => group.ops.join());
    expect(await ops({})).toEqual(["task.add", "workstream.init", "task.update", "task.add", "workstream.init"]);
    expect(await ops({ limit: 2 })).toEqual(["task.add", "workstream.init"]);
    expect(await ops({ workstream: "alpha" })).toEqual(["task.update", "task.add", "workstream.init"]);
    expect(await listUndoable(context.store.db, { actor: "alice" })).toEqual([
      {
        group: expect.stringMatching(/^[0-9a-f]{10}$/),
        at: expect.any(String),
        actor: "alice",
        ops: ["task.update"],
        subject: "alpha/task",
        changes: 1,
      },
    ]);
  });

  it("shows what it would do, does it, and can be undone itself", async () => {
    const { context } = bench;
    const build = await putTask(context, "alpha", "build");
    await patchTask(context, "alpha", build, { title: "New", hold: "wait", claim_generation: 3 });
    const group = await newest(context);
    const before = await rows(context);
    expect(await previewUndo(context.store.db, group.slice(0, 8))).toMatchObject({
      group,
      inverse: [
        {
          table: "tasks",
          name: "build",
          act: "patch",
          columns: { title: ["New", "Title of build"], hold: ["wait", null] },
        },
      ],
      superseded: [],
    });
    expect(await rows(context)).toEqual(before);
    const undone = await undoGroup(context, group);
    const task = await context.store.db.selectFrom("tasks").selectAll().executeTakeFirstOrThrow();
    expect(task).toMatchObject({ title: "Title of build", hold: null, claim_generation: 3 });
    await sound(context);

    expect((await listUndoable(context.store.db)).find((one) => one.group === group)?.undone).toBe(undone.undoGroup);
    await expect(undoGroup(context, group)).rejects.toMatchObject(conflict("undo.already_undone"));
    await undoGroup(context, undone.undoGroup);
    expect(await rows(context)).toEqual(before);
    await sound(context);
  });

  it("goes back step by step when no group is named, and says when nothing is left", async () => {
    const { context } = bench;
    const mine = bench.as("me");
    await initWorkstream(context, "alpha");
    const build = await putTask(mine, "alpha", "build");
    await patchTask(mine, "alpha", build, { title: "One" });
    await patchTask(context, "alpha", build, { impact: 7 });
    await patchTask(mine, "alpha", build, { title: "Two" });
    const titles = [];
    for (let step = 0; step < 2; step++) {
      await undoGroup(mine, (await newestUndoable(context.store.db, { actor: "me" })).group);
      titles.push((await context.store.db.selectFrom("tasks").select("title").executeTakeFirstOrThrow()).title);
    }
    expect(titles).toEqual(["One", "Title of build"]);
    await expect(
      undoGroup(mine, (await newestUndoable(context.store.db, { actor: "me" })).group),
    ).rejects.toMatchObject(conflict("undo.superseded"));
    await expect(newestUndoable(context.store.db, { actor: "nobody" })).rejects.toMatchObject({
      kind: "missing",
      code: "undo.nothing",
    });
  });

  it("refuses when a later event changed the same column, unless that one is undone", async () => {
    const { context } = bench;
    const build = await putTask(context, "alpha", "build");
    const added = await newest(context);
    await patchTask(context, "alpha", build, { status: "DEFERRED" });
    const deferred = await newest(context);
    await patchTask(bench.as("bob"), "alpha", build, { status: "OPEN" }, "task.open");
    const opened = await newest(context);
    await patchTask(context, "alpha", build, { title: "Other column" });
    await expect(undoGroup(context, deferred)).rejects.toMatchObject({
      ...conflict("undo.superseded"),
      details: {
        superseded: [
          {
            table: "tasks",
            name: "build",
            column: "status",
            problem: "was changed again",
            by: { group: opened, op: "task.open", actor: "bob", at: expect.any(String) },
          },
        ],
      },
    });
    const { superseded } = await previewUndo(context.store.db, added);
    expect(superseded.map((one) => [one.column, one.by?.group])).toEqual([
      ["title", expect.any(String)],
      ["status", deferred],
    ]);
    await undoGroup(context, opened);
    await undoGroup(context, deferred);
    expect(await context.store.db.selectFrom("tasks").select(["status", "title"]).execute()).toEqual([
      { status: "OPEN", title: "Other column" },
    ]);
    await sound(context);
  });

  it("does not take the status away from under a level that came later", async () => {
    const { context } = bench;
    const build = await putTask(context, "alpha", "build");
    await patchTask(context, "alpha", build, { status: "CLOSED" }, "task.close");
    const closed = await newest(context);
    await patchTask(context, "alpha", build, { level: "landed", landed_commit: "c0ffee" }, "land");
    const refused = await undoGroup(context, closed).catch((error) => error);
    expect(refused).toMatchObject(conflict("undo.superseded"));
    expect(refused.message).toMatch(/: task build: level was changed by .* \(land, \w+\)\.$/);
    expect(refused.nextSteps).toEqual([{ intent: "See what happened", command: "mu log" }]);
    expect((await previewUndo(context.store.db, closed)).superseded).toHaveLength(1);
  });

  it("does not take the undo of something earlier for harmless", async () => {
    const { context } = bench;
    const build = await putTask(context, "alpha", "build");
    await patchTask(context, "alpha", build, { impact: 10 });
    const first = await newest(context);
    await patchTask(context, "alpha", build, { impact: 20 });
    const second = await newest(context);
    const redo = await undoGroup(context, second);
    await undoGroup(context, first);
    await expect(undoGroup(context, redo.undoGroup)).rejects.toMatchObject(conflict("undo.superseded"));
    await sound(context);
  });

  it("refuses when a later row hangs on one that it would remove", async () => {
    const { context } = bench;
    const build = await putTask(context, "alpha", "build");
    const added = await newest(context);
    const deploy = await putTask(context, "alpha", "deploy");
    await putNote(context, "alpha", build, "hello");
    await putEdge(context, "alpha", build, deploy);
    const refused = await undoGroup(context, added).catch((error) => error);
    expect(refused).toMatchObject(conflict("undo.superseded"));
    expect(refused.details.superseded).toMatchObject([
      { table: "task_edges", name: "build → deploy", by: { op: "task.block" } },
      { table: "task_notes", name: "build", by: { op: "task.note" } },
    ]);
  });

  it("refuses when a row was changed behind mu's back", async () => {
    const { context } = bench;
    const build = await putTask(context, "alpha", "build");
    await patchTask(context, "alpha", build, { title: "New" });
    const group = await newest(context);
    await context.store.write((db) => db.updateTable("tasks").set({ title: "Stray" }).execute());
    const { superseded } = await previewUndo(context.store.db, group);
    expect(superseded).toEqual([{ table: "tasks", name: "build", column: "title", problem: "was changed again" }]);
  });

  it("brings deleted rows back with all that went with them, unless the name is taken or a cycle would close", async () => {
    const { context } = bench;
    const root = await putTask(context, "alpha", "root");
    const build = await putTask(context, "alpha", "build");
    await patchTask(context, "alpha", build, { root_id: root, description: "x" });
    const edge = await putEdge(context, "alpha", root, build);
    const note = await putNote(context, "alpha", root, "hello");
    const before = await rows(context);
    await write(context, { op: "task.delete", scope: "alpha", subject: "alpha/root" }, async (tx) => {
      await tx.remove("task_notes", note);
      await tx.remove("task_edges", edge);
      await tx.patch("tasks", build, { root_id: null });
      await tx.remove("tasks", build);
      await tx.remove("tasks", root);
    });
    const group = await newest(context);
    const undone = await undoGroup(context, group);
    expect(await rows(context)).toEqual(before);
    await undoGroup(context, undone.undoGroup);
    await putTask(context, "alpha", "build");
    await expect(undoGroup(context, undone.undoGroup)).rejects.toMatchObject(conflict("undo.already_undone"));
    const again = await newestGroupOf(context, "undo");
    await expect(undoGroup(context, again)).rejects.toMatchObject(conflict("undo.superseded"));

    const a = await putTask(context, "beta", "a");
    const b = await putTask(context, "beta", "b");
    const forth = await putEdge(context, "beta", a, b);
    await write(context, { op: "task.unblock", scope: "beta", subject: "beta/b" }, (tx) =>
      tx.remove("task_edges", forth),
    );
    const unblocked = await newest(context);
    await putEdge(context, "beta", b, a);
    await expect(undoGroup(context, unblocked)).rejects.toMatchObject(conflict("task.cycle"));
    await sound(context);
  });

  it("refuses to bring a row back whose workstream is gone", async () => {
    const { context } = bench;
    const build = await putTask(context, "alpha", "build");
    await write(context, { op: "task.delete", scope: "alpha", subject: "alpha/build" }, (tx) =>
      tx.remove("tasks", build),
    );
    const group = await newest(context);
    await destroyWorkstream(context, "alpha");
    const { superseded } = await previewUndo(context.store.db, group);
    expect(superseded).toMatchObject([
      {
        table: "tasks",
        name: "build",
        problem: "belongs to a deleted workstream",
        by: { op: "workstream.destroy" },
      },
    ]);
  });

  it("undoes groups of several events and chains, each in one event of the undo per chain", async () => {
    const { context } = bench;
    const alpha = await workstreamId(context, "alpha");
    const beta = await workstreamId(context, "beta");
    const moved = await putTask(context, "alpha", "build");
    const before = await rows(context);
    const grouped = { ...context, group: "feedface00" };
    await write(grouped, { op: "task.move", scope: ["alpha", "beta"], subject: "alpha/build" }, (tx) =>
      tx.patch("tasks", moved, { workstream_id: beta }),
    );
    await write(grouped, { op: "task.apply", scope: "alpha", subject: "alpha" }, async (tx) => {
      const agent = await tx.insert("agents", person(alpha, tx.now));
      for (let n = 0; n < 1200; n++) await tx.insert("tasks", taskOf(alpha, `t${n}`, tx.now));
      await tx.patch("tasks", moved, { owner_id: agent.id, title: "x" });
    });
    const preview = await previewUndo(context.store.db, "feed");
    expect(preview).toMatchObject({ ops: ["task.move", "task.apply"], changes: 1203 });
    expect(preview).toMatchObject({ rows: 1202, inverse: { length: 1000 } });
    const { undoGroup: own } = await undoGroup(context, "feedface00");
    expect(await rows(context)).toEqual(before);
    const events = await context.store.db
      .selectFrom("events")
      .select(["scope", "op"])
      .where("group_id", "=", own)
      .orderBy("id")
      .execute();
    expect(new Set(events.map((event) => event.scope))).toEqual(new Set(["alpha", "beta"]));
    await sound(context);
  });

  it("leaves out what a group took back itself, in one event or in several", async () => {
    const { context } = bench;
    const alpha = await workstreamId(context, "alpha");
    const [there, renamed, goes] = [
      await putTask(context, "alpha", "there"),
      await putTask(context, "alpha", "renamed"),
      await putTask(context, "alpha", "goes"),
    ];
    const { title } = await context.store.db
      .selectFrom("tasks")
      .select("title")
      .where("id", "=", there)
      .executeTakeFirstOrThrow();
    const before = await rows(context);
    const grouped = { ...context, group: "feedface01" };
    const spec = { op: "task.apply", scope: "alpha", subject: "alpha" };
    let passing = 0;
    await write(grouped, spec, async (tx) => {
      await tx.patch("tasks", there, { title: "away" });
      await tx.patch("tasks", there, { title });
      await tx.patch("tasks", renamed, { title: "away" });
      passing = (await tx.insert("tasks", taskOf(alpha, "passing", tx.now))).id;
      await tx.patch("tasks", goes, { title: "away" });
    });
    await write(grouped, spec, async (tx) => {
      await tx.patch("tasks", there, { title: "away" });
      await tx.patch("tasks", renamed, { title: "new" });
      await tx.removeAll("tasks", [passing, goes]);
    });
    await write(grouped, spec, (tx) => tx.patch("tasks", there, { title }));
    const preview = await previewUndo(context.store.db, "feedface01");
    expect(preview.inverse.map(({ name, act }) => `${act} ${name}`).sort()).toEqual(["patch renamed", "restore goes"]);
    expect(preview.rows).toBe(2);
    await undoGroup(context, "feedface01");
    expect(await rows(context)).toEqual(before);
    await sound(context);
  });

  it("takes few statements for many rows", async () => {
    const { context } = bench;
    const alpha = await workstreamId(context, "alpha");
    const before = await rows(context);
    const all = Array.from({ length: 1_000 }, (_, n) => taskOf(alpha, `t${n}`, new Date().toISOString()));
    await write({ ...context, group: "feedface01" }, { op: "task.apply", scope: "alpha", subject: "alpha" }, (tx) =>
      tx.insertAll("tasks", all),
    );
    let statements = 0;
    const counted = (db: Reader): Reader =>
      new Proxy(
        db.withPlugin({
          transformQuery: ({ node }) => {
            statements++;
            return node;
          },
          transformResult: async ({ result }) => result,
        }),
        {
          get(target, key) {
            const value = Reflect.get(target, key, target);
            if (key === "executeQuery") statements++;
            return typeof value === "function" ? value.bind(target) : value;
          },
        },
      );
    const { store } = context;
    const counting = withParts(store, { write: (work, options) => store.write((db) => work(counted(db)), options) });
    await undoGroup({ ...context, store: counting }, "feedface01");
    expect(await rows(context)).toEqual(before);
    expect(statements).toBeGreaterThan(10);
    expect(statements).toBeLessThan(200);
  });

  it("follows a renamed workstream", async () => {
    const { context } = bench;
    const build = await putTask(context, "alpha", "build");
    await patchTask(context, "alpha", build, { title: "New" });
    const group = await newest(context);
    await renameWorkstream(context, "alpha", "beta");
    await undoGroup(context, group);
    const last = await context.store.db.selectFrom("events").select("scope").orderBy("id", "desc").executeTakeFirst();
    expect(last?.scope).toBe("beta");
  });

  it("knows a workstream by its identity: a name that was given away brings nothing along", async () => {
    const { context } = bench;
    const { db } = context.store;
    await putTask(context, "shop", "old");
    await renameWorkstream(context, "shop", "store");
    await initWorkstream(context, "shop");
    const subjects = async (workstream: string) =>
      (await listUndoable(db, { workstream })).map(({ ops, subject }) => `${ops[0]} ${subject}`);
    expect(await subjects("shop")).toEqual(["workstream.init shop"]);
    expect(await subjects("store")).toEqual(["workstream.rename shop", "task.add shop/old", "workstream.init shop"]);
    await putTask(context, "shop", "fresh");
    await putTask(context, "store", "more");
    expect(await newestUndoable(db, { workstream: "shop" })).toMatchObject({ subject: "shop/fresh" });
    expect(await newestUndoable(db, { workstream: "store", actor: "tester" })).toMatchObject({ subject: "store/more" });
    await expect(newestUndoable(db, { workstream: "shop", actor: "bob" })).rejects.toMatchObject({
      code: "undo.nothing",
    });
    for (const list of [listUndoable, newestUndoable]) {
      await expect(list(db, { workstream: "shpo" })).rejects.toMatchObject({
        kind: "missing",
        code: "workstream.not_found",
        message: expect.stringContaining("shop"),
      });
    }
  });

  it("says what cannot be undone, and which groups there are not", async () => {
    const { context } = bench;
    await putTask(context, "alpha", "build");
    const message = await writeMessage(context, "alpha", { text: "hello" });
    const { db } = context.store;
    await expect(previewUndo(db, message.group)).rejects.toMatchObject(conflict("undo.not_possible"));
    for (const none of ["", "zzz", "%", "_"]) {
      await expect(previewUndo(db, none)).rejects.toMatchObject({ kind: "missing", code: "undo.no_such_group" });
    }
    for (const group of ["abc1", "abc2"]) await initWorkstream({ ...context, group }, group);
    await expect(previewUndo(db, "abc")).rejects.toMatchObject({
      ...conflict("undo.ambiguous_group"),
      details: { candidates: ["abc1", "abc2"] },
    });
  });

  it("brings a destroyed workstream back with every row and text, whatever its history", async () => {
    const { context } = bench;
    const all = async () => {
      const tables = JOURNALLED.map((table) =>
        context.store.db
          .selectFrom(table as "tasks")
          .selectAll()
          .orderBy("id"),
      );
      return Promise.all(tables.map((query) => query.execute()));
    };
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 8 }), fc.string({ unit: "binary" }), async (acts, word) => {
        for (const doing of acts) await perform(context, doing);
        await fillWorkstream(context, "w0", word.padEnd(9000, "ü"));
        const before = [await all(), await rows(context)];
        await destroyWorkstream(context, "w0");
        const after = await all();
        expect(after).not.toEqual(before[0]);
        const { undoGroup: redo } = await undoGroup(context, await newest(context));
        expect(untimed([await all(), await rows(context)])).toEqual(untimed(before));
        await undoGroup(context, redo);
        expect(untimed(await all())).toEqual(untimed(after));
        await sound(context);
      }),
      { numRuns: fewOf(6, 40) },
    );
  });

  it("brings a destroyed workstream back beside a namesake only after one of them is renamed", async () => {
    const { context } = bench;
    const { db } = context.store;
    await putTask(context, "shop", "old");
    await destroyWorkstream(context, "shop");
    const group = await newest(context);
    expect(await newestUndoable(db, { workstream: "shop" })).toMatchObject({ group, ops: ["workstream.destroy"] });
    await putTask(context, "shop", "fresh");
    await expect(undoGroup(context, group)).rejects.toMatchObject({
      ...conflict("undo.superseded"),
      nextSteps: [{ command: "mu workstream rename shop <new-name>" }],
    });
    await renameWorkstream(context, "shop", "store");
    await undoGroup(context, group);
    const tasks = await db.selectFrom("tasks as t").innerJoin("workstreams as w", "w.id", "t.workstream_id");
    expect(await tasks.select(["w.name as workstream", "t.name"]).orderBy("t.id").execute()).toEqual([
      { workstream: "shop", name: "old" },
      { workstream: "store", name: "fresh" },
    ]);
    await sound(context);
  });

  it("restores the rows, and undoing the undo restores them again, after any history", async () => {
    const { context } = bench;
    let tried = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 1, maxLength: 6 }), act, async (acts, last) => {
        for (const doing of acts) await perform(context, doing);
        const before = await rows(context);
        const known = await newest(context).catch(() => "");
        const seen = await context.store.db.selectFrom("events").select("id").execute();
        await perform(context, last);
        const after = await rows(context);
        if (JSON.stringify(after) === JSON.stringify(before)) return;
        const groups = await groupsAfter(context, seen.length);
        expect(groups).not.toContain(known);
        const undos = [];
        for (const group of groups.reverse()) undos.push((await undoGroup(context, group)).undoGroup);
        expect(await rows(context)).toEqual(before);
        for (const group of undos.reverse()) await undoGroup(context, group);
        expect(await rows(context)).toEqual(after);
        await sound(context);
        tried++;
      }),
      { numRuns: 25 },
    );
    expect(tried).toBeGreaterThan(5);
  });
});

onEachDialect("undo of hand-written SQL", (bench) => {
  it("restores the rows, swapped ids and replaced rows too", async () => {
    const { context } = bench;
    if (context.store.dialect === "postgres") return;
    const build = await putTask(context, "alpha", "build");
    await putTask(context, "alpha", "test");
    const before = await rows(context);
    for (const text of [
      "update tasks set id = id + 100",
      "update or replace tasks set name = 'test' where name = 'build'",
      `insert or replace into tasks (id, workstream_id, name, title, created_at, updated_at)
         select id, workstream_id, name, 'R', 'now', 'now' from tasks where id = ${build}`,
      "delete from tasks",
      "update workstreams set name = 'omega'",
    ]) {
      await writeSql(context, text);
      const after = await rows(context);
      expect(after, text).not.toEqual(before);
      const { undoGroup: own } = await undoGroup(context, await newest(context));
      expect(await rows(context), text).toEqual(before);
      const { undoGroup: redone } = await undoGroup(context, own);
      expect(await rows(context), text).toEqual(after);
      await undoGroup(context, redone);
      await sound(context);
    }
  });
});

onEachDialect("the table of references", (bench) => {
  it("is the database's own", async () => {
    const { context } = bench;
    if (context.store.dialect === "postgres") return;
    for (const table of JOURNALLED) {
      const { rows: keys } = await sql<{ from: string; table: string }>`
        select "from", "table" from pragma_foreign_key_list(${table})`.execute(context.store.db);
      expect(keys.map((key) => `${key.from} ${key.table}`).sort(), table).toEqual(
        REFERENCES.filter((own) => own.table === table)
          .map((own) => `${own.column} ${own.to}`)
          .sort(),
      );
      const { rows: unique } = await sql<{ columns: string }>`
        select (select group_concat(name) from pragma_index_info(i.name)) as columns
        from pragma_index_list(${table}) i where i."unique"`.execute(context.store.db);
      expect(unique.map((key) => key.columns).sort(), table).toEqual(
        UNIQUE_KEYS.filter((own) => own.table === table)
          .map((own) => own.columns.join())
          .sort(),
      );
    }
  });
});

describeOnce("net changes", () => {
  const value = fc.constantFrom(null, 1, "a", "b");
  const step = fc.record({ id: fc.integer({ min: 1, max: 3 }), title: value, role: value, drop: fc.boolean() });

  it("turn the first rows into the last, whatever lies between", () => {
    fc.assert(
      fc.property(fc.array(step), fc.array(step), (first, then) => {
        const tables = { tasks: new Map() } as unknown as Tables;
        for (const change of changesFor(tables, first)) applyChange(tables, change);
        const start = { tasks: new Map([...tables.tasks].map(([id, row]) => [id, { ...row }])) } as unknown as Tables;
        const changes: Change[] = [];
        for (const one of then) {
          for (const change of changesFor(tables, [one])) {
            changes.push(structuredClone(change));
            applyChange(tables, change);
          }
        }
        for (const net of netChanges(changes).values()) applyChange(start, changeOf(net.table, net.id, net));
        expect(start.tasks).toEqual(tables.tasks);
      }),
    );
  });
});

interface Step {
  id: number;
  title: unknown;
  role: unknown;
  drop: boolean;
}

/** The changes that a step makes on rows as they are: it adds a row, changes it, or drops it. */
function changesFor(tables: Tables, steps: readonly Step[]): Change[] {
  const made = new Map(tables.tasks);
  return steps.flatMap(({ id, title, role, drop }): Change[] => {
    const row = made.get(id);
    const next = withoutNulls({ title, role });
    if (row === undefined) {
      made.set(id, next);
      return [{ table: "tasks", id, insert: next }];
    }
    if (drop) {
      made.delete(id);
      return [{ table: "tasks", id, remove: { ...row } }];
    }
    made.set(id, next);
    const columns = ["title", "role"].filter((column) => (row[column] ?? null) !== (next[column] ?? null));
    const patch = Object.fromEntries(
      columns.map((column): [string, [unknown, unknown]] => [column, [row[column] ?? null, next[column] ?? null]]),
    );
    return columns.length === 0 ? [] : [{ table: "tasks", id, patch }];
  });
}

async function groupsAfter(context: Context, count: number): Promise<string[]> {
  const events = await context.store.db.selectFrom("events").select("group_id").orderBy("id").execute();
  return [...new Set(events.slice(count).map((event) => event.group_id))];
}

async function newestGroupOf(context: Context, op: string): Promise<string> {
  const event = await context.store.db
    .selectFrom("events")
    .select("group_id")
    .where("op", "=", op)
    .orderBy("id", "desc")
    .executeTakeFirstOrThrow();
  return event.group_id;
}

/** Gives a workstream rows in every table that goes with it, one of them with a large text. */
async function fillWorkstream(context: Context, name: string, text: string): Promise<void> {
  const id = await workstreamId(context, name);
  const task = await putTask(context, name, `t${Date.now()}${Math.random()}`);
  await patchTask(context, name, task, { description: text, root_id: task });
  await putNote(context, name, task, text);
  await write(context, { op: "task.close", scope: name, subject: name }, async (tx) => {
    const agent = await tx.insert("agents", { ...person(id, tx.now), closed_at: tx.now });
    await tx.patch("tasks", task, { owner_id: agent.id });
    const check = { task_id: task, author: "ada", command: "true", exit_code: 0, seconds: 0.5 };
    await tx.insert("checks", { ...check, commit_id: null, tree: null, tail: text });
    const place = { backend: "none", root: "/r", path: `/p/${task}`, base_ref: null, branch: null };
    const freed = { state: "freeing", freed_at: tx.now };
    await tx.insert("workspaces", { workstream_id: id, agent: "ada", ...place, ...freed });
  });
}

/** Rows without their clock, which undo moves on. */
const untimed = (value: unknown) => JSON.parse(JSON.stringify(value, (key, of) => (key === "updated_at" ? 0 : of)));

function person(workstream: number, at: string) {
  return agentRow({ workstream_id: workstream, name: "somebody", cli: "human", spawned_at: at });
}

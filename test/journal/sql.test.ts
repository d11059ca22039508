import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Context } from "../../src/db/context.js";
import { openSqlite } from "../../src/db/sqlite/sqlite.js";
import { splitSql } from "../../src/db/sqlite/text.js";
import { verifyChains } from "../../src/journal/audit.js";
import { compareTables } from "../../src/journal/replay.js";
import { querySql, writeSql } from "../../src/journal/sql.js";
import { act, perform } from "../support/acts.js";
import { contextOn, describeOnce, onEachDialect, openTestStore, temporaryFolder } from "../support/database.js";
import { putEdge, putNote, putTask } from "../support/history.js";

let context: Context;
let path: string;
let end: () => Promise<void>;

beforeEach(async () => {
  const folder = temporaryFolder();
  path = join(folder.path, "mu.db");
  const store = await openTestStore(path);
  context = contextOn(store);
  end = () => store.close().finally(folder.remove);
});

afterEach(() => end());

const usage = (code: string) => ({ kind: "usage", code });

describeOnce("mu sql reads", () => {
  it("gives rows by name, with values that JSON can carry", async () => {
    expect(
      await querySql(context, "select 1 as a, 'x' as b, null as c, 2.5 as d, 9007199254740993 as big, x'00ff' as blob"),
    ).toEqual([{ a: 1, b: "x", c: null, d: 2.5, big: "9007199254740993", blob: "x'00ff'" }]);
    expect(await querySql(context, 'select 1 as a, 2 as a, 1e999 as "__proto__"')).toEqual([
      JSON.parse('{"a": 1, "a_2": 2, "__proto__": "Infinity"}'),
    ]);
    expect(await querySql(context, "-- a comment; with a semicolon\n select ';' as s; -- end")).toEqual([{ s: ";" }]);
  });

  it("accepts WITH, VALUES, EXPLAIN and read-only pragmas", async () => {
    for (const text of [
      "with a as (select 1) select * from a",
      "values (1), (2)",
      "explain query plan select * from tasks",
      "explain select 1",
      "pragma table_info(tasks)",
      "pragma main.table_info('tasks')",
      "PRAGMA user_version;",
      "select * from ready",
    ]) {
      await expect(querySql(context, text), text).resolves.toBeInstanceOf(Array);
    }
  });

  it("refuses everything else, without any effect", async () => {
    await putTask(context, "alpha", "build");
    const out = join(path, "..", "copy.db");
    const before = readFileSync(path);
    for (const text of [
      "update tasks set title = 'x'",
      "with a as (select 1) delete from tasks",
      "delete from tasks returning *",
      `vacuum into '${out}'`,
      `attach '${out}' as other`,
      "pragma user_version = 7",
      "pragma user_version(7)",
      "pragma foreign_keys = off",
      "explain pragma foreign_keys = off",
      "pragma journal_mode = delete",
      "pragma wal_checkpoint(truncate)",
      "pragma optimize",
      "pragma writable_schema = on",
      "create temp table t (a)",
      "begin",
      "commit",
      "explain delete from tasks",
      "reindex",
      "analyze",
    ]) {
      await expect(querySql(context, text), text).rejects.toMatchObject(usage("sql.not_a_read"));
    }
    await expect(querySql(context, "select 1; select 2")).rejects.toMatchObject(usage("sql.several"));
    await expect(querySql(context, " ; -- nothing")).rejects.toMatchObject(usage("sql.empty"));
    await expect(querySql(context, "select load_extension('x')")).rejects.toMatchObject({
      ...usage("sql.failed"),
      message: "SQLite says: not authorized",
    });
    await expect(querySql(context, "select 1\0; drop table tasks")).rejects.toMatchObject(usage("sql.failed"));
    await expect(querySql(context, "select ?")).rejects.toMatchObject(usage("sql.failed"));
    await expect(querySql(context, "selec 1")).rejects.toMatchObject({
      ...usage("sql.failed"),
      message: 'SQLite says: near "selec": syntax error',
    });
    await expect(querySql(context, "select x from nowhere")).rejects.toMatchObject({
      ...usage("sql.failed"),
      message: "SQLite says: no such table: nowhere",
    });
    expect(statSync(out, { throwIfNoEntry: false })).toBeUndefined();
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it("answers without a database, and creates none", async () => {
    const missing = join(path, "..", "none.db");
    const store = await openSqlite(missing, { missing: "empty" });
    expect(await querySql(contextOn(store), "select count(*) as n from tasks")).toEqual([{ n: 0 }]);
    await store.close();
    expect(statSync(missing, { throwIfNoEntry: false })).toBeUndefined();
  });
});

describeOnce("mu sql --write", () => {
  const events = () =>
    context.store.db.selectFrom("events").select(["scope", "op", "changes", "payload"]).orderBy("id").execute();

  const sound = async () => {
    expect(await compareTables(context.store.db)).toEqual([]);
    expect((await verifyChains(context.store.db)).filter((chain) => !chain.ok)).toEqual([]);
  };

  it("leaves an event with the rows before and after in the workstream's chain", async () => {
    const id = await putTask(context, "alpha", "build");
    expect(await writeSql(context, "update tasks set impact = 80, role = null where name = 'build'")).toEqual({
      rows: [],
      changes: 1,
    });
    expect((await events()).at(-1)).toMatchObject({
      scope: "alpha",
      op: "sql.write",
      changes: JSON.stringify([{ table: "tasks", id, patch: { impact: [50, 80] } }]),
    });
    await sound();
  });

  it("puts rows of several workstreams into the machine's chain and mentions them in theirs", async () => {
    await putTask(context, "alpha", "build");
    const beta = await putTask(context, "beta", "test");
    await putNote(context, "beta", beta, "hello");
    await writeSql(context, "update tasks set priority = 1; update task_notes set text = 'bye'");
    expect((await events()).slice(-3).map((event) => [event.scope, JSON.parse(event.changes).length])).toEqual([
      ["", 3],
      ["alpha", 0],
      ["beta", 0],
    ]);
    await writeSql(context, "delete from task_notes");
    expect((await events()).at(-1)).toMatchObject({ scope: "beta" });
    await sound();
  });

  it("captures upserts, replaces, new ids, moved ids and returned rows", async () => {
    const a = await putTask(context, "alpha", "build");
    await putTask(context, "alpha", "test");
    const columns = "workstream_id, name, title, created_at, updated_at";
    const values = (name: string, title: string) =>
      `select workstream_id, '${name}', '${title}', created_at, updated_at from tasks where id = ${a}`;
    const made = await writeSql(
      context,
      `insert into tasks (${columns}) ${values("deploy", "D")} returning id, kind, impact`,
    );
    expect(made).toEqual({ rows: [{ id: 3, kind: "task", impact: 50 }], changes: 1 });
    await writeSql(context, `insert or replace into tasks (${columns}) ${values("test", "Replaced")}`);
    await writeSql(
      context,
      `insert into tasks (${columns}) ${values("build", "U")} on conflict do update set title = 'Upserted'`,
    );
    await writeSql(context, "update tasks set id = id + 100 where name = 'deploy'");
    await writeSql(context, "update or replace tasks set name = 'test' where name = 'deploy'");
    await writeSql(context, `insert or ignore into tasks (${columns}) ${values("build", "U")}`);
    expect(await querySql(context, "select id, name, title from tasks order by id")).toEqual([
      { id: a, name: "build", title: "Upserted" },
      { id: 103, name: "test", title: "D" },
    ]);
    await sound();
  });

  it("keeps odd values, and refuses what an event cannot hold", async () => {
    await putTask(context, "alpha", "build");
    await writeSql(
      context,
      "update tasks set effort_days = 0.1 + 0.2, title = 'it''s; \"q\" /* c */' || char(0, 10, 128512)",
    );
    await writeSql(context, "update tasks set attempts = 9007199254740991, description = cast(x'ff41' as text)");
    await sound();
    for (const value of ["attempts = 9007199254740993", "description = x'00'", "effort_days = 1e999"]) {
      await expect(writeSql(context, `update tasks set ${value}`), value).rejects.toMatchObject(
        usage("sql.value_not_kept"),
      );
    }
    await sound();
  });

  it("refuses mu's own tables, transactions, data definition and pragmas, and changes nothing", async () => {
    await putTask(context, "alpha", "build");
    const before = await events();
    for (const text of [
      "update events set actor = 'mallory'",
      "insert into events select * from events",
      "delete from chains",
      "update kysely_migration set name = 'x'",
      "delete from 'sqlite_sequence'",
      'update "SQLITE_SEQUENCE" set seq = 0',
      "update or rollback tasks set id = 1",
      "update tasks set title = 'x'; commit; update tasks set title = 'y'",
      "begin",
      "drop table tasks",
      "create temp trigger t after update on tasks begin select 1; end",
      "pragma foreign_keys = off",
      "explain update tasks set title = 'x'",
      "vacuum",
    ]) {
      await expect(writeSql(context, text), text).rejects.toMatchObject(usage("sql.not_allowed"));
    }
    await expect(writeSql(context, "update ready set title = 'x'")).rejects.toMatchObject(usage("sql.failed"));
    await expect(writeSql(context, "update tasks set impact = 900")).rejects.toMatchObject({
      ...usage("sql.failed"),
      message: expect.stringContaining("CHECK constraint failed"),
    });
    await expect(writeSql(context, "delete from workstreams")).rejects.toMatchObject({
      ...usage("sql.failed"),
      message: "SQLite says: FOREIGN KEY constraint failed",
    });
    await expect(writeSql(context, "update tasks set title = 'x'; updat")).rejects.toMatchObject(usage("sql.failed"));
    await expect(writeSql(context, "  ")).rejects.toMatchObject(usage("sql.empty"));
    expect(await events()).toEqual(before);
    expect(await querySql(context, "select title from tasks")).toEqual([{ title: "Title of build" }]);
    expect(await context.store.db.selectFrom("tasks").select("title").execute()).toHaveLength(1);
    await sound();
  });

  it("rolls back unless exactly the confirmed number of rows change", async () => {
    await putTask(context, "alpha", "build");
    await putTask(context, "alpha", "test");
    await expect(writeSql(context, "update tasks set title = 'x'", { confirmRows: 1 })).rejects.toMatchObject({
      ...usage("sql.rows_mismatch"),
      details: { changes: 2, confirmRows: 1 },
    });
    expect(await querySql(context, "select count(*) as n from tasks where title = 'x'")).toEqual([{ n: 0 }]);
    const text =
      "update tasks set title = 'x' where name = 'build' returning id; delete from tasks where name = 'test'";
    expect(await writeSql(context, text, { confirmRows: 2 })).toMatchObject({ changes: 2 });
    await sound();
  });

  it("refuses edges that close a cycle", async () => {
    const a = await putTask(context, "alpha", "build");
    const b = await putTask(context, "alpha", "test");
    await putEdge(context, "alpha", a, b);
    const text = `insert into task_edges (blocker_id, blocked_id, created_at) values (${b}, ${a}, 'now')`;
    await expect(writeSql(context, text)).rejects.toMatchObject({ kind: "conflict", code: "task.cycle" });
    await sound();
  });

  it("leaves no trace of its triggers", async () => {
    await putTask(context, "alpha", "build");
    await writeSql(context, "update tasks set title = 'x'");
    await expect(writeSql(context, "update tasks set impact = 0")).rejects.toThrow();
    const own = await writeSql(context, "select name from temp.sqlite_master where name not like 'mu\\_%' escape '\\'");
    expect(own.rows).toEqual([]);
    expect(await querySql(context, "select name from sqlite_master where type = 'trigger' order by name")).toEqual([
      { name: "events_no_delete" },
      { name: "events_no_update" },
      { name: "search_entries_added" },
      { name: "search_entries_removed" },
    ]);
    await putTask(context, "alpha", "later");
    await sound();
  });

  it("keeps the fold equal to the tables among other writes, whatever the SQL does", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(act, statement), { maxLength: 12 }), async (doings) => {
        for (const doing of doings) {
          if (typeof doing !== "string") await perform(context, doing);
          else await writeSql(context, doing).catch((error) => expect(["usage", "conflict"]).toContain(error.kind));
        }
        await sound();
      }),
      { numRuns: 40 },
    );
  });
});

const text = fc.string({ unit: "binary" }).map((value) => `'${value.replaceAll("'", "''").replaceAll("\0", "")}'`);
const literal = fc.oneof(
  text,
  fc.constantFrom("null", "1", "-5", "0.1", "9007199254740993", "1e999", "x'00'", "char(0)", "'OPEN'", "'CLOSED'"),
  fc.integer().map(String),
);
const column = fc.constantFrom("id", "title", "name", "status", "impact", "effort_days", "owner_id", "payload", "tags");
const verb = fc.constantFrom("update", "update or replace", "update or ignore", "update or fail");
const statement = fc.oneof(
  fc
    .tuple(verb, column, literal, fc.nat({ max: 9 }))
    .map(([doing, name, value, at]) => `${doing} tasks set ${name} = ${value} where id % 10 = ${at}`),
  fc.nat({ max: 9 }).map((at) => `update or replace tasks set id = id + 1 where id % 10 = ${at} returning *`),
  fc
    .nat({ max: 9 })
    .map((at) => `delete from task_edges where id % 10 = ${at}; delete from tasks where id % 10 = ${at}`),
  fc.nat({ max: 9 }).map(
    (at) => `insert or replace into tasks (id, workstream_id, name, title, created_at, updated_at)
      select id, workstream_id, name || 'x', 'R', created_at, updated_at from tasks where id % 10 = ${at}`,
  ),
  fc.string({ unit: "binary" }),
);

describeOnce("the cutting of SQL", () => {
  it("sees strings, names and comments as SQLite does", () => {
    const pieces = splitSql("a ';' ; \"b;\" -- c;\n; [d;] `e;` /* f; */ 'it''s;' ; ; -- end").map((s) => s.tokens);
    expect(pieces).toEqual([["a", "';'", ";"].slice(0, 2), ['"b;"'], ["[d;]", "`e;`", "'it'", "'s;'"]]);
  });

  it("loses no character of a statement, and takes a megabyte of quotes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (whole) => {
        for (const piece of splitSql(whole)) expect(whole).toContain(piece.text);
      }),
    );
    expect(splitSql(`'${"''".repeat(500_000)}'`)).toHaveLength(1);
    expect(splitSql(`/*${"*".repeat(1_000_000)}`)).toHaveLength(0);
  });
});

onEachDialect("a hand-written read", (bench) => {
  it("reads, and refuses to write", async () => {
    await putTask(bench.context, "alpha", "build");
    expect(await querySql(bench.context, "select name from tasks")).toEqual([{ name: "build" }]);
    for (const bad of ["delete from tasks", "select 1; delete from tasks", "commit; delete from tasks"]) {
      await expect(querySql(bench.context, bad), bad).rejects.toMatchObject({ kind: "usage" });
    }
    await expect(querySql(bench.context, "select * from nowhere")).rejects.toMatchObject(usage("sql.failed"));
  });
});

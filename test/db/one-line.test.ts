import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { sql } from "kysely";
import { afterAll, expect, it, vi } from "vitest";
import { createPaint } from "../../src/cli/paint.js";
import type { TaskColumn } from "../../src/db/task-columns.js";
import type { Terminal } from "../../src/operations/app.js";

/*
 * A build with one more table and one more column of tasks: a line in the description of each, and a migration. All
 * that follows is asked of the program as it is, so a place that must be told of a table by hand fails here.
 */
const PROBES = {
  noun: "probe",
  preposition: "of",
  label: "{task_id}",
  references: { task_id: "tasks" },
  unique: [{ columns: ["task_id", "word"] }],
  output: ["printed"],
  inHistoryOf: { task_id: { field: "probe", value: "{word}" } },
} as const;
const MOOD: TaskColumn = {
  kind: "text",
  nullable: true,
  most: 40,
  set: "by verbs and plans",
  edit: "text",
  about: "How it feels",
  card: "mood",
};
const MIGRATION = "9999_probes";

vi.resetModules();
vi.doMock("../../src/db/tables.js", async (original) => {
  const own = await original<typeof import("../../src/db/tables.js")>();
  return { ...own, TABLES: { ...own.TABLES, probes: PROBES } };
});
vi.doMock("../../src/db/task-columns.js", async (original) => {
  const own = await original<typeof import("../../src/db/task-columns.js")>();
  const columns = { ...own.TASK_COLUMNS, mood: MOOD };
  return { ...own, TASK_COLUMNS: columns, taskColumnEntries: () => own.taskColumnEntries(columns) };
});
vi.doMock("../../src/db/migrations/names.js", async (original) => {
  const own = await original<typeof import("../../src/db/migrations/names.js")>();
  return { MIGRATION_NAMES: [...own.MIGRATION_NAMES, MIGRATION] };
});
vi.doMock("../../src/db/migrations/index.js", async (original) => {
  const own = await original<typeof import("../../src/db/migrations/index.js")>();
  const migrations: typeof own.migrations = (flavour) => ({
    ...own.migrations(flavour),
    [MIGRATION]: {
      async up(db) {
        await sql.raw("alter table tasks add column mood text").execute(db);
        await sql
          .raw(`create table probes (id ${flavour.id}, task_id integer not null references tasks (id),
            word text not null, printed text, created_at text not null, unique (task_id, word))`)
          .execute(db);
      },
    },
  });
  return { migrations };
});

const { write } = await import("../../src/db/write.js");
const { compareTables, foldEvents } = await import("../../src/journal/replay.js");
const { readLog } = await import("../../src/journal/log.js");
const { writeSql } = await import("../../src/journal/sql.js");
const { previewUndo, undoGroup } = await import("../../src/journal/undo/undo.js");
const { taskHistory } = await import("../../src/tasks/history.js");
const { deleteTask } = await import("../../src/tasks/delete.js");
const { taskRow } = await import("../../src/tasks/task.js");
const { destroyWorkstream } = await import("../../src/workstreams/workstream.js");
const { execute } = await import("../../src/operations/execute.js");
const { loadOperations } = await import("../../src/operations/index.js");
const { dropFromEngine, itOnce, onEachDialect } = await import("../support/database.js");
const { at, plan } = await import("../support/tasks.js");
const { seededApp } = await import("../support/seeded.js");

afterAll(async () => {
  for (const name of ["tables", "task-columns", "migrations/names", "migrations/index"]) {
    vi.doUnmock(`../../src/db/${name}.js`);
  }
  vi.resetModules();
  await dropFromEngine([
    "drop table if exists probes",
    "alter table tasks drop column if exists mood",
    `delete from kysely_migration where name = '${MIGRATION}'`,
  ]);
});

type Context = Parameters<typeof write>[0];
type Row = Record<string, unknown>;

const output = "ok 1\n".repeat(100);

/** Writes rows of the new table, as code that knows it would. */
async function probe(context: Context, task: string, ...words: string[]): Promise<string> {
  const group = `probe-${words.join("-")}`;
  const { id } = await taskRow(context.store.db, at(task));
  await write({ ...context, group }, { op: "task.probe", scope: "demo", subject: `demo/${task}` }, async (tx) => {
    for (const word of words) await tx.insert("probes" as never, { task_id: id, word, printed: output } as never);
  });
  return group;
}

const probes = async ({ store }: Context) =>
  (await store.db
    .selectFrom("probes" as "task_notes")
    .selectAll()
    .orderBy("id")
    .execute()) as unknown as Row[];

onEachDialect("one more table", (bench) => {
  it("is audited and replayed, its output by hash", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    await probe(context, "build", "soft");
    expect(await compareTables(context.store.db)).toEqual([]);
    const folded = (await foldEvents(context.store.db)) as unknown as Record<string, Map<number, Row>>;
    expect([...(folded.probes?.values() ?? [])]).toMatchObject([{ word: "soft", printed: { bytes: 500 } }]);

    await sql`update probes set word = 'hard', printed = 'forged'`.execute(context.store.db);
    expect(await compareTables(context.store.db)).toMatchObject([
      { table: "probes", name: "build", problem: "changed", columns: ["word", "printed"] },
    ]);
  });

  it("is undone, and its rows are in the way of other undos", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    const added = (await readLog(context.store.db, { limit: 1 }))[0]?.group ?? "";
    const group = await probe(context, "build", "soft");
    expect(await previewUndo(context.store.db, added)).toMatchObject({
      superseded: [{ table: "probes", name: "build", problem: expect.stringContaining("(task)") }],
    });
    const { undoGroup: undone, inverse } = await undoGroup(context, group);
    expect(inverse).toMatchObject([{ table: "probes", name: "build", act: "remove" }]);
    expect(await probes(context)).toEqual([]);
    await undoGroup(context, undone);
    expect(await probes(context)).toMatchObject([{ word: "soft", printed: output }]);
    expect(await compareTables(context.store.db)).toEqual([]);
  });

  it("goes with its task, comes back with it, and goes with its workstream", async () => {
    const { context } = bench;
    await plan(context, ["build"], ["deploy"]);
    await probe(context, "build", "soft", "warm");
    await deleteTask(context, at("build"), { person: "tester" });
    expect(await probes(context)).toEqual([]);
    await undoGroup(context, (await readLog(context.store.db, { limit: 1 }))[0]?.group ?? "");
    expect(await probes(context)).toMatchObject([{ word: "soft", printed: output }, { word: "warm" }]);
    await destroyWorkstream(context, "demo");
    expect(await probes(context)).toEqual([]);
    expect(await compareTables(context.store.db)).toEqual([]);
  });

  it("is in the log and in the history of its task", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    await probe(context, "build", "soft", "warm");
    expect((await readLog(context.store.db, { limit: 1 }))[0]?.text).toBe("task probe build (2 rows)");
    expect((await taskHistory(context.store.db, at("build"))).at(-1)?.changes).toEqual([
      { field: "probe", before: null, after: "soft" },
      { field: "probe", before: null, after: "warm" },
    ]);
  });

  it("may be changed by hand, in the chain of its workstream", async () => {
    const { context } = bench;
    if (context.store.dialect === "postgres") return;
    await plan(context, ["build"]);
    await probe(context, "build", "soft");
    await writeSql(context, "update probes set word = 'hard'");
    const [entry] = await readLog(context.store.db, { limit: 1 });
    expect(entry).toMatchObject({ op: "sql.write", workstream: "demo" });
    await undoGroup(context, entry?.group ?? "");
    expect(await probes(context)).toMatchObject([{ word: "soft" }]);
  });
});

itOnce("one more column of tasks is in every verb", async () => {
  const app = await seededApp();
  try {
    const operations = await loadOperations();
    const run = (name: string, input: Row) => {
      const operation = operations.find((own) => own.name === name);
      if (operation === undefined) throw new Error(`no verb ${name}`);
      return execute(operation, input, app.world, app.request) as Promise<Row>;
    };
    const shown = async () => ((await run("task.show", { task: "calm" })).task as Row).mood;

    await run("task.add", { name: "calm", title: "Calm down", mood: "tense" });
    expect(await shown()).toBe("tense");
    expect((await run("task.update", { task: "calm", mood: "better" })).changedFields).toEqual(["mood"]);
    expect((await taskHistory(app.store.db, { workstream: "demo", name: "calm" })).at(-1)?.changes).toEqual([
      { field: "mood", before: "tense", after: "better" },
    ]);
    await expect(run("task.update", { task: "calm", mood: "x".repeat(41) })).rejects.toMatchObject({
      code: "usage.invalid_input",
    });
    await run("undo", { yes: true });
    expect(await shown()).toBe("tense");

    const edit: Terminal["edit"] = async (text, _name, take) => take(text.replace("tense", "fine"));
    const request = { ...app.request, terminal: { ...app.request.terminal, edit } as Terminal };
    const taskEdit = operations.find((own) => own.name === "task.edit");
    if (taskEdit !== undefined) await execute(taskEdit, { task: "calm" }, app.world, request);
    expect(await shown()).toBe("fine");
    await run("task.update", { task: "calm", clear: ["mood"] });
    expect(await shown()).toBeNull();

    const tasks = [{ name: "calm", title: "Calm down", mood: "planned" }];
    writeFileSync(join(app.request.cwd, "mood.json"), JSON.stringify({ tasks }));
    await run("task.apply", { file: "mood.json" });
    expect(await shown()).toBe("planned");
    const list = await run("task.list", { fields: ["name", "mood"] });
    expect(list.items).toContainEqual({ name: "calm", mood: "planned" });
    const show = operations.find((own) => own.name === "task.show");
    const whole = await run("task.show", { task: "calm" });
    expect(show?.output().safeParse(whole).success).toBe(true);
    const paint = createPaint({ colour: false, now: Date.now() });
    expect(show?.render?.(whole, paint)).toMatch(/^ {2}mood +planned$/m);
    expect(await compareTables(app.store.db)).toEqual([]);
  } finally {
    await app.end();
  }
});

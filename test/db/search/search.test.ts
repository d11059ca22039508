import fc from "fast-check";
import { sql } from "kysely";
import { expect, it } from "vitest";
import { rebuildIndex } from "../../../src/db/search/index-entries.js";
import { checkIndex, findRows } from "../../../src/db/search/search.js";
import { foldText } from "../../../src/db/search/words.js";
import { connect } from "../../../src/db/sqlite/connect.js";
import { type Store, withParts } from "../../../src/db/store.js";
import { Fault } from "../../../src/errors.js";
import { writeSql } from "../../../src/journal/sql.js";
import { undoGroup } from "../../../src/journal/undo/undo.js";
import { addTask } from "../../../src/tasks/add.js";
import { deleteTask } from "../../../src/tasks/delete.js";
import { applyPlan } from "../../../src/tasks/plan.js";
import { searchTasks } from "../../../src/tasks/search.js";
import { destroyWorkstream, initWorkstream } from "../../../src/workstreams/workstream.js";
import { describeOnce, dialect, itOnce, onEachDialect } from "../../support/database.js";
import { add, at, DEMO, plan } from "../../support/tasks.js";

/** Words as people write them, and as the model compares them. */
const PIECES: readonly (readonly [written: string, compared: string])[] = [
  ["Straße", "strasse"],
  ["STRASSE", "strasse"],
  ["Strand", "strand"],
  ["build_the", "build the"],
  ["BUILD", "build"],
  ["the", "the"],
  ["x-1", "x 1"],
  ["ﬁle", "file"],
  ["FILES", "files"],
  ["ΟΔΟΣ", "οδοσ"],
  ["οδος", "οδοσ"],
  ["İstanbul", "istanbul"],
  ["e\u0301tude", "étude"],
  ["支払", "支 払"],
  ["払", "払"],
  ["ﬃ", "ffi"],
];
const PIECE = fc.constantFrom(...PIECES);
const TEXT = fc.array(fc.tuple(PIECE, fc.constantFrom(" ", ", ", "\n", "/", "-", "“")), { minLength: 1, maxLength: 5 });
type Text = readonly (readonly [(typeof PIECES)[number], string])[];
const written = (text: Text) => text.map(([[word], sign]) => word + sign).join("");
const compared = (text: Text) => text.map(([[, word]]) => word).join(" ");

/** A term as words, how much of the last one is there, and whether it is quoted. */
const TERM = fc.record({
  pieces: fc.array(PIECE, { minLength: 1, maxLength: 2 }),
  cut: fc.nat(3),
  quoted: fc.boolean(),
});
interface Term {
  words: string;
  quoted: boolean;
}
const TERMS: fc.Arbitrary<Term[]> = fc.array(
  TERM.map(({ pieces, cut, quoted }) => {
    const words = pieces.map(([, word]) => word).join(" ");
    const last = words.split(" ").at(-1) ?? "";
    return { words: words.slice(0, words.length - Math.min(cut, last.length - 1)), quoted };
  }),
  { minLength: 1, maxLength: 2 },
);
const queryOf = (terms: readonly Term[]) =>
  terms.map(({ words, quoted }) => (quoted ? `"${words}"` : words.replaceAll(" ", "_"))).join(" ");

/** A store in which nothing can be written. */
const full = (store: Store) =>
  withParts(store, {
    write: async () => {
      throw new Fault("unavailable", "db.disk_full", "No space is left.");
    },
  });

onEachDialect("the index of words", (bench) => {
  it("finds what a model finds, and so does a search that cannot write it", async () => {
    const { context } = bench;
    let run = 0;
    const task = fc.record({ title: TEXT, description: TEXT, note: TEXT });
    await fc.assert(
      fc.asyncProperty(fc.array(task, { minLength: 1, maxLength: 5 }), TERMS, async (tasks, terms) => {
        const workstream = `w${run++}`;
        await initWorkstream(context, workstream);
        for (const [index, { title, description, note }] of tasks.entries()) {
          const texts = { title: written(title).replaceAll("\n", " ").trim(), description: written(description) };
          await addTask(context, workstream, { name: `t${index}`, ...texts, notes: [{ text: written(note) }] });
        }
        const model = tasks.flatMap(({ title, description, note }, index) => {
          const texts = [` t${index} `, ...[title, description, note].map((text) => ` ${compared(text)} `)];
          const has = ({ words, quoted }: Term) => texts.some((own) => own.includes(` ${words}${quoted ? " " : ""}`));
          return terms.every(has) ? [`t${index}`] : [];
        });
        for (const store of [full(context.store), context.store]) {
          const { items } = await searchTasks(store, queryOf(terms), { workstream, limit: 0 });
          expect(items.map(({ name }) => name).sort()).toEqual(model);
        }
      }),
      { numRuns: dialect === "sqlite" ? 60 : 10 },
    );
    expect(await checkIndex(context.store)).toMatchObject({ wrong: 0 });
  });

  it("is written by the first search after a change only, and made from the tables where it is new", async () => {
    const { context } = bench;
    await plan(context, ["one"], ["two"]);
    let writes = 0;
    const counting = withParts(context.store, {
      write: (work, options) => {
        writes++;
        return context.store.write(work, options);
      },
    });
    const search = async (text: string) => (await searchTasks(counting, text, { limit: 0 })).total;
    expect([await search("one"), writes > 0]).toEqual([1, true]);
    writes = 0;
    expect([await search("one"), await search("t"), writes]).toEqual([1, 1, 0]);
    await context.store.write((db) => db.deleteFrom("search_marks").execute());
    await add(context, { name: "three", title: "Three" });
    expect([await search("t"), writes > 0]).toEqual([2, true]);
  });

  it("follows undo, a destroyed workstream and what it was brought back as", async () => {
    const { context } = bench;
    const total = async (text: string) => (await searchTasks(context.store, text, { limit: 0 })).total;
    await plan(context, ["one"], ["two"]);
    expect(await total("one")).toBe(1);
    await deleteTask({ ...context, group: "g1" }, at("one"), { person: "tester" });
    expect(await total("one")).toBe(0);
    await undoGroup(context, "g1");
    expect(await total("one")).toBe(1);
    await destroyWorkstream({ ...context, group: "g2" }, DEMO);
    expect([await total("one"), await checkIndex(context.store)]).toEqual([0, { entries: 0, wrong: 0 }]);
    await undoGroup(context, "g2");
    expect([await total("two"), await checkIndex(context.store)]).toEqual([1, { entries: 2, wrong: 0 }]);
  });

  it("is mended from the tables when it is not what they say", async () => {
    const { context } = bench;
    await plan(context, ["one"], ["two"], ["three"]);
    await findRows(context.store, "tasks", "one");
    await add(context, { name: "four", title: "Later than the index" });
    expect(await checkIndex(context.store)).toEqual({ entries: 3, wrong: 0 });
    await context.store.write(async (db) => {
      await db.updateTable("search_entries").set({ words: "other" }).where("id", "=", 1).execute();
      await db.deleteFrom("search_entries").where("id", "=", 2).execute();
      await db.insertInto("search_entries").values({ id: 99, words: "ghost" }).execute();
    });
    expect(await checkIndex(context.store)).toEqual({ entries: 3, wrong: 3 });
    await rebuildIndex(context.store);
    expect(await checkIndex(context.store)).toEqual({ entries: 4, wrong: 0 });
    expect((await searchTasks(context.store, "two", { limit: 0 })).total).toBe(1);
  });

  it("is kept by several searches at once", async () => {
    const { context } = bench;
    await plan(context, ...Array.from({ length: 40 }, (_, n) => [`t${n}`]));
    const found = await Promise.all(Array.from({ length: 6 }, () => searchTasks(context.store, "t", { limit: 0 })));
    expect(found.map(({ total }) => total)).toEqual(Array(6).fill(40));
    expect(await checkIndex(context.store)).toEqual({ entries: 40, wrong: 0 });
  });

  itOnce("is one part after many entries, since a search reads each part", async () => {
    const { context } = bench;
    await initWorkstream(context, DEMO);
    const tasks = Array.from({ length: 10_000 }, (_, n) => ({ name: `task_${n}`, title: `Number ${n}` }));
    await applyPlan(context, DEMO, { tasks });
    expect((await searchTasks(context.store, "task_4711", { limit: 0 })).total).toBe(1);
    const { rows } = await sql`select count(distinct segid) as parts from search_index_idx`.execute(context.store.db);
    expect([rows, await checkIndex(context.store)]).toEqual([[{ parts: 1 }], { entries: 10_000, wrong: 0 }]);
  });

  itOnce("is not needed while another process has the lock", async () => {
    const { context } = bench;
    await plan(context, ["one"]);
    const other = connect(context.store.location, { timeout: 0 });
    other.exec("begin immediate");
    try {
      expect((await searchTasks(context.store, "one", { limit: 0 })).total).toBe(1);
      expect(await checkIndex(context.store)).toEqual({ entries: 0, wrong: 0 });
    } finally {
      other.close();
    }
  });

  itOnce("follows hand-written SQL, which may not touch it", async () => {
    const { context } = bench;
    await plan(context, ["one"]);
    await writeSql(context, "update tasks set title = 'by hand'");
    expect((await searchTasks(context.store, "hand", { limit: 0 })).total).toBe(1);
    for (const table of ["search_entries", "search_index", "search_index_data", '"search_index"']) {
      await expect(writeSql(context, `delete from ${table}`)).rejects.toMatchObject({ kind: "usage" });
    }
    await writeSql(
      context,
      "insert into task_notes (task_id, author, kind, text, created_at) select id, 'x', 'note', 'a cellar', 'now' from tasks",
    );
    expect((await searchTasks(context.store, "cellar", { limit: 0 })).total).toBe(1);
  });
});

describeOnce("folding", () => {
  it("makes a text, its capitals and its small letters one, and is done once", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(foldText(text.toUpperCase())).toBe(foldText(text));
        expect(foldText(foldText(text))).toBe(foldText(text));
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ["Straße", "strasse"],
    ["ẞ", "ss"],
    ["İIıi", "iiii"],
    ["ﬁ", "fi"],
    ["ΣΑΣ", "σασ"],
    ["Ǆ", "dž"],
    ["K", "k"],
    ["ΐ", "ΐ"],
    ["４２", "42"],
  ])("%s is compared as %s", (text, folded) => {
    expect(foldText(text)).toBe(folded);
  });
});

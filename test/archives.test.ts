import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import {
  addToArchive,
  createArchive,
  deleteArchive,
  getArchive,
  listArchives,
  readArchive,
  removeFromArchive,
  restoreArchive,
  searchArchives,
} from "../src/archives.js";
import { importSources } from "../src/bundles/import.js";
import { readBundle } from "../src/bundles/read.js";
import { writeBundle } from "../src/bundles/write.js";
import type { Context } from "../src/db/context.js";
import { checkIndex } from "../src/db/search/search.js";
import { verifyChains } from "../src/journal/audit.js";
import { readLog } from "../src/journal/log.js";
import { compareTables } from "../src/journal/replay.js";
import { undoGroup } from "../src/journal/undo/undo.js";
import { addTask } from "../src/tasks/add.js";
import { claimTask } from "../src/tasks/claim.js";
import { deleteTask } from "../src/tasks/delete.js";
import { readKept } from "../src/tasks/kept.js";
import { addNote } from "../src/tasks/notes.js";
import { listTasks } from "../src/tasks/task.js";
import { updateTask } from "../src/tasks/update.js";
import { destroyWorkstream, initWorkstream, workstreamRow } from "../src/workstreams/workstream.js";
import { dialect, onEachDialect, temporaryFolder } from "./support/database.js";
import { add, at, DEMO, plan, spawn } from "./support/tasks.js";

const ANN = { person: "ann" };
const eventsOf = (context: Context) => context.store.db.selectFrom("events").select("id").execute();
const keptOf = async ({ store }: Context, workstream: string) =>
  readKept(store.db, (await workstreamRow(store.db, workstream)).id);

onEachDialect("an archive", (bench) => {
  it("adds, refreshes, and leaves alone what is unchanged; what is deleted stays", async () => {
    const { context } = bench;
    await plan(context, ["one"], ["two", "one"], ["three"]);
    await createArchive(context, "old", { description: "What was" });
    expect(await addToArchive(context, "old", DEMO)).toEqual({
      ...{ archive: "old", workstream: DEMO, added: 3, refreshed: 0, unchanged: 0 },
    });
    const before = await eventsOf(context);
    expect(await addToArchive(context, "old", DEMO)).toMatchObject({ added: 0, refreshed: 0, unchanged: 3 });
    expect(await eventsOf(context)).toEqual(before);

    await updateTask(context, at("one"), { title: "One more" });
    await addNote(context, at("three"), ANN, { text: "Later" });
    await deleteTask(context, at("two"), ANN);
    await add(context, { name: "four", title: "Four" });
    expect(await addToArchive(context, "old", DEMO)).toMatchObject({ added: 1, refreshed: 2, unchanged: 0 });
    const [source] = await readArchive(context.store.db, "old");
    expect(source?.tasks).toMatchObject([
      { name: "one", title: "One more" },
      { name: "two", blockedBy: ["one"] },
      { name: "three", notes: [{ text: "Later" }] },
      { name: "four" },
    ]);
    expect(await compareTables(context.store.db)).toEqual([]);
    expect((await verifyChains(context.store.db)).every(({ ok }) => ok)).toBe(true);
  });

  it("outlives its workstreams, and gives back everything but agents", async () => {
    const { context } = bench;
    await plan(context, ["one"], ["two", "one@landed"]);
    await updateTask(context, at("one"), { kind: "bug", tags: ["core"], description: "Dig" });
    await addNote(context, at("one"), ANN, { text: "Why", kind: "decision", rationale: "So" });
    await spawn(context, "ada");
    await claimTask(context, at("one"), { agent: "ada" });
    await createArchive(context, "old");
    await addToArchive(context, "old", DEMO);
    const kept = await keptOf(context, DEMO);
    await destroyWorkstream(context, DEMO);

    expect(await getArchive(context.store.db, "old")).toMatchObject({ tasks: 2, sources: [{ workstream: DEMO }] });
    expect(await restoreArchive(context, "old", { as: "again" })).toEqual({
      ...{ archive: "old", from: DEMO, workstream: "again", tasks: 2, edges: 1, notes: 1, left: [] },
    });
    const open = kept.map((task) => (task.status === "IN_PROGRESS" ? { ...task, status: "OPEN" } : task));
    expect(await keptOf(context, "again")).toEqual(open);
    expect(await listTasks(context.store.db, { workstream: "again" })).toMatchObject([
      { name: "one", owner: null, formerOwner: "ada", kind: "bug" },
      { name: "two", owner: null },
    ]);
    await expect(restoreArchive(context, "old", { as: "again" })).rejects.toMatchObject({ code: "task.exists" });
    await createArchive(context, "empty");
    await expect(restoreArchive(context, "empty", { as: "x" })).rejects.toMatchObject({ code: "archive.empty" });
  });

  it("holds several workstreams, of which one is named to restore it, and each can be removed", async () => {
    const { context } = bench;
    await plan(context, ["one"]);
    await initWorkstream(context, "other");
    await createArchive(context, "old");
    await addToArchive(context, "old", DEMO);
    await expect(restoreArchive(context, "old", { as: "x", from: "other" })).rejects.toMatchObject({
      code: "archive.no_such_source",
    });
    await restoreArchive(context, "old", { as: "other" });
    await addToArchive(context, "old", "other");
    await expect(restoreArchive(context, "old", { as: "x" })).rejects.toMatchObject({
      code: "archive.several_sources",
      message: "The archive old has tasks of demo, other. Name one with --from.",
    });
    expect(await restoreArchive(context, "old", { as: "x", from: "other" })).toMatchObject({ from: "other" });
    expect(await removeFromArchive(context, "old", DEMO)).toMatchObject({ removed: 1, archive: { tasks: 1 } });
    await expect(removeFromArchive(context, "old", DEMO)).rejects.toMatchObject({ code: "archive.no_such_source" });
  });

  it("goes into a folder with a part for each workstream, which can be imported", async () => {
    const { context } = bench;
    await plan(context, ["one"], ["two", "one"]);
    await createArchive(context, "old");
    await addToArchive(context, "old", DEMO);
    const folder = temporaryFolder();
    try {
      const path = join(folder.path, "old");
      await writeBundle(path, await readArchive(context.store.db, "old"), "2026-01-01T00:00:00.000Z");
      await importSources(context, await readBundle(path), { as: "again" });
      expect(await keptOf(context, "again")).toEqual(await keptOf(context, DEMO));
    } finally {
      folder.remove();
    }
  });

  it("is deleted and brought back by undo, with its tasks", async () => {
    const { context } = bench;
    await plan(context, ["one"]);
    await add(context, { name: "large", title: "Large", description: "wide ".repeat(4000) });
    await createArchive(context, "old");
    await addToArchive({ ...context, group: "g1" }, "old", DEMO);
    const before = await listArchives(context.store.db);
    await deleteArchive({ ...context, group: "g2" }, "old");
    expect(await listArchives(context.store.db)).toEqual([]);
    await undoGroup(context, "g2");
    expect(await listArchives(context.store.db)).toEqual(before);
    await undoGroup(context, "g1");
    expect(await listArchives(context.store.db)).toMatchObject([{ label: "old", tasks: 0 }]);
    expect(await compareTables(context.store.db)).toEqual([]);
    const texts = (await readLog(context.store.db)).map(({ text }) => text);
    expect(texts).toContain("kept demo in the archive old: 2 added, 0 refreshed");
    expect(texts).toContain("deleted the archive old");
  });

  it("refuses labels that are none, taken or unknown", async () => {
    const { context } = bench;
    for (const label of ["Old", "", "1st", "a b", "x".repeat(65)]) {
      await expect(createArchive(context, label)).rejects.toMatchObject({ code: "archive.invalid_label" });
    }
    await createArchive(context, "old");
    await expect(createArchive(context, "old")).rejects.toMatchObject({ code: "archive.exists" });
    await expect(getArchive(context.store.db, "olt")).rejects.toMatchObject({
      message: 'There is no archive "olt". Did you mean old?',
    });
  });

  it("is searched by the same words, and says which text has them", async () => {
    const { context } = bench;
    await plan(context, ["one"], ["two"]);
    await addNote(context, at("one"), ANN, { text: "First\nthe long Straße\nlast" });
    for (const label of ["old", "new"]) {
      await createArchive(context, label);
      await addToArchive(context, label, DEMO);
    }
    await destroyWorkstream(context, DEMO);
    const search = (text: string, label?: string) => searchArchives(context.store, text, { label, limit: 0 });
    expect(await search("STRASSE", "old")).toEqual({
      items: [
        {
          ...{ archive: "old", workstream: DEMO, name: "one", title: "one", status: "OPEN" },
          ...{ matchKind: "note", match: "the long Straße" },
        },
      ],
      total: 1,
    });
    expect(await search("two")).toMatchObject({ total: 2, items: [{ matchKind: "name", match: "two" }, {}] });
    expect(await searchArchives(context.store, "one", { limit: 1 })).toMatchObject({ total: 2, items: [{}] });
    await removeFromArchive(context, "old", DEMO);
    expect(await search("two")).toMatchObject({ total: 1 });
    await expect(search("two", "olt")).rejects.toMatchObject({ code: "archive.not_found" });
    expect(await checkIndex(context.store)).toEqual({ entries: 2, wrong: 0 });
  });

  it("gives back what was added, whatever happened in between", async () => {
    const { context } = bench;
    let run = 0;
    const name = fc.constantFrom("a", "b", "c", "d");
    const step = fc.oneof(
      fc.tuple(fc.constant("add" as const), name, fc.stringMatching(/^[a-zß]{1,5}$/)),
      fc.tuple(fc.constant("note" as const), name, fc.stringMatching(/^[a-zß]{1,5}$/)),
      fc.tuple(fc.constant("delete" as const), name, fc.constant("")),
      fc.tuple(fc.constant("keep" as const), name, fc.constant("")),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        const [label, workstream] = [`l${run}`, `w${run++}`];
        await initWorkstream(context, workstream);
        await createArchive(context, label);
        const expected = new Map<string, unknown>();
        for (const [what, task, text] of steps) {
          const ref = { workstream, name: task };
          const known = (await listTasks(context.store.db, { workstream })).some((one) => one.name === task);
          if (what === "add" && known) await updateTask(context, ref, { title: text });
          else if (what === "add") await addTask(context, workstream, { name: task, title: text });
          else if (what === "note" && known) await addNote(context, ref, ANN, { text });
          else if (what === "delete" && known) await deleteTask(context, ref, ANN);
          else if (what === "keep") {
            await addToArchive(context, label, workstream);
            for (const kept of await keptOf(context, workstream)) expected.set(kept.name, kept);
          }
        }
        const [source] = await readArchive(context.store.db, label);
        expect(new Map(source?.tasks.map((task) => [task.name, task]))).toEqual(expected);
      }),
      { numRuns: dialect === "sqlite" ? 25 : 4 },
    );
  });
});

import { expect, it } from "vitest";
import { deleteTask } from "../../src/tasks/delete.js";
import { addNote } from "../../src/tasks/notes.js";
import { searchTasks } from "../../src/tasks/search.js";
import { updateTask } from "../../src/tasks/update.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";
import { onEachDialect } from "../support/database.js";
import { add, at, plan } from "../support/tasks.js";

onEachDialect("a search", (bench) => {
  const found = async (text: string, workstream?: string) => {
    const { items } = await searchTasks(bench.context.store, text, { limit: 0, workstream });
    return items.map(({ name }) => name).sort();
  };

  it.each([
    ["ÜBER", ["noted"]],
    ["u\u0308berPRÜFEN", ["noted"]],
    ["STRASSE", ["noted"]],
    ["ΣΊΣΥΦΟΣ", ["noted"]],
    ["σίσυφοσ", ["noted"]],
    ["istanbul FILE", ["noted"]],
    ["支払", ["noted"]],
    ["払支", []],
    ["PLA", ["plain"]],
    ["pla straße", []],
    ["lain", []],
    ["build", ["noted"]],
    ["the", ["noted"]],
    ["build_the", ["noted"]],
    ["the_build", []],
    ['"plai"', []],
    ['"plain"', ["plain"]],
    ['"über die Straße"', ["noted"]],
    ['"über die Stra"', []],
    ["über-die-Stra", ["noted"]],
    ["noted t", ["noted"]],
    ["noted-t", []],
  ])("for %s finds %j, without the case of letters, in notes too", async (text, names) => {
    await plan(bench.context, ["noted"], ["plain"]);
    const notes = ["überprüfen, über die Straße", "σίσυφος İstanbul ﬁle build_the 前支払い"];
    await updateTask(bench.context, at("noted"), { title: "T" });
    for (const note of notes) await addNote(bench.context, at("noted"), { person: "ann" }, { text: note });
    expect(await found(text)).toEqual(names);
  });

  it("follows every change of a text", async () => {
    const { context } = bench;
    await plan(context, ["one"]);
    expect(await found("cellar")).toEqual([]);
    await updateTask(context, at("one"), { title: "Dig the cellar" });
    await add(context, { name: "two", title: "Two", description: "below the cellar" });
    expect(await found("cellar")).toEqual(["one", "two"]);
    await updateTask(context, at("one"), { title: "Dig" });
    await deleteTask(context, at("two"), { person: "ann" });
    expect(await found("cellar")).toEqual([]);
    await addNote(context, at("one"), { person: "ann" }, { text: "why?", rationale: "the cellar" });
    expect(await found("cellar")).toEqual(["one"]);
  });

  it("is about one workstream or all, says the total, and shows the last changed first", async () => {
    const { context } = bench;
    await plan(context);
    for (const name of ["one", "two", "three"]) await add(context, { name, title: "Dig" });
    await initWorkstream(context, "other");
    await updateTask(context, at("one"), { title: "Dig deeper" });
    const { items, total } = await searchTasks(context.store, "dig", { limit: 2 });
    expect([items[0]?.name, items.length, total]).toEqual(["one", 2, 3]);
    expect(await found("dig", "other")).toEqual([]);
    await expect(found("dig", "none")).rejects.toMatchObject({ code: "workstream.not_found" });
    await expect(found('% "!"')).rejects.toMatchObject({ kind: "usage", code: "search.no_words" });
  });
});

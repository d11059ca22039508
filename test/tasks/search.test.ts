import { expect, it } from "vitest";
import { addNote } from "../../src/tasks/notes.js";
import { listTasks } from "../../src/tasks/task.js";
import { onEachDialect } from "../support/database.js";
import { at, plan } from "../support/tasks.js";

onEachDialect("a search", (bench) => {
  it.each([
    ["ÜBER", ["noted"]],
    ["u\u0308berPRÜFEN", ["noted"]],
    ["STRASSE", ["noted"]],
    ["ΣΊΣΥΦΟΣ", ["noted"]],
    ["PLA", ["plain"]],
    ["%", []],
  ])("for %s ignores the case of all letters, in notes too", async (text, names) => {
    const { context } = bench;
    await plan(context, ["noted"], ["plain"]);
    await addNote(context, at("noted"), { person: "ann" }, { text: "überprüfen, Straße, σίσυφος" });
    const found = await listTasks(context.store.db, { text });
    expect(found.map((task) => task.name)).toEqual(names);
    expect(await listTasks(context.store.db, { text, workstream: at("x").workstream })).toEqual(found);
  });
});

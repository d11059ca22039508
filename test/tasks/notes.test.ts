import { expect, it } from "vitest";
import { claimTask } from "../../src/tasks/claim.js";
import { addNote, listNotes } from "../../src/tasks/notes.js";
import { getTask } from "../../src/tasks/task.js";
import { updateTask } from "../../src/tasks/update.js";
import { onEachDialect } from "../support/database.js";
import { at, closeAgent, later, plan, spawn } from "../support/tasks.js";

onEachDialect("notes", (bench) => {
  it("are listed oldest first, all, the last few, or since a moment", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    for (const [n, text] of ["one", "two", "three"].entries()) {
      await addNote(later(context, n * 60_000), at("build"), { person: "ann" }, { text });
    }
    const texts = async (filter = {}) =>
      (await listNotes(context.store.db, at("build"), filter)).map((note) => note.text);
    expect(await texts()).toEqual(["one", "two", "three"]);
    expect(await texts({ last: 2 })).toEqual(["two", "three"]);
    const { createdAt } = (await listNotes(context.store.db, at("build")))[1] ?? { createdAt: "" };
    expect(await texts({ since: createdAt })).toEqual(["two", "three"]);
    expect((await getTask(context.store.db, at("build"))).updatedAt > createdAt).toBe(true);
    await expect(texts({ since: "yesterday" })).rejects.toMatchObject({ code: "task.invalid_field" });
  });

  it("by the owner renew the lease, by others do not", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    const { task } = await claimTask(context, at("build"), { person: "ann" }, { leaseSeconds: 60 });
    const other = await addNote(later(context, 30_000), at("build"), { person: "bob" }, { text: "hi" });
    expect(other.task.leaseUntil).toBe(task.leaseUntil);
    const own = await addNote(later(context, 30_000), at("build"), { person: "ann" }, { text: "still here" });
    expect(Date.parse(own.task.leaseUntil ?? "") - Date.parse(task.leaseUntil ?? "")).toBeGreaterThanOrEqual(30_000);
  });

  it("in the owner's name, or by its namesake of another workstream, do not renew the lease", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    const incarnation = await spawn(context, "w1");
    const w1 = { agent: "w1", incarnation };
    const { task } = await claimTask(context, at("build"), w1, { leaseSeconds: 60 });
    const soon = later(context, 30_000);
    const signed = await addNote(soon, at("build"), { person: "ann" }, { text: "hm", author: "w1" });
    expect([signed.note.author, signed.task.leaseUntil]).toEqual(["w1", task.leaseUntil]);
    const namesake = { ...soon, actor: "w1", incarnation: incarnation + 1 };
    expect((await updateTask(namesake, at("build"), { impact: 1 })).task.leaseUntil).toBe(task.leaseUntil);
    const own = await updateTask({ ...namesake, incarnation }, at("build"), { impact: 2 });
    expect(own.task.leaseUntil).not.toBe(task.leaseUntil);
  });

  it("need a text and a known kind, and refuse a replaced agent", async () => {
    const { context } = bench;
    await plan(context, ["build"]);
    const ann = { person: "ann" };
    const invalid = { code: "task.invalid_note" };
    await expect(addNote(context, at("build"), ann, { text: "\n" })).rejects.toMatchObject(invalid);
    await expect(addNote(context, at("build"), ann, { text: "x", kind: "rant" as "note" })).rejects.toMatchObject(
      invalid,
    );
    const incarnation = await spawn(context, "worker-1");
    await addNote(context, at("build"), { agent: "worker-1", incarnation }, { text: "x" });
    await closeAgent(context, incarnation);
    const stale = addNote(context, at("build"), { agent: "worker-1", incarnation }, { text: "y" });
    await expect(stale).rejects.toMatchObject({ code: "agent.replaced" });
  });
});

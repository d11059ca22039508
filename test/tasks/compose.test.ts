import { expect, it } from "vitest";
import { type Tx, write } from "../../src/db/write.js";
import { verifyChains } from "../../src/journal/audit.js";
import { addTaskIn } from "../../src/tasks/add.js";
import { claimNextIn, claimTask, claimTaskIn } from "../../src/tasks/claim.js";
import { blockTaskIn, reparentTaskIn, unblockTaskIn } from "../../src/tasks/graph.js";
import { closeTaskIn, openTaskIn, releaseTaskIn } from "../../src/tasks/lifecycle.js";
import { addNoteIn } from "../../src/tasks/notes.js";
import { applyPlanIn } from "../../src/tasks/plan.js";
import { listTasks } from "../../src/tasks/task.js";
import { updateTaskIn } from "../../src/tasks/update.js";
import { onEachDialect } from "../support/database.js";
import { at, DEMO, ops, plan } from "../support/tasks.js";

onEachDialect("several verbs in one write", (bench) => {
  const ann = { person: "ann" };
  const settle = (work: (tx: Tx) => Promise<unknown>) =>
    write(bench.context, { op: "run.settle", scope: DEMO, subject: "run 1", payload: { run: 1 } }, work);
  const tasks = async () =>
    (await listTasks(bench.context.store.db, { workstream: DEMO })).map(({ name, status, owner, hold }) =>
      [name, status, owner, hold].filter(Boolean).join(" "),
    );
  const start = async () => {
    await plan(bench.context, ["build"], ["deploy", "build"], ["docs"]);
    await claimTask(bench.context, at("build"), ann);
  };

  /** Closes one task, adds two with an edge between them, holds a third and claims a fourth. */
  const grow = async (tx: Tx) => {
    await closeTaskIn(tx, at("build"), ann, { evidence: "it builds" });
    await addTaskIn(tx, DEMO, { name: "probe", title: "Probe", notes: ["after the build"] });
    await addTaskIn(tx, DEMO, { name: "report", title: "Report", blockedBy: ["probe"] });
    await blockTaskIn(tx, at("deploy"), at("report"), "verified");
    await updateTaskIn(tx, at("docs"), { hold: "review", holdReason: "wait for the report" });
    return claimTaskIn(tx, at("probe"), ann);
  };

  it("is one event, and all or nothing", async () => {
    await start();
    const before = await tasks();
    const events = (await ops(bench.context)).length;
    await expect(
      settle(async (tx) => {
        await grow(tx);
        await claimTaskIn(tx, at("deploy"), ann);
      }),
    ).rejects.toMatchObject({ code: "task.blocked" });
    expect(await tasks()).toEqual(before);
    expect(await ops(bench.context)).toHaveLength(events);

    await settle(grow);
    expect(await tasks()).toEqual([
      "build CLOSED ann",
      "deploy OPEN",
      "docs OPEN review",
      "probe IN_PROGRESS ann",
      "report OPEN",
    ]);
    expect((await ops(bench.context)).slice(events)).toEqual(["run.settle"]);
    const [event] = await bench.context.store.db
      .selectFrom("events")
      .select(["subject", "actor", "payload"])
      .where("op", "=", "run.settle")
      .execute();
    expect(event).toEqual({ subject: "run 1", actor: bench.context.actor, payload: '{"run":1}' });
    expect(await verifyChains(bench.context.store.db)).toMatchObject([{ ok: true }]);
  });

  it("shows each verb what the earlier ones did", async () => {
    await start();
    await settle(async (tx) => {
      await releaseTaskIn(tx, at("build"), ann);
      await unblockTaskIn(tx, at("deploy"), at("build"));
      await reparentTaskIn(tx, at("build"), ["deploy"]);
      await closeTaskIn(tx, at("docs"), ann);
      await openTaskIn(tx, at("docs"), ann);
      await addNoteIn(tx, at("docs"), ann, { text: "again" });
      await applyPlanIn(tx, DEMO, [
        { name: "first", columns: { title: "First", priority: 1 }, blockedBy: [], notes: [] },
      ]);
      expect((await claimNextIn(tx, DEMO, ann)).task.name).toBe("first");
    });
    expect(await tasks()).toEqual(["build OPEN", "deploy OPEN", "docs OPEN", "first IN_PROGRESS ann"]);
  });
});

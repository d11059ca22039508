import fc from "fast-check";
import { expect, it } from "vitest";
import { Fault } from "../../src/errors.js";
import { addTask } from "../../src/tasks/add.js";
import { claimNext, claimTask } from "../../src/tasks/claim.js";
import { closeTask, deferTask, openTask, rejectTask, releaseTask } from "../../src/tasks/lifecycle.js";
import { addNote } from "../../src/tasks/notes.js";
import { listTasks } from "../../src/tasks/task.js";
import { TRANSITIONS } from "../../src/tasks/transition.js";
import { describeOnce, onEachDialect } from "../support/database.js";
import { at, DEMO, ops, plan } from "../support/tasks.js";

const NAMES = ["a", "b", "c", "d"];
const VERBS = ["claim", "steal", "next", "release", "reopen", "close", "open", "reject", "defer", "note"] as const;

onEachDialect("any order of verbs", (bench) => {
  it("keeps what is true of every status, and leaves one event per change", async () => {
    const { context } = bench;
    await plan(context, ["a"], ["b", "a"], ["c", "a"], ["d", "b", "c"]);
    const step = fc.record({
      verb: fc.constantFrom(...VERBS),
      name: fc.constantFrom(...NAMES),
      person: fc.constantFrom("ann", "bob"),
      cascade: fc.boolean(),
      evidence: fc.constantFrom(undefined, undefined, "it works"),
    });
    const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 15 }), async (steps) => {
      for (const { verb, name, person, cascade, evidence } of steps) {
        const before = (await ops(context)).length;
        const [who, ref] = [{ person }, at(name)];
        const verbs: Record<(typeof VERBS)[number], () => Promise<{ changed?: boolean }>> = {
          claim: () => claimTask(context, ref, who, { evidence }),
          steal: () => claimTask(context, ref, who, { steal: "expired" }),
          next: () => claimNext(context, DEMO, who),
          release: () => releaseTask(context, ref, who, { evidence }),
          reopen: () => releaseTask(context, ref, who, { reopen: true }),
          close: () => closeTask(context, ref, who, { evidence, ifReady: cascade }),
          open: () => openTask(context, ref, who, { evidence }),
          reject: () => rejectTask(context, ref, who, { evidence, cascade }),
          defer: () => deferTask(context, ref, who, { evidence, cascade }),
          note: () => addNote(context, ref, who, { text: "hm" }).then(() => ({ changed: true })),
        };
        const { changed } = await verbs[verb]().catch((error) => {
          expect(error).toBeInstanceOf(Fault);
          return { changed: false };
        });
        expect((await ops(context)).length - before).toBe(changed ? 1 : 0);
        for (const task of await listTasks(context.store.db)) expectSound(task);
      }
    });
    await fc.assert(property, { numRuns: context.store.dialect === "sqlite" ? 60 : 6 });
  });

  it("never gives a new task an owner", async () => {
    const { context } = bench;
    await plan(context);
    expectSound((await addTask(context, DEMO, { title: "x" })).task);
  });
});

function expectSound(task: Awaited<ReturnType<typeof listTasks>>[number]): void {
  if (task.status === "IN_PROGRESS") expect(task.owner).not.toBeNull();
  if (["OPEN", "REJECTED", "DEFERRED"].includes(task.status)) expect(task.owner).toBeNull();
  expect(task.closedAt !== null).toBe(["CLOSED", "REJECTED"].includes(task.status));
  if (task.status !== "IN_PROGRESS") expect(task.leaseUntil).toBeNull();
}

describeOnce("the table of transitions", () => {
  it("every status can be reached, and IN_PROGRESS only by a claim", () => {
    const into = Object.entries(TRANSITIONS).filter(([, { to }]) => to === "IN_PROGRESS");
    expect(into.map(([verb]) => verb)).toEqual(["claim", "steal"]);
    for (const { from, to } of Object.values(TRANSITIONS)) {
      if (to !== "IN_PROGRESS") expect(from as readonly string[]).not.toContain(to);
    }
  });
});

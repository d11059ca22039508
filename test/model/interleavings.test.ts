import fc from "fast-check";
import { expect, it } from "vitest";
import { deliveryRow, enqueue, reserve } from "../../src/agents/delivery/outbox.js";
import type { Context } from "../../src/db/context.js";
import type { Store } from "../../src/db/store.js";
import { addTask } from "../../src/tasks/add.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";
import { doAct } from "../support/claim-acts.js";
import { type ClaimAct, type ClaimState, promised, UNCLAIMED } from "../support/claims.js";
import { onEachDialect } from "../support/database.js";
import { type Call, firstUnexplained } from "../support/legal-order.js";
import { fewOf, seed } from "../support/sample.js";
import { spawn } from "../support/tasks.js";

const AGENTS = ["w1", "w2", "w3"];

const act: fc.Arbitrary<ClaimAct> = fc.record({
  act: fc.constantFrom("claim", "claim", "release", "close", "open"),
  by: fc.constantFrom(...AGENTS, "p1"),
});

/** The store as one of several callers in a process sees it: each read and write begins when the scheduler lets it. */
function scheduled(store: Store, scheduler: fc.Scheduler): Store {
  return {
    ...store,
    read: async (work) => {
      await scheduler.schedule(Promise.resolve(), "read");
      return store.read(work);
    },
    write: async (work, options) => {
      await scheduler.schedule(Promise.resolve(), "write");
      const result = await store.write(work, options);
      await scheduler.schedule(Promise.resolve(), "written");
      return result;
    },
  };
}

onEachDialect("calls of one process, in whatever order they get on", (bench) => {
  let opened = 0;

  async function open(): Promise<{ workstream: string; agents: number[] }> {
    const workstream = `i${opened++}`;
    await initWorkstream(bench.context, workstream);
    await addTask(bench.context, workstream, { name: "t", title: "t" });
    const agents: number[] = [];
    for (const name of AGENTS) agents.push(await spawn(bench.context, name, null, workstream));
    return { workstream, agents };
  }

  it("are answered as if one came after the other", async () => {
    const acts = fc.array(fc.array(act, { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), acts, async (scheduler, callers) => {
        const { workstream } = await open();
        const context: Context = { ...bench.context, store: scheduled(bench.context.store, scheduler) };
        const calls: Call<{ act: ClaimAct; answer: string }>[] = [];
        let time = 0n;
        const call = async (one: ClaimAct) => {
          const from = time++;
          const { answer } = await doAct(context, { workstream, name: "t" }, one);
          calls.push({ op: { act: one, answer }, from, to: time++ });
        };
        const all = callers.map(async (own) => {
          for (const one of own) await call(one);
        });
        await scheduler.waitFor(Promise.all(all));
        const step = (state: ClaimState, { act: one, answer }: { act: ClaimAct; answer: string }) => {
          const [promise, after] = promised(state, one, 0);
          return promise === answer ? [after] : [];
        };
        expect(firstUnexplained(calls, UNCLAIMED, step)).toBeUndefined();
      }),
      { numRuns: fewOf(15, 500), seed },
    );
  });

  it("type one prompt at a time to an agent, each once", async () => {
    const typers = fc.array(fc.array(fc.nat(2), { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), typers, async (scheduler, tries) => {
        const { agents } = await open();
        const { db } = bench.context.store;
        const agent = await db
          .selectFrom("agents")
          .selectAll()
          .where("id", "=", agents[0] ?? 0)
          .executeTakeFirstOrThrow();
        const prompts: number[] = [];
        for (const text of ["a", "b", "c"])
          prompts.push((await enqueue(bench.context, agent, { text, sender: "ann" })).id);
        const context: Context = { ...bench.context, store: scheduled(bench.context.store, scheduler) };
        const all = tries.map(async (own) => {
          const typed: number[] = [];
          for (const n of own) {
            const row = await deliveryRow(db, prompts[n] as number);
            const reserved = await reserve(context, row, null);
            if (reserved) typed.push(reserved.id);
          }
          return typed;
        });
        const typed = (await scheduler.waitFor(Promise.all(all))).flat();
        expect(typed).toHaveLength(1);
        const rows = await db
          .selectFrom("deliveries")
          .select(["id", "attempt"])
          .where("state", "=", "pasted")
          .where("agent_id", "=", agent.id)
          .execute();
        expect(rows).toEqual([{ id: typed[0], attempt: 1 }]);
      }),
      { numRuns: fewOf(10, 300), seed },
    );
  });
});

import fc from "fast-check";
import { expect, it } from "vitest";
import type { RowOf } from "../../src/db/write.js";
import { verifyChains } from "../../src/journal/audit.js";
import { compareTables } from "../../src/journal/replay.js";
import { addTask } from "../../src/tasks/add.js";
import { createWorkspace } from "../../src/workspaces/create.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";
import { onEachDialect } from "../support/database.js";
import { fewOf, seed } from "../support/sample.js";
import { spawn } from "../support/tasks.js";
import { newWorkshop } from "../support/workshop.js";
import { AGENTS, claims, deliveries, landings, type Model, newModel, type Real, TASKS } from "./commands.js";

const START = Date.parse("2026-11-30T22:00:00Z");

onEachDialect("a store does what a model of it does", (bench) => {
  let opened = 0;

  /** A workstream of its own on the story's store, in a repository if its work lands. */
  async function open(lands: "lands" | "stays"): Promise<{ model: Model; real: Real }> {
    let now = START;
    const context = { ...bench.context, clock: { ...bench.context.clock, now: () => new Date(now) } };
    const workstream = `m${opened++}`;
    const shop = lands === "lands" ? await newWorkshop(undefined, context) : undefined;
    await initWorkstream(context, workstream, shop === undefined ? {} : { root: shop.repository.root });
    for (const name of TASKS) await addTask(context, workstream, { name, title: name });
    const agents = new Map<string, RowOf<"agents">>();
    for (const name of AGENTS) {
      const id = await spawn(context, name, null, workstream);
      const { db } = context.store;
      agents.set(name, await db.selectFrom("agents").selectAll().where("id", "=", id).executeTakeFirstOrThrow());
      if (shop) await createWorkspace(shop.crew, { workstream, name }, { projectRoot: shop.repository.root });
    }
    const setClock = (to: number) => {
      now = to;
    };
    const real = { context, workstream, setClock, agents, deliveries: [], ...(shop && { shop }) };
    return { model: newModel(START), real };
  }

  async function hold(commands: typeof claims, runs: number, lands: "lands" | "stays"): Promise<void> {
    await fc.assert(
      fc.asyncProperty(fc.commands(commands, { maxCommands: 30, size: "max" }), async (chosen) => {
        const setup = await open(lands);
        try {
          await fc.asyncModelRun(() => setup, chosen);
        } finally {
          await setup.real.shop?.end();
        }
      }),
      { numRuns: runs, seed },
    );
    await bench.context.store.read(async (db) => {
      expect((await verifyChains(db)).filter((chain) => !chain.ok)).toEqual([]);
      expect(await compareTables(db)).toEqual([]);
    });
  }

  it("with claims, leases and prompts", () => hold([...claims, ...deliveries], fewOf(12, 300), "stays"));

  it("with claims and what lands", () => hold([...claims, ...landings, ...landings], fewOf(2, 60), "lands"));
});

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { insertAgentIn, RUN_CLI } from "../../src/agents/agent.js";
import type { ModelUsage, Report } from "../../src/agents/clis/headless.js";
import { type RowOf, write } from "../../src/db/write.js";
import { billOf } from "../../src/runs/bill.js";
import { initWorkstream, workstreamRow } from "../../src/workstreams/workstream.js";
import { onEachDialect, temporaryFolder } from "../support/database.js";

const usage = (given: Partial<ModelUsage>): ModelUsage => ({
  ...{ model: "claude-sonnet-4-5", input: 0, output: 0, cacheRead: 0, cacheWrite5m: 0, cacheWrite1h: 0, costUsd: null },
  ...given,
});
const report = (given: Partial<Report>): Report => ({
  ...{ text: "ok", sessionRef: "s", usage: [], costUsd: null, counts: "run", productive: true },
  ...{ failure: null, reason: null, retryAt: null },
  ...given,
});
const run = (given: Partial<RowOf<"runs">> = {}) =>
  ({ id: 9, workstream_id: 1, model: null, ...given }) as RowOf<"runs">;

onEachDialect("the bill of a run", (bench) => {
  const bill = (reports: Report[], of = run(), options = {}, stateDir = "/nowhere") =>
    billOf({ context: bench.context, stateDir }, of, reports, options);

  it("is what its CLI says, over all turns, to the millionth", async () => {
    const turns = [report({ costUsd: 0.1 }), report({ costUsd: 0.2, usage: [usage({ input: 7, output: 3 })] })];
    expect(await bill(turns)).toMatchObject({
      cost_micros: 300_000,
      actual_micros: null,
      cost_basis: "cli",
      tokens_in: 7,
    });
    expect(await bill(turns, run(), { isBilled: true })).toMatchObject({ actual_micros: 300_000 });
  });

  it("counts a conversation's figures once that count on from turn to turn", async () => {
    const turns = [
      report({ costUsd: 0.1, usage: [usage({ input: 70, output: 30 })] }),
      report({ costUsd: 0.15, usage: [usage({ input: 90, output: 35 })], counts: "thread", sessionRef: "new" }),
    ];
    expect(await bill(turns)).toMatchObject({ cost_micros: 150_000, tokens_in: 90, tokens_out: 35 });
    const cutOff = report({});
    expect(await bill([...turns, cutOff])).toMatchObject({ cost_micros: 150_000, tokens_in: 90 });
  });

  it("is unknown, and not 0, where nothing is known or something is missing", async () => {
    expect(await bill([report({})])).toMatchObject({ cost_micros: null, cost_basis: null, tokens_in: null });
    const missing = report({ usage: [usage({ input: 5 })], partial: true });
    expect(await bill([missing])).toMatchObject({ cost_micros: null, tokens_in: 5 });
  });

  it("prices tokens by the user's table before the list, and the model that was asked for where none is named", async () => {
    const folder = temporaryFolder();
    const prices = { input: 2, output: 10, cache_write_5m: 3, cache_write_1h: 4, cache_read: 0.5 };
    const table = {
      updated_at: "2026-11-01",
      source: "mine",
      models: { "own-model": prices, other: prices, third: prices },
    };
    writeFileSync(join(folder.path, "pricing.json"), JSON.stringify(table));
    const turn = report({ usage: [usage({ model: "", input: 1_000_000, output: 100_000, cacheRead: 200_000 })] });
    const found = await bill([turn], run({ model: "own-model" }), {}, folder.path);
    expect(found).toMatchObject({ cost_micros: 3_100_000, cost_basis: "user table" });
    const unknown = await bill([turn], run({ model: "nobody-knows" }), {}, folder.path);
    expect(unknown.cost_basis).toBe("fallback");
    expect(unknown.cost_micros).toBeGreaterThan(0);
    folder.remove();
  });

  it("takes off a conversation's counters what its earlier runs were booked, unless they began anew", async () => {
    await initWorkstream(bench.context, "demo");
    const slot = await write(bench.context, { op: "run.settle", scope: "demo", subject: "demo/a" }, async (tx) => {
      const { id } = await workstreamRow(tx.db, "demo");
      const agent = await insertAgentIn(tx, { workstream_id: id, name: "code-1", cli: RUN_CLI });
      await tx.insert("runs", {
        ...{ workstream_id: id, agent_id: agent.id, agent: "code-1", task_id: 1, task: "a", claim_generation: 1 },
        ...{ role: "code", attempt: 1, cli: "codex", model: null, access: "full", writes: null, transport: "child" },
        ...{
          state: "done",
          day: "2026-11-30",
          reserved_micros: 0,
          cost_micros: 100_000,
          actual_micros: null,
          process: "1 1 x",
        },
        ...{ tokens_in: 100, tokens_out: 10, tokens_cache_read: 50, tokens_cache_write: 0, cost_basis: "price list" },
        ...{ session_ref: "thread", exit_code: 0, failure: null, reason: null, retry_at: null, verdict: null },
        ...{ answer: null, started_at: null, finished_at: tx.now },
      });
      return agent;
    });
    const next = run({ id: 0, workstream_id: slot.workstream_id, agent_id: slot.id });
    const turn = (input: number) =>
      report({ counts: "thread", sessionRef: "thread", usage: [usage({ input, output: 30, cacheRead: 80 })] });
    expect(await bill([turn(140)], next)).toMatchObject({ tokens_in: 40, tokens_out: 20, tokens_cache_read: 30 });
    expect(await bill([{ ...turn(140), costUsd: 0.125 }], next)).toMatchObject({
      cost_micros: 25_000,
      cost_basis: "cli",
    });
    expect(await bill([turn(60)], next)).toMatchObject({ tokens_in: 60, tokens_out: 30, tokens_cache_read: 80 });
  });
});

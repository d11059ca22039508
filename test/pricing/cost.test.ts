import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ModelUsage } from "../../src/agents/clis/headless.js";
import { costOf, pricesOf } from "../../src/pricing/cost.js";
import { type PriceTable, pricingAge } from "../../src/pricing/table.js";

const now = new Date("2026-11-30T12:00:00Z");
const prices = (input: number, output: number) => ({
  ...{ input, output, cache_write_5m: 2 * input, cache_write_1h: 3 * input, cache_read: input / 10 },
});
const table: PriceTable = {
  updated_at: "2026-11-01T00:00:00Z",
  source: "a contract",
  models: { acme: prices(1, 2), "acme-large": prices(10, 20), "acme-large-2": prices(20, 40) },
};
const used = (model: string, usage: Partial<ModelUsage> = {}): ModelUsage => ({
  ...{ model, input: 0, output: 0, cacheRead: 0, cacheWrite5m: 0, cacheWrite1h: 0, costUsd: null },
  ...usage,
});

describe("what usage costs", () => {
  it("is what the CLI says where it says it", async () => {
    const usage = [used("acme", { input: 1e6, costUsd: 0.2 }), used("acme", { costUsd: 0.000_000_4 })];
    expect(await costOf(usage, { table, now })).toEqual({ microUsd: 200_000, basis: "cli" });
  });

  it("is by the user's table first, each of the five kinds of tokens at its own price", async () => {
    const usage = [used("acme", { input: 1, output: 10, cacheRead: 100, cacheWrite5m: 1000, cacheWrite1h: 10_000 })];
    expect(await costOf(usage, { table, now })).toEqual({ microUsd: 1 + 20 + 10 + 2000 + 30_000, basis: "user table" });
  });

  it.each([
    ["acme-small", 1],
    ["acme-large-1", 10],
    ["acme-large-2-20261101", 20],
    ["vendor/acme-large", 10],
  ])("finds %s by the longest name that it begins with", async (model, input) => {
    expect(await pricesOf(model, { table, now })).toMatchObject({ prices: { input }, basis: "user table" });
  });

  it("is by the price list for models that it knows, with cached tokens at their own price", async () => {
    const usage = [
      used("claude-opus-4-1-20250805", { input: 1000, cacheRead: 1000, cacheWrite1h: 1000, output: 1000 }),
    ];
    expect(await costOf(usage, { table: null, now })).toEqual({
      microUsd: 15_000 + 1500 + 30_000 + 75_000,
      basis: "price list",
    });
  });

  it("is that of the dearest of its family for an unknown model, of all models for an unknown family", async () => {
    expect(await pricesOf("claude-nova-9", { table, now })).toMatchObject({ basis: "fallback" });
    const nova = await pricesOf("claude-nova-9", { table, now });
    for (const known of ["claude-opus-4-1", "claude-sonnet-4-5", "claude-haiku-4-5"]) {
      const { prices: its } = await pricesOf(known, { table, now });
      expect(nova.prices.output).toBeGreaterThanOrEqual(its.output);
    }
    const stranger = await pricesOf("qqq", { table, now });
    expect(stranger.basis).toBe("fallback");
    expect(stranger.prices.output).toBeGreaterThanOrEqual(nova.prices.output);
    expect((await costOf([used("acme", { input: 1 }), used("qqq", { input: 1 })], { table, now })).basis).toBe(
      "fallback",
    );
  });

  it("is never 0 for tokens, and a whole number", async () => {
    const count = fc.nat({ max: 1e9 });
    const any = fc.record({
      ...{ model: fc.oneof(fc.string(), fc.constantFrom("claude-opus-4-1", "gpt-5", "acme", "gemini-2.5-pro")) },
      ...{ input: count, output: count, cacheRead: count, cacheWrite5m: count, cacheWrite1h: count },
      costUsd: fc.constant(null),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(any, { minLength: 1, maxLength: 3 }), async (usage) => {
        const { microUsd } = await costOf(usage, { table, now });
        const tokens = usage.reduce(
          (sum, one) => sum + one.input + one.output + one.cacheRead + one.cacheWrite5m + one.cacheWrite1h,
          0,
        );
        expect(Number.isSafeInteger(microUsd)).toBe(true);
        expect(microUsd > 0).toBe(tokens > 0);
      }),
    );
  });
});

describe("the age of prices", () => {
  it.each([
    ["2026-11-29T12:00:00Z", { days: 1, stale: false }],
    ["2026-09-01T12:00:00Z", { days: 90, stale: false }],
    ["2026-08-22T12:00:00Z", { days: 100, stale: true }],
    ["2027-01-01T00:00:00Z", { days: 0, stale: false }],
    [null, { days: null, stale: true }],
    ["soon", { days: null, stale: true }],
  ])("from %s", (updated_at, age) => {
    expect(pricingAge({ updated_at }, now)).toEqual(age);
  });
});

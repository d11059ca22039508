import type { ModelUsage } from "../agents/clis/headless.js";
import { allListed, listedPrices } from "./list.js";
import { longestPrefix, type Prices, type PriceTable } from "./table.js";

/** Where a figure comes from, from the surest on. `fallback`: the dearest price known of such a model. */
export const BASES = ["cli", "user table", "price list", "fallback"] as const;
export type Basis = (typeof BASES)[number];

export interface PriceSources {
  /** The user's own prices. */
  table: PriceTable | null;
  now: Date;
}

/** What this cost together, in whole millionths of a dollar, never 0 for what was used, and the least sure of its bases. */
export async function costOf(
  usage: readonly ModelUsage[],
  sources: PriceSources,
): Promise<{ microUsd: number; basis: Basis }> {
  let micros = 0;
  let basis: Basis = "cli";
  for (const used of usage) {
    const { usd, from } = await costOfOne(used, sources);
    micros += usd * 1_000_000;
    if (BASES.indexOf(from) > BASES.indexOf(basis)) basis = from;
  }
  return { microUsd: micros > 0 ? Math.max(1, Math.round(micros)) : 0, basis };
}

async function costOfOne(used: ModelUsage, sources: PriceSources): Promise<{ usd: number; from: Basis }> {
  if (used.costUsd !== null) return { usd: used.costUsd, from: "cli" };
  const { prices, basis } = await pricesOf(used.model, sources);
  const perMillion =
    used.input * prices.input +
    used.output * prices.output +
    used.cacheRead * prices.cache_read +
    used.cacheWrite5m * prices.cache_write_5m +
    used.cacheWrite1h * prices.cache_write_1h;
  return { usd: perMillion / 1_000_000, from: basis };
}

/** What a model costs: by the user's table, else by the list, else the dearest of its family, else of all. */
export async function pricesOf(
  model: string,
  { table, now }: PriceSources,
): Promise<{ prices: Prices; basis: Exclude<Basis, "cli"> }> {
  // Some CLIs put the provider before the name.
  for (const name of new Set([model, model.slice(model.lastIndexOf("/") + 1)])) {
    const own = longestPrefix(table?.models ?? {}, name);
    if (own !== undefined) return { prices: own, basis: "user table" };
    const listed = await listedPrices(name, now);
    if (listed !== undefined) return { prices: listed, basis: "price list" };
  }
  const known = { ...(await allListed(now)), ...table?.models };
  return { prices: dearestLike(model.slice(model.lastIndexOf("/") + 1), known), basis: "fallback" };
}

/** Of the models whose names share the most first words with this one, the dearest; of all if none does. */
function dearestLike(model: string, known: PriceTable["models"]): Prices {
  const words = wordsOf(model);
  const shared = (name: string) => {
    const other = wordsOf(name);
    const apart = words.findIndex((word, at) => word !== other[at]);
    return apart < 0 ? words.length : apart;
  };
  const all = Object.entries(known).map(([name, prices]) => ({ prices, near: shared(name) }));
  const nearest = all.reduce((most, { near }) => Math.max(most, near), 0);
  const family = all.filter(({ near }) => near === nearest).map(({ prices }) => prices);
  return family.reduce((a, b) => (b.input + b.output > a.input + a.output ? b : a));
}

const wordsOf = (name: string) => name.toLowerCase().split(/[^a-z0-9]+/);

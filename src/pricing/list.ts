import type { ModelPrice } from "@pydantic/genai-prices";
import { isObject } from "../shape.js";
import type { Prices, PriceTable } from "./table.js";

/** Where the newest price list is. */
export const LIST_URL = "https://raw.githubusercontent.com/pydantic/genai-prices/main/prices/new_data/v2/data.json";
/** Whose models the five agent CLIs are used with. */
const PROVIDERS = ["anthropic", "openai", "google", "x-ai", "deepseek", "mistral", "moonshotai"];

const priceList = () => import("@pydantic/genai-prices");

/** What a model costs by the price list that mu comes with; undefined where it does not know it. */
export async function listedPrices(model: string, now: Date): Promise<Prices | undefined> {
  const { calcPrice } = await priceList();
  const found = calcPrice({ input_tokens: 1 }, model, { timestamp: now });
  return found === null ? undefined : pricesIn(found.model_price);
}

/** All models of the list that take and give text. */
export async function allListed(now: Date): Promise<PriceTable["models"]> {
  const { findProvider, calcPrice } = await priceList();
  const models = PROVIDERS.flatMap((providerId) =>
    (findProvider({ providerId })?.models ?? []).flatMap(({ id }) => {
      const found = calcPrice({ input_tokens: 1 }, id, { providerId, timestamp: now });
      const prices = found === null ? undefined : pricesIn(found.model_price);
      return prices === undefined ? [] : [[id, prices] as const];
    }),
  );
  return Object.fromEntries(models);
}

/** A price list in the package's own format as a table; undefined if it is no such list. */
export function tableFromList(value: unknown, source: string, now: Date): PriceTable | undefined {
  const providers = Array.isArray(value) ? value : isObject(value) ? value["providers"] : undefined;
  if (!Array.isArray(providers)) return undefined;
  const models = providers.filter((provider) => isObject(provider) && PROVIDERS.includes(String(provider["id"])));
  const rows = models.flatMap(({ models }: { models?: unknown }) =>
    (Array.isArray(models) ? models : []).flatMap((model: { id?: unknown; prices?: unknown }) => {
      const current = Array.isArray(model.prices) ? model.prices.at(-1)?.prices : model.prices;
      const prices = isObject(current) ? pricesIn(current as ModelPrice) : undefined;
      return typeof model.id !== "string" || prices === undefined ? [] : [[model.id, prices] as const];
    }),
  );
  return { updated_at: now.toISOString(), source, models: Object.fromEntries(rows) };
}

/**
 * The five prices of an entry. Where a price depends on the length of one request the lower one counts: how long each
 * was is not known. A missing price of the cache is that of input.
 */
function pricesIn(price: ModelPrice): Prices | undefined {
  const of = (name: string) => {
    const found = price[name];
    return typeof found === "object" ? found.base : found;
  };
  const input = of("input_mtok");
  const output = of("output_mtok");
  if (!input || !output || input < 0 || output < input) return undefined;
  const written = of("cache_write_5m_mtok") || of("cache_write_mtok") || input;
  return {
    input,
    output,
    cache_write_5m: written,
    cache_write_1h: of("cache_write_1h_mtok") || written,
    cache_read: of("cache_read_mtok") || input,
  };
}

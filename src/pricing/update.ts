import { parsed } from "../agents/clis/results.js";
import { Fault } from "../errors.js";
import { shellWord } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { LIST_URL, listedPrices, tableFromList } from "./list.js";
import { badTable, PRICES, type PriceTable, parsePriceTable, readPriceTable, writePriceTable } from "./table.js";

/** A price that differs; null where there is none. */
export const PRICE_CHANGE = shape({
  model: "string",
  price: "string",
  before: "number | null",
  after: "number | null",
});
export type PriceChange = TypeOf<typeof PRICE_CHANGE>;

export interface UpdateOptions {
  /** An http address or a file; by default the list that mu's own comes from. */
  from?: string | undefined;
  dryRun: boolean;
  force: boolean;
  now: Date;
  signal: AbortSignal;
  readFile(path: string): Promise<string>;
}

const TIMEOUT_MS = 20_000;
const MOST_BYTES = 20_000_000;
/** A price that changes more than this is rather a mistake. */
const MOST_TIMES = 10;

/**
 * Fetches prices, checks them and keeps them as the user's own, or changes nothing. Faults `pricing.unreachable`
 * (unavailable), `pricing.bad_table` and, without `force`, `pricing.suspicious` (both negative).
 */
export async function updatePrices(
  stateDir: string,
  options: UpdateOptions,
): Promise<{ table: PriceTable; changes: PriceChange[]; written: boolean }> {
  const { from = LIST_URL, now, dryRun, force } = options;
  const text = /^https?:\/\//.test(from) ? await download(from, options.signal) : await options.readFile(from);
  const table = tableIn(text, from, now);
  const { table: old } = await readPriceTable(stateDir);
  const changes = changesBetween(old?.models ?? {}, table.models);
  if (!force) await refuseSuspicious(old, table, options);
  const isNew = changes.length > 0 || table.updated_at !== old?.updated_at;
  const written = isNew && !dryRun;
  if (written) await writePriceTable(stateDir, table);
  return { table, changes, written };
}

function tableIn(text: string, from: string, now: Date): PriceTable {
  const value = parsed(text);
  if (value === undefined) throw badTable(from, ["it is no JSON"]);
  const converted = tableFromList(value, from, now);
  return parsePriceTable(converted === undefined ? text : JSON.stringify(converted), from);
}

async function download(url: string, signal: AbortSignal): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const part of response.body ?? []) {
      parts.push(part);
      bytes += part.length;
      if (bytes > MOST_BYTES) throw new Error(`it is larger than ${MOST_BYTES} bytes`);
    }
    return Buffer.concat(parts).toString("utf8");
  } catch (error) {
    const { message, cause } = error as Error;
    const why = cause instanceof Error ? cause.message : message;
    throw new Fault(
      "unavailable",
      "pricing.unreachable",
      `The prices could not be fetched from ${url} (${why}). Nothing was changed.`,
      [{ intent: "Take them from a file", command: "mu pricing update --from <file>" }],
    );
  }
}

function changesBetween(before: PriceTable["models"], after: PriceTable["models"]): PriceChange[] {
  const models = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return models.flatMap((model) =>
    PRICES.map((price) => ({
      model,
      price,
      before: before[model]?.[price] ?? null,
      after: after[model]?.[price] ?? null,
    })).filter((change) => change.before !== change.after),
  );
}

async function refuseSuspicious(
  old: PriceTable | null,
  { models }: PriceTable,
  { from = LIST_URL, now }: UpdateOptions,
) {
  const problems = Object.keys(old?.models ?? {}).flatMap((model) => (models[model] ? [] : [`${model} is missing`]));
  for (const [model, prices] of Object.entries(models)) {
    const own = old?.models[model];
    const known = own ?? (await listedPrices(model, now)) ?? prices;
    // The list lacks many prices of caches, and has that of input instead.
    for (const price of own === undefined ? (["input", "output"] as const) : PRICES) {
      const times = prices[price] / known[price];
      if (times > MOST_TIMES || times < 1 / MOST_TIMES) {
        problems.push(`${model}.${price} changes from ${known[price]} to ${prices[price]}`);
      }
    }
  }
  if (problems.length === 0) return;
  const message = `The new prices look wrong: ${problems.slice(0, 10).join("; ")}. Nothing was changed.`;
  throw new Fault(
    "negative",
    "pricing.suspicious",
    message,
    [
      {
        intent: "Take them all the same",
        command: `mu pricing update --from ${shellWord(from)} --force`,
      },
    ],
    { problems },
  );
}

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parsed } from "../agents/clis/results.js";
import { Fault } from "../errors.js";
import { isObject } from "../shape.js";
import { writeWhole } from "../whole-file.js";

/** What a model costs, in USD per million tokens. */
export const PRICES = ["input", "output", "cache_write_5m", "cache_write_1h", "cache_read"] as const;
export type Prices = Readonly<Record<(typeof PRICES)[number], number>>;

/** A price table as its file has it. A name of a model also stands for all longer ones that no other name fits better. */
export interface PriceTable {
  /** ISO 8601; null where it is missing or no date. */
  updated_at: string | null;
  source: string;
  models: Readonly<Record<string, Prices>>;
}

const FEWEST_MODELS = 3;
const DAY_MS = 86_400_000;
const STALE_DAYS = 90;

/** The file of the user's own prices. */
export const pricingPath = (stateDir: string) => join(stateDir, "pricing.json");

/** The user's own prices; null if there are none. A file that is damaged counts as none, and `problem` says why. */
export async function readPriceTable(stateDir: string): Promise<{ table: PriceTable | null; problem: string | null }> {
  const path = pricingPath(stateDir);
  try {
    return { table: parsePriceTable(await readFile(path, "utf8"), path), problem: null };
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    return { table: null, problem: isMissing ? null : `${path}: ${(error as Error).message}` };
  }
}

/** Writes them whole. */
export async function writePriceTable(stateDir: string, table: PriceTable): Promise<void> {
  await writeWhole(pricingPath(stateDir), `${JSON.stringify(table, null, 2)}\n`, 0o644);
}

/** A price table from its text. Faults `pricing.bad_table` (negative) with all that is wrong. */
export function parsePriceTable(text: string, from: string): PriceTable {
  const found = parsed(text);
  if (!isObject(found) || !isObject(found["models"])) throw badTable(from, ['it is no JSON object with "models"']);
  const { updated_at, source } = found;
  const models = Object.entries(found["models"]);
  const problems = models.flatMap(([model, prices]) => problemsOf(model, prices));
  if (models.length < FEWEST_MODELS) problems.push(`it has ${models.length} models, fewer than ${FEWEST_MODELS}`);
  if (problems.length > 0) throw badTable(from, problems);
  const rows = models.map(([model, prices]) => [model, onlyPrices(prices as Prices)] as const);
  const isDate = typeof updated_at === "string" && Number.isFinite(Date.parse(updated_at));
  return {
    updated_at: isDate ? updated_at : null,
    source: typeof source === "string" ? source : from,
    models: Object.fromEntries(rows),
  };
}

const onlyPrices = (prices: Prices) => Object.fromEntries(PRICES.map((name) => [name, prices[name]])) as Prices;

function problemsOf(model: string, prices: unknown): string[] {
  if (!isObject(prices)) return [`${model} has no prices`];
  const isPrice = (value: unknown) => typeof value === "number" && Number.isFinite(value) && value > 0;
  const wrong = PRICES.filter((name) => !isPrice(prices[name])).map((name) => `${model}.${name} is no price above 0`);
  if (wrong.length > 0) return wrong;
  return Number(prices["output"]) < Number(prices["input"]) ? [`${model}: output costs less than input`] : [];
}

const SHOWN = 10;

export function badTable(from: string, problems: readonly string[]): Fault {
  const more = problems.length > SHOWN ? `; and ${problems.length - SHOWN} more` : "";
  const message = `The prices from ${from} are not usable: ${problems.slice(0, SHOWN).join("; ")}${more}. Nothing was changed.`;
  return new Fault("negative", "pricing.bad_table", message, [], { problems });
}

/** How old a table is, in whole days. Without a date it is stale; a date in the future is fresh. */
export function pricingAge(
  { updated_at }: Pick<PriceTable, "updated_at">,
  now: Date,
): { days: number | null; stale: boolean } {
  const at = updated_at === null ? Number.NaN : Date.parse(updated_at);
  if (!Number.isFinite(at)) return { days: null, stale: true };
  const days = Math.max(0, Math.floor((now.getTime() - at) / DAY_MS));
  return { days, stale: now.getTime() - at > STALE_DAYS * DAY_MS };
}

/** The entry of the longest name that the model's name begins with. */
export function longestPrefix(models: PriceTable["models"], model: string): Prices | undefined {
  const names = Object.keys(models).filter((name) => name !== "" && model.startsWith(name));
  const name = names.sort((a, b) => b.length - a.length)[0];
  return name === undefined ? undefined : models[name];
}

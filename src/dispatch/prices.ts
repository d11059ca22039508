import type { Host } from "../host.js";
import { pricingAge, readPriceTable } from "../pricing/table.js";

/** That the user's own prices are old or damaged; null if they are not, or if there are none. */
export async function stalePrices({ stateDir, context }: Host): Promise<string | null> {
  const { table, problem } = await readPriceTable(stateDir);
  if (table === null) return problem === null ? null : `The price table cannot be read. ${problem}`;
  const { days, stale } = pricingAge(table, context.clock.now());
  if (!stale) return null;
  return `The price table ${days === null ? "has no valid date" : `is ${days} days old`}. Update it: \`mu pricing update\``;
}

import { resolve } from "node:path";
import * as z from "zod";
import { counted, shellWord } from "../names.js";
import { stateFolder } from "../paths.js";
import { pricesOf } from "../pricing/cost.js";
import { allListed } from "../pricing/list.js";
import { type Prices, pricingAge, pricingPath, readPriceTable } from "../pricing/table.js";
import { PRICE_CHANGE, updatePrices } from "../pricing/update.js";
import { defineOperation, listOf, shape, step } from "./define.js";
import { field, flag, optionalText } from "./fields.js";

const ROW = shape({
  model: "string",
  input: "number",
  output: "number",
  cacheWrite5m: "number",
  cacheWrite1h: "number",
  cacheRead: "number",
  basis: ["user table", "price list", "fallback"],
});

const rowOf = <B>(model: string, prices: Prices, basis: B) => ({
  model,
  input: prices.input,
  output: prices.output,
  cacheWrite5m: prices.cache_write_5m,
  cacheWrite1h: prices.cache_write_1h,
  cacheRead: prices.cache_read,
  basis,
});

export const pricingShow = defineOperation({
  name: "pricing.show",
  summary: "Show what models cost, in USD per million tokens",
  description:
    "Your own prices, in pricing.json of mu's state folder, come before the price list that mu ships. A model that neither knows costs as much as the most expensive one of its family.",
  effect: "read",
  standalone: true,
  input: () => ({ model: field(z.string().min(1).max(200).optional(), "Model, as the agent CLI names it") }),
  output: { ...listOf(ROW), path: "string", updatedAt: "string | null", stale: "boolean", problem: "string | null" },
  positional: ["model"],
  examples: [
    { command: "mu pricing show claude-sonnet-4-5", shows: "the prices that a run with it is charged" },
    { command: "mu pricing show --all", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run({ request, context: { clock } }, { model }) {
    const stateDir = stateFolder(request.env);
    const now = clock.now();
    const { table, problem } = await readPriceTable(stateDir);
    const all = async () => {
      const own = table?.models ?? {};
      const listed = Object.entries({ ...(await allListed(now)), ...own });
      return listed.map(([name, prices]) => rowOf(name, prices, name in own ? "user table" : "price list"));
    };
    const one = async (name: string) => {
      const { prices, basis } = await pricesOf(name, { table, now });
      return [rowOf(name, prices, basis)];
    };
    const items = (await (model === undefined ? all() : one(model))) as (ReturnType<typeof rowOf> & {
      basis: "user table" | "price list" | "fallback";
    })[];
    return {
      items,
      count: items.length,
      path: pricingPath(stateDir),
      updatedAt: table?.updated_at ?? null,
      stale: table !== null && pricingAge(table, now).stale,
      problem,
    };
  },
  next: ({ stale }) => (stale ? [step("Update the prices", "mu pricing update")] : []),
  render: ({ items, stale, problem }, paint) => [
    problem !== null && `Not read: ${problem}`,
    stale && "The prices are older than 90 days.",
    paint.table(items, [
      { head: "model", text: (row) => row.model, max: 28 },
      { head: "in", text: (row) => `${row.input}`, align: "right" },
      { head: "out", text: (row) => `${row.output}`, align: "right" },
      { head: "w 5m", text: (row) => `${row.cacheWrite5m}`, align: "right" },
      { head: "w 1h", text: (row) => `${row.cacheWrite1h}`, align: "right" },
      { head: "read", text: (row) => `${row.cacheRead}`, align: "right" },
      { head: "from", text: (row) => row.basis },
    ]),
  ],
});

export const pricingUpdate = defineOperation({
  name: "pricing.update",
  summary: "Fetch model prices and keep them as your own",
  description:
    "Takes a price table, or a list in the format of genai-prices. A table with missing or impossible prices is refused, and so is one that lacks a model or changes a price more than tenfold, unless --force is given. Exits 5 if it cannot be fetched and 1 if it is refused; the old prices stay.",
  effect: "write",
  journalled: false,
  standalone: true,
  outward: true,
  input: () => ({
    from: optionalText("Address or file to take them from", { value: "url|file" }),
    dryRun: flag("Only show what would change"),
    force: flag("Accept missing models and large changes"),
  }),
  output: {
    changes: [PRICE_CHANGE],
    models: "number",
    updatedAt: "string | null",
    source: "string",
    path: "string",
    written: "boolean",
  },
  examples: [
    { command: "mu pricing update --from prices.json --dry-run", shows: "which prices would change" },
    { command: "mu pricing update --from prices.json", shows: "prices of your own" },
    { command: "mu pricing update --form prices.json", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run({ request, context: { clock } }, { from, dryRun, force }) {
    const { env, signal } = request;
    const stateDir = stateFolder(env);
    const { table, changes, written } = await updatePrices(stateDir, {
      ...{ dryRun, force, signal, now: clock.now(), from: from ?? env["MU_PRICING_URL"] },
      readFile: (path) => request.readFile(resolve(request.cwd, path)),
    });
    const { updated_at: updatedAt, source, models } = table;
    return { changes, models: Object.keys(models).length, updatedAt, source, path: pricingPath(stateDir), written };
  },
  next({ changes, written }, { dryRun, from }) {
    const source = from === undefined ? [] : ["--from", shellWord(from)];
    const keep = ["mu pricing update", ...source].join(" ");
    return dryRun && !written && changes.length > 0 ? [step("Keep them", keep)] : [];
  },
  render: ({ changes, models, source, path, written }, paint) => [
    changes.length === 0 && "No changes.",
    changes.length > 0 &&
      paint.table(changes, [
        { head: "model", text: (change) => change.model, max: 34 },
        { head: "price", text: (change) => change.price },
        { head: "before", text: ({ before }) => `${before ?? "—"}`, align: "right" },
        { head: "after", text: ({ after }) => `${after ?? "—"}`, align: "right" },
      ]),
    written ? `Wrote the prices of ${counted(models, "model")} from ${source} to ${path}.` : "Nothing was written.",
  ],
});

import { sql } from "kysely";
import type { Report } from "../agents/clis/headless.js";
import type { Reader } from "../db/schema.js";
import type { RowOf } from "../db/write.js";
import type { Host } from "../host.js";
import { MICROS } from "./run.js";

/** What a run used and what that costs, as columns of its row. */
export type Bill = Pick<RowOf<"runs">, keyof typeof NOTHING>;

type Billed = Pick<RowOf<"runs">, "id" | "workstream_id" | "model">;

const NOTHING = {
  ...{ cost_micros: null, actual_micros: null, cost_basis: null },
  ...{ tokens_in: null, tokens_out: null, tokens_cache_read: null, tokens_cache_write: null },
};
export const NO_BILL: Bill = NOTHING;

const TOKENS = ["tokens_in", "tokens_out", "tokens_cache_read", "tokens_cache_write"] as const;
type Tokens = Record<(typeof TOKENS)[number], number>;
const FIGURES = [...TOKENS, "cost_micros"] as const;
type Figures = Tokens & { cost_micros: number };

/**
 * The bill of a run, of all its turns. A figure that counts on over a conversation is reduced by what earlier runs of it
 * were booked. What the CLI says that it cost counts; else its tokens are priced. What is unknown is null, never 0.
 * `isBilled`: what the CLI says is what the vendor bills.
 */
export async function billOf(
  { context, stateDir }: Pick<Host, "context" | "stateDir">,
  run: Billed,
  reports: readonly Report[],
  { isBilled = false }: { isBilled?: boolean } = {},
): Promise<Bill> {
  const counted = countedTurns(reports);
  const last = counted.at(-1);
  if (last === undefined) return NO_BILL;
  const isThread = last.counts === "thread";
  let figures: Figures = { ...total(counted), cost_micros: Math.round(sumOf(counted) * MICROS) };
  if (isThread && last.sessionRef !== null) {
    figures = without(figures, await bookedFor(context.store.db, run, last.sessionRef));
  }
  const { cost_micros, ...tokens } = figures;
  const used = counted.some(({ usage }) => usage.length > 0);
  const said = counted.every(({ costUsd }) => costUsd !== null) ? cost_micros : null;
  const bill = { ...NO_BILL, ...(used && tokens) };
  if (said !== null) return { ...bill, cost_micros: said, actual_micros: isBilled ? said : null, cost_basis: "cli" };
  if (!used || counted.some(({ partial }) => partial)) return bill;
  const { microUsd, basis } = await priced({ context, stateDir }, run, isThread ? [asUsage(tokens, last)] : counted);
  return { ...bill, cost_micros: microUsd, cost_basis: basis };
}

/** The turns whose figures make up those of all: the last one where they count on. */
function countedTurns(reports: readonly Report[]): readonly Report[] {
  const turns = reports.filter(({ usage, costUsd }) => usage.length > 0 || costUsd !== null);
  return turns.at(-1)?.counts === "thread" ? turns.slice(-1) : turns;
}

const sumOf = (reports: readonly Report[]) => reports.reduce((sum, { costUsd }) => sum + (costUsd ?? 0), 0);

type Priced = Pick<Report, "usage" | "costUsd">;

/** Prices are loaded only where a CLI says no cost. */
async function priced({ context, stateDir }: Pick<Host, "context" | "stateDir">, run: Billed, of: readonly Priced[]) {
  const [{ costOf }, { readPriceTable }] = await Promise.all([
    import("../pricing/cost.js"),
    import("../pricing/table.js"),
  ]);
  const { table } = await readPriceTable(stateDir);
  const usage = of.flatMap((one) => one.usage).map((one) => ({ ...one, model: one.model || (run.model ?? "") }));
  return costOf(usage, { table, now: context.clock.now() });
}

/** What a conversation used since its last run, as usage of its model. */
function asUsage(tokens: Tokens, { usage }: Report): Priced {
  const [first] = usage;
  const one = { input: tokens.tokens_in, output: tokens.tokens_out, cacheRead: tokens.tokens_cache_read };
  const model = first?.model ?? "";
  return {
    costUsd: null,
    usage: [{ ...one, model, cacheWrite5m: tokens.tokens_cache_write, cacheWrite1h: 0, costUsd: null }],
  };
}

function total(reports: readonly Report[]): Tokens {
  const sum: Tokens = { tokens_in: 0, tokens_out: 0, tokens_cache_read: 0, tokens_cache_write: 0 };
  for (const one of reports.flatMap(({ usage }) => usage)) {
    sum.tokens_in += one.input;
    sum.tokens_out += one.output;
    sum.tokens_cache_read += one.cacheRead;
    sum.tokens_cache_write += one.cacheWrite5m + one.cacheWrite1h;
  }
  return sum;
}

/** A counter that is below what was booked has begun anew. */
function without(now: Figures, before: Figures): Figures {
  const goesOn = TOKENS.every((column) => now[column] >= before[column]);
  const rest = () => FIGURES.map((column) => [column, Math.max(0, now[column] - before[column])]);
  return goesOn ? (Object.fromEntries(rest()) as Figures) : now;
}

async function bookedFor(db: Reader, { id, workstream_id }: Billed, sessionRef: string): Promise<Figures> {
  const row = await db
    .selectFrom("runs")
    .select(FIGURES.map((column) => sql<number>`coalesce(sum(${sql.ref(column)}), 0)`.as(column)))
    .where("workstream_id", "=", workstream_id)
    .where("session_ref", "=", sessionRef)
    .where("id", "<>", id)
    .executeTakeFirstOrThrow();
  return Object.fromEntries(FIGURES.map((column) => [column, Number(row[column])])) as Figures;
}

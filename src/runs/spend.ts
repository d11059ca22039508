import { type RawBuilder, sql } from "kysely";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import type { RowOf } from "../db/write.js";
import { MICROS, micros } from "./run.js";

/** What the runs of one role cost on one day, in millionths of a dollar. */
export interface Spend {
  role: string;
  /** Of finished runs; where the cost is unknown, the reservation. */
  settled: number;
  /** Of active runs. */
  reserved: number;
  runs: number;
  /** Of `settled`, what agents in panes used, as far as that is known. */
  panes: number;
  /** Agents in panes whose cost is not known. */
  unknown: number;
}

const selectSpend = statement((db, { workstreamId, day }: { workstreamId: number; day: string }) =>
  db
    .selectFrom("runs")
    .select([
      "role",
      sql<number>`sum(case when finished_at is null then 0 else coalesce(cost_micros, reserved_micros) end)`.as(
        "settled",
      ),
      sql<number>`sum(case when finished_at is null then reserved_micros else 0 end)`.as("reserved"),
      sql<number>`count(*)`.as("runs"),
      sql<number>`sum(case when transport = 'interactive' then coalesce(cost_micros, 0) else 0 end)`.as("panes"),
      sql<number>`sum(case when transport = 'interactive' and cost_micros is null then 1 else 0 end)`.as("unknown"),
    ])
    .where("workstream_id", "=", workstreamId)
    .where("day", "=", day)
    .groupBy("role")
    .orderBy("role"),
);

/** The spend of every role of a workstream, by row id, on a UTC day. */
export async function spendOfDay(db: Reader, workstreamId: number, day: string): Promise<Spend[]> {
  const rows = await selectSpend(db, { workstreamId, day });
  return rows.map(({ role, settled, reserved, runs, panes, unknown }) => ({
    role,
    settled: Number(settled),
    reserved: Number(reserved),
    runs: Number(runs),
    panes: Number(panes),
    unknown: Number(unknown),
  }));
}

/** What its role's cap and the project's ceiling (USD) leave a run of its day, in millionths; no entry where there is none. */
export async function leftOfDay(
  db: Reader,
  { workstream_id, day, role }: Pick<RowOf<"runs">, "workstream_id" | "day" | "role">,
  { cap, ceiling }: { cap: number | null; ceiling: number | null },
): Promise<number[]> {
  const spend = await spendOfDay(db, workstream_id, day);
  const left = (limit: number | null, of: readonly Spend[]) =>
    limit === null ? [] : [of.reduce((rest, { settled, reserved }) => rest - settled - reserved, micros(limit))];
  return [
    ...left(
      cap,
      spend.filter((one) => one.role === role),
    ),
    ...left(ceiling, spend),
  ];
}

/** The UTC day of a moment. */
export const dayOf = (moment: string) => moment.slice(0, 10);

/** How near to a cap what is spent and reserved has come; `soft`: over the ratio, `hit`: nothing more starts. Amounts in USD. */
export function capState(usedUsd: number, capUsd: number | null, softRatio: number): "ok" | "soft" | "hit" {
  if (capUsd === null || usedUsd < capUsd * softRatio) return "ok";
  return usedUsd < capUsd ? "soft" : "hit";
}

/** What all runs of the task `id` come to, in millionths of a dollar: those that are active count as reserved. */
export const spentOn = (id: RawBuilder<number>) =>
  sql<number>`(select coalesce(sum(case when finished_at is null then reserved_micros
    else coalesce(cost_micros, reserved_micros) end), 0) from runs where task_id = ${id})`;

/** What is spent on a task, how many runs that was, and what its budget leaves, in millionths; null without a budget. */
export async function spentOnTask(
  db: Reader,
  id: number,
): Promise<{ spent: number; runs: number; left: number | null }> {
  const row = await db
    .selectFrom("tasks as t")
    .select(["t.budget_usd", spentOn(sql.ref("t.id")).as("spent")])
    .select(sql<number>`(select count(*) from runs where task_id = t.id)`.as("runs"))
    .where("t.id", "=", id)
    .executeTakeFirst();
  const spent = Number(row?.spent ?? 0);
  const left = row?.budget_usd == null ? null : micros(row.budget_usd) - spent;
  return { spent, runs: Number(row?.runs ?? 0), left };
}

/**
 * What each agent's runs of a UTC day cost so far, in USD, by the agent's name; null where the cost of one is unknown.
 * \`booked\` counts what such a run has reserved, as the budget does.
 */
export async function spendOfAgents(
  db: Reader,
  workstreamId: number,
  day: string,
): Promise<Map<string, { usd: number | null; booked: number }>> {
  const rows = await db
    .selectFrom("runs")
    .select(["agent", sql<number>`sum(cost_micros)`.as("micros")])
    .select(
      sql<number>`sum(case when finished_at is null then 0 else coalesce(cost_micros, reserved_micros) end)`.as(
        "booked",
      ),
    )
    .select(sql<number>`sum(case when finished_at is not null and cost_micros is null then 1 else 0 end)`.as("unknown"))
    .where("workstream_id", "=", workstreamId)
    .where("day", "=", day)
    .groupBy("agent")
    .execute();
  return new Map(
    rows.map(({ agent, micros, booked, unknown }) => {
      const usd = Number(unknown) > 0 ? null : Number(micros ?? 0) / MICROS;
      return [agent, { usd, booked: Number(booked) / MICROS }];
    }),
  );
}

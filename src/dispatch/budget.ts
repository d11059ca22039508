import { type Context, timestamp } from "../db/context.js";
import { MICROS } from "../runs/run.js";
import { capState, dayOf, type Spend, spendOfDay } from "../runs/spend.js";
import { shape, type TypeOf } from "../shape.js";
import type { Scene } from "./facts.js";
import { PROJECT, selectNotices } from "./notices.js";

/** What a role, or the project, has used of its cap. */
export const LINE = {
  role: "string",
  settledUsd: "number",
  reservedUsd: "number",
  /** Null for no cap. */
  capUsd: "number | null",
  runs: "number",
  /** Of these runs, agents in panes whose cost nobody knows; it counts as 0 here. */
  unknown: "number",
  /** Of `settledUsd`, what agents in panes used, as far as that can be told. */
  panesUsd: "number",
  /** `soft`: over the soft cap; `hit`: nothing more starts today. */
  state: ["ok", "soft", "hit"],
  /** When the soft cap was crossed, and when the first run was refused, on that day. */
  softAt: "string | null",
  refusedAt: "string | null",
  /** When what its runs had cost was first seen to be over the cap; what they did is kept. */
  breachedAt: "string | null",
} as const;

/** A UTC day's money: a line for each role of the settings or of the day's runs, and one for the project. */
export const BUDGET = shape({ day: "string", roles: [LINE], project: LINE });

export type Budget = TypeOf<typeof BUDGET>;
export type BudgetLine = Budget["project"];

/** What was spent and reserved on a UTC day, `2026-01-31`, beside the caps, in USD; today without `day`. */
export async function readBudget(
  context: Context,
  { settings, workstream }: Scene,
  day = dayOf(timestamp(context.clock)),
): Promise<Budget> {
  const { db } = context.store;
  const spend = await spendOfDay(db, workstream.id, day);
  const notices = await selectNotices(db, workstream.id, day);
  const noticed = (role: string, kind: string) =>
    notices.find((one) => one.role === role && one.kind === kind)?.created_at ?? null;
  const line = (role: string, capUsd: number | null, of: readonly Spend[], as = role): BudgetLine => {
    const sum = (key: Exclude<keyof Spend, "role">) => of.reduce((total, one) => total + one[key], 0);
    const [settledUsd, reservedUsd] = [sum("settled") / MICROS, sum("reserved") / MICROS];
    const state = capState((sum("settled") + sum("reserved")) / MICROS, capUsd, settings.budget.softCapRatio);
    const panes = { unknown: sum("unknown"), panesUsd: sum("panes") / MICROS };
    const seen = {
      softAt: noticed(as, "soft"),
      refusedAt: noticed(as, "refused"),
      breachedAt: noticed(as, "breached"),
    };
    return { role, settledUsd, reservedUsd, capUsd, runs: sum("runs"), ...panes, state, ...seen };
  };
  const names = [...new Set([...Object.keys(settings.roles), ...spend.map(({ role }) => role)])].sort();
  const ofRole = (name: string) => spend.filter(({ role }) => role === name);
  const roles = names.map((name) => line(name, settings.roles[name]?.dailyCapUsd ?? null, ofRole(name)));
  return { day, roles, project: line("project", settings.budget.projectCeilingUsd, spend, PROJECT) };
}

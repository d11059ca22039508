import type { Reader } from "../db/schema.js";
import { groupBy } from "../groups.js";
import { shape, type TypeOf } from "../shape.js";
import { MICROS } from "./run.js";

/** What one finished task took, over all its runs. */
export interface Sample {
  /** Empty for a task without a role. */
  role: string;
  kind: string;
  seconds: number;
  /** Null where the cost of one of its runs is unknown. */
  usd: number | null;
  finishedAt: string;
}

/** Fewer samples than this say little. */
export const FEW = 5;

/** So many of the newest runs count. */
const MOST_RUNS = 5_000;

/** What the finished tasks of a workstream, by its row id, took, oldest first. */
export async function samplesOf(db: Reader, workstreamId: number): Promise<Sample[]> {
  const rows = await db
    .selectFrom("runs as r")
    .innerJoin("tasks as t", "t.id", "r.task_id")
    .select(["r.task_id", "r.role", "t.kind", "r.started_at", "r.finished_at", "r.cost_micros"])
    .where("r.workstream_id", "=", workstreamId)
    .where("t.status", "=", "CLOSED")
    .where("r.started_at", "is not", null)
    .where("r.finished_at", "is not", null)
    .orderBy("r.id", "desc")
    .limit(MOST_RUNS)
    .execute();
  const samples = new Map<number, Sample>();
  for (const row of rows.reverse()) {
    const { role, kind, finished_at: end } = row;
    const seconds = Math.max(0, (Date.parse(end ?? "") - Date.parse(row.started_at ?? "")) / 1000);
    const usd = row.cost_micros === null ? null : Number(row.cost_micros) / MICROS;
    const before = samples.get(row.task_id) ?? { seconds: 0, usd: 0 };
    const cost = usd === null || before.usd === null ? null : before.usd + usd;
    samples.set(row.task_id, { role, kind, seconds: before.seconds + seconds, usd: cost, finishedAt: end ?? "" });
  }
  return [...samples.values()].sort((a, b) => (a.finishedAt < b.finishedAt ? -1 : 1));
}

/** What tasks of a role and kind take, as the past has it: seconds and USD, half of them less and nine in ten less. */
export const LEARNED = shape({
  role: "string",
  kind: "string",
  samples: "number",
  p50Seconds: "number",
  p90Seconds: "number",
  /** Null where no cost is known. */
  p50Usd: "number | null",
  p90Usd: "number | null",
});

/** The samples of each role and kind. */
export function learnedOf(samples: readonly Sample[]): TypeOf<typeof LEARNED>[] {
  const groups = groupBy(samples, ({ role, kind }) => `${role} ${kind}`);
  return [...groups.values()].map((group) => {
    const seconds = group.map((one) => one.seconds);
    const usd = costsOf(group);
    return {
      ...{ role: group[0]?.role ?? "", kind: group[0]?.kind ?? "", samples: group.length },
      ...{ p50Seconds: quantile(seconds, 0.5), p90Seconds: quantile(seconds, 0.9) },
      ...{ p50Usd: usd.length === 0 ? null : quantile(usd, 0.5), p90Usd: usd.length === 0 ? null : quantile(usd, 0.9) },
    };
  });
}

export const costsOf = (samples: readonly Sample[]) => samples.flatMap(({ usd }) => (usd === null ? [] : [usd]));

/** The samples that say most about a task: of its role and kind, else of its role, else all, each if there are enough. */
export function likest(samples: readonly Sample[], { role, kind }: { role: string; kind: string }): readonly Sample[] {
  const ofRole = samples.filter((one) => one.role === role);
  const closest = [ofRole.filter((one) => one.kind === kind), ofRole, samples];
  return closest.find(({ length }) => length >= FEW) ?? samples;
}

/** The value that a part of them does not exceed; 0 of none. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? 0;
}

/** How well forecasts from before each task would have told what it took. */
export const SCORE = shape({
  /** Tasks that had enough before them. */
  tasks: "number",
  /** The share of them that took no longer than nine in ten were to take: 0.9 is right. */
  withinP90: "number | null",
  /** The median of what a task took, divided by what half were to take: 1 is right. */
  medianRatio: "number | null",
});

export function scoreOf(samples: readonly Sample[]): TypeOf<typeof SCORE> {
  const judged = samples.slice(FEW).map((sample, at) => {
    const before = likest(samples.slice(0, FEW + at), sample).map(({ seconds }) => seconds);
    const p50 = quantile(before, 0.5);
    return { within: sample.seconds <= quantile(before, 0.9), ratio: p50 === 0 ? 1 : sample.seconds / p50 };
  });
  if (judged.length === 0) return { tasks: 0, withinP90: null, medianRatio: null };
  const ratios = judged.map(({ ratio }) => ratio);
  const share = judged.filter(({ within }) => within).length / judged.length;
  return { tasks: judged.length, withinP90: share, medianRatio: quantile(ratios, 0.5) };
}

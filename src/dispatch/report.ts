import { join } from "node:path";
import { timestamp } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { Fault } from "../errors.js";
import { groupBy } from "../groups.js";
import type { Host } from "../host.js";
import { counted } from "../names.js";
import { listRuns, type Run } from "../runs/run.js";
import { dayOf } from "../runs/spend.js";
import { shape, type TypeOf } from "../shape.js";
import { CONTAINER_KINDS } from "../tasks/task.js";
import { writeWhole } from "../whole-file.js";
import { ASSET, listAssets } from "../work/assets.js";
import { type BudgetLine, LINE, readBudget } from "./budget.js";
import { listEscalations } from "./escalation.js";
import { brakeReason, type Scene } from "./facts.js";
import { stalePrices } from "./prices.js";

const DAY_MS = 86_400_000;
/** A task is stuck after twice the timeout of its role without news, or after this long, in ms. */
const LEAST_STUCK_MS = 3_600_000;

const HELD = { task: "string", role: "string | null", reason: "string | null" } as const;

/** What one UTC day of a workstream came to. Amounts are in USD. Held tasks are those of now, whatever the day. */
export const REPORT = shape({
  workstream: "string",
  day: "string",
  /** That the prices are old; null if they are not. */
  stalePrices: "string | null",
  /** The tasks that were closed, by the agent or person who did them. */
  shipped: [{ agent: "string", tasks: [{ task: "string", title: "string", level: "string | null" }] }],
  escalations: [{ ...HELD, hold: "string", file: "string | null" }],
  /** Tasks that no other attempt can mend. */
  failed: [HELD],
  /** Of the roles that had runs. */
  spend: [LINE],
  /** Files that were registered that day. */
  assets: [ASSET],
  anomalies: "string[]",
});

export type Report = TypeOf<typeof REPORT>;

/** The report of a UTC day. Faults `report.future`. */
export async function readReport(host: Host, scene: Scene, day: string): Promise<Report> {
  const { db } = host.context.store;
  const { workstream } = scene;
  const now = timestamp(host.context.clock);
  if (day > dayOf(now)) {
    throw new Fault("usage", "report.future", `${day} has not begun: today is ${dayOf(now)} in UTC.`, [
      { intent: "Report today", command: `mu report -w ${workstream.name}` },
    ]);
  }
  const held = (await listEscalations(db, scene)).map(({ task, role, reason, hold, file }) => ({
    task,
    role,
    reason,
    hold,
    file,
  }));
  const runs = await listRuns(db, workstream.name, { day });
  const budget = await readBudget(host.context, scene, day);
  const spend = budget.roles.filter(({ runs: count }) => count > 0);
  return {
    workstream: workstream.name,
    day,
    stalePrices: await stalePrices(host),
    shipped: await shippedOn(db, workstream.id, day),
    escalations: held.filter(({ hold }) => hold !== "failed"),
    failed: held.filter(({ hold }) => hold === "failed").map(({ task, role, reason }) => ({ task, role, reason })),
    spend,
    assets: (await listAssets(db, workstream.name)).filter(({ createdAt }) => dayOf(createdAt) === day).reverse(),
    anomalies: [
      ...(day === dayOf(now) ? [brakeNow(scene), ...(await stuckTasks(db, scene, now))] : []),
      ...(await brakesOn(db, workstream.name, day)),
      ...spend.flatMap(({ role, state }) => (state === "soft" ? [`${role} is near its cap.`] : [])),
      ...[...spend, budget.project].flatMap(breach),
      ...nearCeiling(budget.project),
      ...costsInDoubt(runs),
    ].filter((line) => line !== null),
  };
}

async function shippedOn(db: Reader, workstreamId: number, day: string): Promise<Report["shipped"]> {
  const rows = await db
    .selectFrom("tasks as t")
    .leftJoin("agents as o", "o.id", "t.owner_id")
    .select(["t.name as task", "t.title", "t.level", "o.name as agent"])
    .where("t.workstream_id", "=", workstreamId)
    .where("t.status", "=", "CLOSED")
    .where("t.kind", "not in", CONTAINER_KINDS)
    .where("t.closed_at", ">=", day)
    .where("t.closed_at", "<", dayAfter(day))
    .orderBy("o.name")
    .orderBy("t.closed_at")
    .orderBy("t.name")
    .execute();
  const byAgent = groupBy(rows, ({ agent }) => agent ?? "nobody");
  return [...byAgent].map(([agent, tasks]) => ({
    agent,
    tasks: tasks.map(({ task, title, level }) => ({ task, title, level })),
  }));
}

const dayAfter = (day: string) => dayOf(new Date(Date.parse(day) + DAY_MS).toISOString());

function brakeNow(scene: Scene): string | null {
  const reason = brakeReason(scene);
  return reason === null ? null : `The brake is on: ${reason}`;
}

/** When the brake was put on that day. */
async function brakesOn(db: Reader, scope: string, day: string): Promise<string[]> {
  const rows = await db
    .selectFrom("events")
    .select(["at", "payload"])
    .where("scope", "=", scope)
    .where("op", "=", "dispatch.kill")
    .where("at", ">=", day)
    .where("at", "<", dayAfter(day))
    .orderBy("n")
    .execute();
  return rows.map(
    ({ at, payload }) => `The brake was put on at ${at.slice(11, 16)} UTC: ${JSON.parse(payload).reason}`,
  );
}

/** Tasks of roles that are in progress and of which nothing was heard for too long. */
async function stuckTasks(db: Reader, { workstream, settings }: Scene, now: string): Promise<string[]> {
  const rows = await db
    .selectFrom("tasks as t")
    .leftJoin("runs as r", "r.task_id", "t.id")
    .select((e) => ["t.name", "t.role", "t.updated_at", e.fn.max("r.created_at").as("reserved")])
    .select((e) => [e.fn.max("r.started_at").as("started"), e.fn.max("r.finished_at").as("finished")])
    .where("t.workstream_id", "=", workstream.id)
    .where("t.status", "=", "IN_PROGRESS")
    .where("t.role", "is not", null)
    .groupBy(["t.id", "t.name", "t.role", "t.updated_at"])
    .orderBy("t.name")
    .execute();
  return rows.flatMap(({ name, role, updated_at, reserved, started, finished }) => {
    const heard =
      [reserved, started, finished]
        .filter((at) => at !== null)
        .sort()
        .at(-1) ?? updated_at;
    const least = Math.max(2000 * (settings.roles[role ?? ""]?.timeoutSeconds ?? 0), LEAST_STUCK_MS);
    const age = Date.parse(now) - Date.parse(heard);
    return age > least ? [`${name} is stuck: in progress without news for ${Math.floor(age / 60_000)} minutes.`] : [];
  });
}

/** That what runs have cost is more than the cap, as far as the day goes. */
function breach({ role, settledUsd, capUsd }: BudgetLine): string[] {
  if (capUsd === null || settledUsd <= capUsd) return [];
  return [`${role} has spent $${settledUsd.toFixed(2)}, over its cap of $${capUsd.toFixed(2)}; the results are kept.`];
}

function nearCeiling({ state, capUsd }: BudgetLine): string[] {
  if (state === "ok") return [];
  return [`The project has ${state === "hit" ? "reached" : "nearly reached"} its ceiling of $${capUsd?.toFixed(2)}.`];
}

function costsInDoubt(runs: readonly Run[]): string[] {
  const ids = (of: readonly Run[]) =>
    `${of.length === 1 ? "run" : "runs"} ${of
      .map(({ id }) => id)
      .reverse()
      .join(", ")}`;
  const unknown = runs.filter(
    ({ finishedAt, startedAt, costUsd }) => finishedAt !== null && startedAt !== null && costUsd === null,
  );
  const fallback = runs.filter(({ costBasis }) => costBasis === "fallback");
  return [
    ...(unknown.length > 0 ? [`The cost of ${ids(unknown)} is unknown.`] : []),
    ...(fallback.length > 0 ? [`The model of ${ids(fallback)} has no price; the dearest like it counts.`] : []),
  ];
}

const MARKS = { ok: "", soft: " (soft cap)", hit: " [CAP HIT]" } as const;

/** A report as Markdown. */
export function reportText(report: Report, project: string): string {
  const usd = (amount: number) => `$${amount.toFixed(2)}`;
  const section = (title: string, lines: readonly string[]) =>
    `## ${title}\n\n${lines.length === 0 ? "none" : lines.map((line) => `- ${line}`).join("\n")}`;
  const held = ({ task, role, reason }: Report["failed"][number]) =>
    `${task} (${role ?? "no role"}): ${oneLine(reason ?? "no reason given")}`;
  const total = report.spend.reduce((sum, { settledUsd, reservedUsd }) => sum + settledUsd + reservedUsd, 0);
  return `${[
    `# ${project || report.workstream}: ${report.day}`,
    ...(report.stalePrices === null ? [] : [`> ${report.stalePrices}`]),
    section(
      "Shipped",
      report.shipped.map(
        ({ agent, tasks }) =>
          `${agent}: ${counted(tasks.length, "task")}${tasks.map((one) => `\n  - ${one.task}: ${oneLine(one.title)}${one.level === null ? "" : ` (${one.level})`}`).join("")}`,
      ),
    ),
    section(
      "Escalations awaiting sign-off",
      report.escalations.map((one) => `${held(one)} \`mu task requeue ${report.workstream}/${one.task}\``),
    ),
    section("Hard-failed", report.failed.map(held)),
    section(
      "Spend",
      report.spend.map(({ role, settledUsd, reservedUsd, capUsd, runs, state }) => {
        const open = reservedUsd > 0 ? ` and ${usd(reservedUsd)} reserved` : "";
        return `${role}: ${usd(settledUsd)}${open}${capUsd === null ? "" : ` of ${usd(capUsd)}`} in ${counted(runs, "run")}${MARKS[state]}`;
      }),
    ) + (report.spend.length > 0 ? `\n\nTogether ${usd(total)}.` : ""),
    section(
      "Assets registered",
      report.assets.map(
        ({ path, version, kind, agent }) => `${oneLine(path)} version ${version} (${kind}) by ${agent}`,
      ),
    ),
    section("Anomalies", report.anomalies),
  ].join("\n\n")}\n`;
}

const oneLine = (text: string) => text.replace(/\s+/g, " ").trim().slice(0, 300);

/** Writes a report over the one of that day; gives its path, null for a workstream without a folder. */
export async function writeReport({ workstream: { root }, settings }: Scene, report: Report): Promise<string | null> {
  if (root === null) return null;
  const path = join(root, settings.paths.reports, `morning-report-${report.day.replaceAll("-", "")}.md`);
  await writeWhole(path, reportText(report, settings.projectName), 0o644);
  return path;
}

/** Writes the report of the day at its first call, then whenever the settings' hours have passed; and a day's last one after midnight. */
export function reportKeeper(host: Host, { say }: { say(text: string): void }): (scene: Scene) => Promise<void> {
  let last: string | undefined;
  return async (scene) => {
    const now = timestamp(host.context.clock);
    const { reportHours } = scene.settings.dispatch;
    const isDue = last === undefined || now < last || Date.parse(now) - Date.parse(last) >= reportHours * 3_600_000;
    if (reportHours === 0 || !isDue) return;
    const days = new Set([last === undefined || last > now ? now : last, now].map(dayOf));
    last = now;
    try {
      for (const day of days) await writeReport(scene, await readReport(host, scene, day));
    } catch (error) {
      say(`The report cannot be written: ${(error as Error).message}`);
    }
  };
}

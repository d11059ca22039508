import { timestamp } from "../db/context.js";
import type { Change } from "../db/events.js";
import type { Reader } from "../db/schema.js";
import type { Host } from "../host.js";
import { describeEvent } from "../journal/sentences.js";
import { counted } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { stallText } from "./attend.js";
import { decide, type Start, type Wait } from "./decide.js";
import { brakeReason, readFacts, type Scene } from "./facts.js";
import { findDispatcher } from "./lease.js";

/** Why so much, or so little, was done since a moment. */
export const ACCOUNT = shape({
  since: "string",
  /** All of it in one sentence. */
  headline: "string",
  /** What happened, oldest first; runs that followed each other are one line. */
  timeline: [{ at: "string", text: "string" }],
  started: "number",
  done: "number",
  failed: "number",
});

export type Account = TypeOf<typeof ACCOUNT>;

const OPS = [
  ...["dispatch.start", "dispatch.stop", "dispatch.kill", "dispatch.resume"],
  ...["notify.idle", "notify.stalled", "notify.back", "notify.escalated", "notify.failed"],
  ...["run.reserve", "run.settle", "run.refuse", "task.escalate", "task.requeue", "land.refuse", "land.wait"],
];

type Event = Awaited<ReturnType<typeof eventsSince>>[number];

/** What happened since `since`, and what keeps tasks waiting now. */
export async function explainPast(host: Host, scene: Scene, since: string): Promise<Account & { wait: Wait[] }> {
  const { db } = host.context.store;
  const { workstream } = scene;
  const events = await eventsSince(db, workstream.name, since);
  const limits = await limitsSince(db, workstream.id, since);
  const { start, wait } = decide(await readFacts(db, scene, timestamp(host.context.clock)));
  const settled = events.filter(({ op }) => op === "run.settle").map(({ payload }) => payload["state"]);
  const started = events.filter(({ op }) => op === "run.reserve").length;
  const done = settled.filter((state) => state === "done").length;
  const failed = settled.filter((state) => state === "failed" || state === "lost").length;
  const dispatcher = await dispatcherFault(host, scene, events);
  return {
    since,
    headline: headlineOf(scene, { started, done, failed, dispatcher, start, wait }),
    timeline: [...linesOf(events), ...limits].sort((a, b) => (a.at < b.at ? -1 : 1)),
    ...{ started, done, failed, wait },
  };
}

async function eventsSince(db: Reader, scope: string, since: string) {
  const rows = await db
    .selectFrom("events")
    .select(["at", "op", "subject", "payload", "changes"])
    .where("scope", "=", scope)
    .where("at", ">=", since)
    .where((e) => e.or([e("op", "in", OPS), e("op", "like", "budget.%")]))
    .orderBy("n")
    .execute();
  return rows.map(({ changes, ...row }) => ({
    ...row,
    payload: JSON.parse(row.payload) as Record<string, unknown>,
    // Only these are needed for a sentence, and those of runs are large.
    changes: (row.op.startsWith("budget.") ? JSON.parse(changes) : []) as Change[],
  }));
}

async function limitsSince(db: Reader, workstreamId: number, since: string): Promise<Account["timeline"]> {
  const rows = await db
    .selectFrom("runs")
    .select(["cli", "finished_at", "retry_at"])
    .where("workstream_id", "=", workstreamId)
    .where("failure", "=", "rate_limit")
    .where("retry_at", "is not", null)
    .where("finished_at", ">=", since)
    .execute();
  return rows.map(({ cli, finished_at, retry_at }) => ({
    at: finished_at ?? since,
    text: `The limit of ${cli} was reached until ${retry_at}: no run of it starts before`,
  }));
}

/** What is wrong with the dispatcher, if anything is: it never ran, it was stopped, or it died. */
async function dispatcherFault(host: Host, { workstream }: Scene, events: readonly Event[]): Promise<string | null> {
  const found = await findDispatcher(host, workstream);
  if (found?.isAlive) return null;
  if (found !== undefined) return `the dispatcher that began at ${minute(found.since)} has died`;
  const last = events.filter(({ op }) => op === "dispatch.start" || op === "dispatch.stop").at(-1);
  return last === undefined ? "no dispatcher ran" : `the dispatcher was stopped at ${minute(last.at)}`;
}

interface Findings {
  started: number;
  done: number;
  failed: number;
  dispatcher: string | null;
  start: readonly Start[];
  wait: readonly Wait[];
}

function headlineOf(scene: Scene, { started, done, failed, dispatcher, start, wait }: Findings): string {
  const brake = brakeReason(scene);
  const stall = stallText(wait)?.split("\n");
  const reasons = [
    brake !== null && `the brake is on: ${brake}`,
    dispatcher !== null && (started === 0 || start.length > 0) && dispatcher,
    brake === null && stall !== undefined && `${stall[0]?.replace(/\.$/, "")} (${stall[1]})`,
    start.length > 0 && brake === null && `${counted(start.length, "task")} could start now`,
    wait.length === 0 && start.length === 0 && "no task with a role is open",
    stall === undefined &&
      start.length === 0 &&
      wait.length > 0 &&
      `${counted(wait.length, "task")} wait: ${wait[0]?.why}`,
  ].filter((reason) => reason !== false);
  const what =
    started === 0 ? "Nothing was started" : `${counted(started, "run")} started, ${done} done, ${failed} failed`;
  return `${what}: ${reasons.join("; ")}.`;
}

/** A line for each event, and one for runs that followed each other. */
function linesOf(events: readonly Event[]): Account["timeline"] {
  const lines: Account["timeline"] = [];
  let runs: Event[] = [];
  const flush = () => {
    const [first] = runs;
    if (first !== undefined) lines.push({ at: first.at, text: runsText(runs) });
    runs = [];
  };
  for (const event of events) {
    if (event.op === "run.reserve" || event.op === "run.settle") {
      runs.push(event);
      continue;
    }
    flush();
    const text = describeEvent(event);
    lines.push({ at: event.at, text: `${text.slice(0, 1).toUpperCase()}${text.slice(1)}` });
  }
  flush();
  return lines;
}

function runsText(events: readonly Event[]): string {
  const started = events.filter(({ op }) => op === "run.reserve").length;
  const ends = new Map<string, number>();
  for (const { op, payload } of events) {
    if (op !== "run.settle") continue;
    const end = String(payload["failure"] ?? payload["state"]);
    ends.set(end, (ends.get(end) ?? 0) + 1);
  }
  const parts = [
    ...(started > 0 ? [`${counted(started, "run")} started`] : []),
    ...[...ends].map(([end, n]) => `${n} ${end}`),
  ];
  const last = events.at(-1);
  return `${parts.join(", ")}${events.length > 1 && last ? `, until ${minute(last.at)}` : ""}`;
}

/** A moment to the minute, in UTC. */
const minute = (at: string) => `${at.slice(0, 16).replace("T", " ")} UTC`;

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Reader } from "../db/schema.js";
import type { Host } from "../host.js";
import { outputPath, readStream } from "../runs/files.js";
import { keptOf } from "../runs/perform.js";
import { MICROS, type RunRow, selectRuns } from "../runs/run.js";
import { writeWhole } from "../whole-file.js";
import type { JobRow } from "./job.js";

const TRACE = "agent_trace.log";
export const rawLog = "agent_raw.log";

/** How much of a run's output the raw log has, in characters: its end. */
const MOST_RAW = 65_536;

/** The finished runs of a job, oldest first. */
export function runsOfJob(db: Reader, { row }: JobRow): Promise<RunRow[]> {
  return selectRuns(db)
    .where("r.task_id", "in", (e) => e.selectFrom("tasks").select("id").where("root_id", "=", row.id))
    .where("r.finished_at", "is not", null)
    .where("r.started_at", "is not", null)
    .orderBy("r.id")
    .execute();
}

/** A line for each call of an agent: when, what, with what, how it ended, tokens, cost, time. */
export async function traceLog(db: Reader, job: JobRow): Promise<string> {
  return (await runsOfJob(db, job)).map((run) => `${traceLine(run)}\n`).join("");
}

function traceLine(run: RunRow): string {
  const took = (Date.parse(run.finished_at ?? "") - Date.parse(run.started_at ?? "")) / 1000;
  const cost = run.cost_micros === null ? "cost unknown" : `$${(run.cost_micros / MICROS).toFixed(4)}`;
  const how = run.verdict ?? (run.failure === null ? run.state : `${run.state}: ${run.failure}`);
  const tokens = `${run.tokens_in ?? "?"} in ${run.tokens_out ?? "?"} out`;
  return [
    run.finished_at,
    run.task,
    run.agent,
    run.cli,
    run.model ?? "-",
    how,
    tokens,
    cost,
    `${took.toFixed(1)}s`,
  ].join("  ");
}

/** Whether the trace has all that it should have. */
export async function areLogsWhole({ context }: Host, job: JobRow): Promise<boolean> {
  const kept = await readFile(join(job.root, job.folder, TRACE), "utf8").catch(() => "");
  return kept === (await traceLog(context.store.db, job));
}

/** Writes the two logs of a job from what is known of its runs, so that none is missing or doubled. */
export async function writeLogs(host: Host, job: JobRow): Promise<void> {
  const { db } = host.context.store;
  const runs = await runsOfJob(db, job);
  const folder = join(job.root, job.folder);
  await writeWhole(join(folder, TRACE), runs.map((run) => `${traceLine(run)}\n`).join(""), 0o644);
  const raw: string[] = [];
  for (const run of runs) {
    const text = await readStream(outputPath(keptOf(host.stateDir, run), "stdout"));
    const cut = text.length > MOST_RAW ? `… ${text.length - MOST_RAW} characters left out …\n` : "";
    raw.push(`=== run ${run.id}: ${traceLine(run)}\n${cut}${text.slice(-MOST_RAW)}\n`);
  }
  await writeWhole(join(folder, rawLog), raw.join("\n"), 0o644);
}

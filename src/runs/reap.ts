import { existsSync } from "node:fs";
import { getAgentCli } from "../agents/clis/table.js";
import type { Crew } from "../agents/crew.js";
import type { Clock } from "../clock.js";
import { endMarked, isProcessAlive } from "../processes.js";
import type { Outcome } from "./advance.js";
import { billOf } from "./bill.js";
import { type Ending, outputPath, readEnding } from "./files.js";
import { judge } from "./judge.js";
import { keptOf, patienceOf, readReport } from "./perform.js";
import { activeRuns, type RunRow } from "./run.js";
import { type Settled, settleRun } from "./settle.js";

/**
 * Settles the active runs of a workstream, by row id, whose process has died: what is left of their programs is ended,
 * and what they had printed by then counts. A process that cannot be seen from here counts as alive.
 */
export async function reapRuns(crew: Crew, workstreamId: number): Promise<Settled[]> {
  const dead: RunRow[] = [];
  for (const run of await activeRuns(crew.context.store.db, workstreamId)) {
    if (isOverdue(run, crew.context.clock) || !(await isProcessAlive(crew, run.process))) dead.push(run);
  }
  if (dead.length === 0) return [];
  await endPrograms(crew, dead);
  const settled: Settled[] = [];
  for (const run of dead) {
    const one = await settleFromFiles(crew, run);
    if (one !== undefined) settled.push(one);
  }
  return settled;
}

/** How long a runner may take from its reservation until it has taken the run over, in ms: one that does then comes too late. */
const START_MS = 60_000;

const isOverdue = ({ state, created_at }: RunRow, clock: Clock) =>
  state === "reserved" && clock.now().getTime() - Date.parse(created_at) > START_MS;

/** Ends what still runs with these runs' ids in its environment. */
function endPrograms(crew: Crew, runs: readonly RunRow[]): Promise<void> {
  const marks = runs.map(({ id }) => `MU_RUN_ID=${id}`);
  const words = Object.entries(crew.databaseEnv).map(([name, value]) => `${name}=${value}`);
  return endMarked(crew, marks, words);
}

/** Settles a run by what was kept of it. */
async function settleFromFiles(crew: Crew, run: RunRow): Promise<Settled | undefined> {
  const kept = keptOf(crew.stateDir, run);
  const { headless } = getAgentCli(run.cli);
  const reports = [];
  let ending: Ending | undefined;
  for (let turn = 1; headless !== undefined && existsSync(outputPath({ ...kept, turn }, "stdout")); turn++) {
    ending = await readEnding({ ...kept, turn });
    reports.push(await readReport(headless, { ...kept, turn }, ending));
  }
  const last = reports.at(-1);
  const kind = await kindOf(crew, run);
  const judged = last === undefined ? NEVER_BEGAN : judge(last, ending, kind);
  // Nobody ran its command.
  const outcome = kind === "test" && judged.state === "done" ? { ...judged, state: "lost" as const } : judged;
  const settlement = {
    outcome,
    bill: await billOf(crew, run, reports),
    ...{ exitCode: ending?.exitCode ?? null, sessionRef: last?.sessionRef ?? null, answer: last?.text ?? null },
  };
  return settleRun(crew.context, run, settlement, { patience: patienceOf(crew.env) });
}

/** Its starter died before its runner began: that is no attempt of the task's. */
const NEVER_BEGAN: Outcome = {
  ...{ state: "cancelled", failure: null, reason: "it never began", retryAt: null, verdict: null },
};

async function kindOf(crew: Crew, { task_id }: RunRow): Promise<string> {
  const row = await crew.context.store.db
    .selectFrom("tasks")
    .select("kind")
    .where("id", "=", task_id)
    .executeTakeFirst();
  return row?.kind ?? "task";
}

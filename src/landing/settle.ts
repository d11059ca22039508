import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { TmuxHost } from "../agents/crew.js";
import { Fault } from "../errors.js";
import { enumerate, quote } from "../names.js";
import { livingProcesses } from "../processes.js";
import { findById } from "../tasks/task.js";
import { getLander } from "../vcs/backends.js";
import type { Lander } from "../vcs/lander.js";
import { hasLeftMove, type LandingLock, withLeftMove } from "./lock.js";
import { confirmLanded } from "./outcome.js";
import { confirmReverted } from "./reverted.js";
import { dropRows, type LandingRow, landingsUnderWay, REVERTS } from "./rows.js";

/** How an interrupted landing ended. */
export interface EndedLanding {
  workstream: string;
  task: string;
  /** `landed`: its work is on the branch; `dropped`: it is not, and the task is as it was. */
  outcome: "landed" | "reverted" | "dropped";
  commit: string | null;
  agent: string | null;
}

/** The folder of all scratch checkouts; each has the name of its batch. */
export const scratchFolder = (stateDir: string) => join(stateDir, "landing");

/**
 * Ends the landings whose process died: a task whose commits are on the branch has landed, any other is dropped
 * unchanged; scratch checkouts are deleted. A landing whose repository cannot be reached is left alone.
 */
export async function endInterruptedLandings(crew: TmuxHost, remark?: (text: string) => void): Promise<EndedLanding[]> {
  await settleLeftMoves(crew, remark);
  const rows = await landingsUnderWay(crew.context.store.db);
  const left = await readdir(scratchFolder(crew.stateDir)).catch(() => []);
  if (rows.length === 0 && left.length === 0) return [];
  const living = await livingProcesses(crew, rows);
  const dead = rows.filter((row) => !living.has(row.process));
  const ended = await endLandings(crew, dead, "cut off");
  await removeLeftScratches(crew, left);
  return ended;
}

/** Of each landing that its process left unfinished, the repository: those that `endInterruptedLandings` would end. */
export async function findInterruptedLandings(crew: TmuxHost): Promise<string[]> {
  const rows = await landingsUnderWay(crew.context.store.db);
  const living = await livingProcesses(crew, rows);
  const found = rows.filter((row) => !living.has(row.process)).map(({ root }) => root);
  for (const { root, file } of await lockFiles(crew)) if (await hasLeftMove(crew, file)) found.push(root);
  return found;
}

/** Ends the moves of checkouts that dead landings left, of any database, in the repositories that this one knows. */
async function settleLeftMoves(crew: TmuxHost, remark?: (text: string) => void): Promise<void> {
  for (const { file } of await lockFiles(crew))
    await withLeftMove(crew, file, (lock) => settleLeft(crew, lock, remark));
}

/** The locks of the repositories that this database knows and that can be reached. */
async function lockFiles({ context }: TmuxHost): Promise<{ root: string; file: string }[]> {
  const { db } = context.store;
  const roots = await db
    .selectFrom("workspaces")
    .select("root")
    .where("backend", "=", "git")
    .union(db.selectFrom("landings").select("root"))
    .execute();
  const found = roots.map(async ({ root }) => {
    const file = await getLander("git").lockFile(root).catch(ignoreUnreachable);
    return file === undefined ? [] : [{ root, file }];
  });
  return (await Promise.all(found)).flat();
}

/** Ends the move that the lock's last holder left. Remarks on files that the user has changed since, which are kept. */
export async function settleLeft(crew: TmuxHost, lock: LandingLock, remark?: (text: string) => void): Promise<void> {
  const { left } = lock;
  if (left === null) return;
  const kept = await getLander("git").settle({ ...crew, env: { ...crew.env, ...lock.env } }, left);
  lock.note(null);
  if (kept.length === 0) return;
  remark?.(
    `A landing was cut off in ${quote(left.path)}. These files were changed since, and are kept: ${enumerate(kept)}.`,
  );
}

/** Ends these landings: what is on the branch has landed, the rest is dropped for `reason`. */
export async function endLandings(
  crew: TmuxHost,
  rows: readonly LandingRow[],
  reason: string,
): Promise<EndedLanding[]> {
  const lander = getLander("git");
  const ended: EndedLanding[] = [];
  for (const row of rows) {
    const outcome = await endLanding(crew, lander, row, reason).catch(ignoreUnreachable);
    if (outcome !== undefined) ended.push(outcome);
  }
  return ended;
}

async function endLanding(
  crew: TmuxHost,
  lander: Lander,
  row: LandingRow,
  reason: string,
): Promise<EndedLanding | undefined> {
  const { context } = crew;
  const task = await findById(context.store.db, row.task_id);
  const { tip, root, branch } = row;
  const arrived = row.state === "stacked" && tip !== null && (await lander.contains(crew, root, branch, tip));
  if (task !== undefined && arrived && row.reason === REVERTS) {
    await confirmReverted(context, task, { landing: row.id, commit: tip, branch, onto: row.onto ?? "" });
    return { workstream: task.workstream, task: task.name, outcome: "reverted", commit: tip, agent: task.work_agent };
  }
  if (task === undefined || !arrived) {
    await dropRows(context, [row.id], reason);
  } else {
    const isAsItWas = task.closed_at !== null && task.closed_at <= row.created_at;
    const onto = row.onto ?? "";
    const workTo = isAsItWas ? task.work_to : "another one";
    const agent = task.work_agent;
    await confirmLanded(context, task, { landing: row.id, workTo, commit: tip, branch, onto, agent, ...UNKNOWN });
  }
  const how = arrived ? { outcome: "landed" as const, commit: tip } : { outcome: "dropped" as const, commit: null };
  return task && { workstream: task.workstream, task: task.name, ...how, agent: task.work_agent };
}

/** What a landing that was cut off has left no trace of. */
const UNKNOWN = { commits: null, check: null };

function ignoreUnreachable(error: unknown): undefined {
  if (error instanceof Fault && error.code.startsWith("vcs.")) return undefined;
  throw error;
}

/** Deletes scratch checkouts without a living landing; one whose batch is not in this database may belong to another. */
async function removeLeftScratches(crew: TmuxHost, batches: readonly string[]): Promise<void> {
  if (batches.length === 0) return;
  const { db } = crew.context.store;
  const rows = await db
    .selectFrom("landings")
    .select(["batch", "root", "scratch", "process"])
    .distinct()
    .where("batch", "in", batches)
    .execute();
  const living = await livingProcesses(crew, rows);
  const lander = getLander("git");
  for (const { root, scratch, process } of rows) {
    if (!living.has(process)) await lander.removeScratch(crew, root, scratch).catch(ignoreUnreachable);
  }
}

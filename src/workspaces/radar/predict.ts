import { existsSync } from "node:fs";
import type { Reader } from "../../db/schema.js";
import { asFault } from "../../errors.js";
import type { Host } from "../../host.js";
import { shape, type TypeOf } from "../../shape.js";
import { coveredBy } from "../../tasks/touches.js";
import { type Forecast, forecast, type Seen } from "../../vcs/git/predict/forecast.js";
import { targetOf } from "../target.js";
import { groupByTarget, type WorkspaceRow, workspaceRows } from "../workspace.js";

/** A predicted collision of two workspaces, or of one with the branch that it lands on. */
export const PREDICTED_COLLISION = shape({
  a: "string",
  /** Null for the target branch. */
  b: "string | null",
  paths: "string[]",
});

export type PredictedCollision = TypeOf<typeof PREDICTED_COLLISION>;

/** The changes of one workspace against its target. */
interface Changed extends Omit<Seen, "name"> {
  workspaceId: number;
  agent: string;
}

/** What `predictConflicts` found. */
export interface Prediction {
  workstream: string;
  workstreamId: number;
  collisions: PredictedCollision[];
  /** One for every workspace that was compared, by agent. */
  changed: Changed[];
  /** Workspaces that were not compared, and why. */
  skipped: { agent: string; reason: string }[];
}

const UNSUPPORTED: Readonly<Record<string, string>> = {
  none: "It is a copy without version control; collisions are predicted for git only.",
  jj: "It is a jj workspace; collisions are predicted for git only.",
  sl: "It is a Sapling checkout; collisions are predicted for git only.",
};

/**
 * Predicts which ready workspaces that land on the same branch of the same repository would collide, with each other
 * and with the branch. Includes uncommitted work; changes nothing. Skips what cannot be read, with the reason. Faults
 * `workstream.not_found`.
 */
export async function predictConflicts(host: Host, workstream: { id: number; name: string }): Promise<Prediction> {
  const { db } = host.context.store;
  const prediction: Prediction = {
    workstream: workstream.name,
    workstreamId: workstream.id,
    collisions: [],
    changed: [],
    skipped: [],
  };
  const starts = await startsOfWork(db, workstream.id);
  const able: WorkspaceRow[] = [];
  for (const row of await workspaceRows(db, workstream.name)) {
    const reason = reasonToSkip(row);
    if (reason === undefined) able.push(row);
    else prediction.skipped.push({ agent: row.agent, reason });
  }
  for (const group of groupByTarget(able)) addForecast(prediction, group, await forecastOf(host, group, starts));
  prediction.skipped.sort((x, y) => (x.agent < y.agent ? -1 : 1));
  prediction.changed.sort((x, y) => (x.agent < y.agent ? -1 : 1));
  return prediction;
}

function reasonToSkip(row: WorkspaceRow): string | undefined {
  if (row.backend !== "git") return UNSUPPORTED[row.backend] ?? "Collisions are predicted for git only.";
  if (row.state === "creating") return "It is still being created.";
  if (row.state === "freeing") return "It is being freed.";
  if (row.branch === null) return NO_BRANCH;
  return existsSync(row.path) ? undefined : "Its folder is gone.";
}

const NO_BRANCH = "It has no branch to land on.";

/** The forecast of one group, or why there is none. */
async function forecastOf(
  host: Host,
  group: readonly WorkspaceRow[],
  starts: ReadonlyMap<string, string>,
): Promise<Forecast | string> {
  const [first] = group;
  try {
    const target = first === undefined ? null : await targetOf(host, host.context.store.db, first);
    if (first === undefined || target === null) return NO_BRANCH;
    const subjects = group.map((row) => ({
      name: row.agent,
      checkout: row,
      since: starts.get(row.agent),
    }));
    return await forecast(host, first.root, target, subjects);
  } catch (error) {
    return asFault(error).message;
  }
}

function addForecast(prediction: Prediction, group: readonly WorkspaceRow[], found: Forecast | string): void {
  if (typeof found === "string") {
    prediction.skipped.push(...group.map(({ agent }) => ({ agent, reason: found })));
    return;
  }
  prediction.collisions.push(...found.clashes);
  prediction.skipped.push(...found.skipped.map(({ name, reason }) => ({ agent: name, reason })));
  const ids = new Map(group.map(({ id, agent }) => [agent, id]));
  for (const { name, ...seen } of found.seen) {
    prediction.changed.push({ ...seen, agent: name, workspaceId: ids.get(name) ?? 0 });
  }
}

interface WorkInProgress {
  task: string;
  agent: string;
  touches: string[];
  /** The commit that its work starts from, if known. */
  from: string | null;
}

/** All IN_PROGRESS tasks of a workstream, by name. */
export async function workInProgress(db: Reader, workstreamId: number): Promise<WorkInProgress[]> {
  const rows = await db
    .selectFrom("tasks as t")
    .innerJoin("agents as o", "o.id", "t.owner_id")
    .select(["t.name", "t.touches", "t.work_from", "o.name as agent"])
    .where("t.workstream_id", "=", workstreamId)
    .where("t.status", "=", "IN_PROGRESS")
    .orderBy("t.name")
    .execute();
  return rows.map((row) => ({
    task: row.name,
    agent: row.agent,
    touches: row.touches === null ? [] : JSON.parse(row.touches),
    from: row.work_from,
  }));
}

/** The commit that each agent's current work starts from, for agents with a single task. */
async function startsOfWork(db: Reader, workstreamId: number): Promise<Map<string, string>> {
  const work = await workInProgress(db, workstreamId);
  const single = work.filter(({ agent }) => work.filter((other) => other.agent === agent).length === 1);
  return new Map(single.flatMap(({ agent, from }) => (from === null ? [] : [[agent, from]])));
}

/** Files that an agent changes although none of its tasks declares them. */
export const DRIFT = shape({
  agent: "string",
  /** The agent's tasks, by name. */
  tasks: "string[]",
  /** The globs that they declare. */
  declared: "string[]",
  paths: "string[]",
});

type Drift = TypeOf<typeof DRIFT>;

/** Who changes undeclared files, by agent. A task that declares nothing may touch anything. */
export function driftOf(
  changed: readonly Pick<Changed, "agent" | "recent">[],
  work: readonly WorkInProgress[],
): Drift[] {
  return changed.flatMap(({ agent, recent }) => {
    const own = work.filter((one) => one.agent === agent);
    if (own.length === 0 || own.some(({ touches }) => touches.length === 0)) return [];
    const declared = [...new Set(own.flatMap(({ touches }) => touches))];
    const covers = own.map(({ touches }) => coveredBy(touches));
    const paths = recent.filter((path) => !covers.some((cover) => cover(path)));
    return paths.length === 0 ? [] : [{ agent, tasks: own.map(({ task }) => task), declared, paths }];
  });
}

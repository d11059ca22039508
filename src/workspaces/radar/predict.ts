import { existsSync } from "node:fs";
import type { Reader } from "../../db/schema.js";
import { Fault } from "../../errors.js";
import type { Host } from "../../host.js";
import { shape, type TypeOf } from "../../shape.js";
import { coveredBy } from "../../tasks/touches.js";
import { git } from "../../vcs/git/git.js";
import { type Forecast, forecast, type Seen } from "../../vcs/git/predict/forecast.js";
import { targetOf } from "../target.js";
import { checkoutOf, type WorkspaceRow, workspaceRows } from "../workspace.js";

/** A workspace that was not compared, and why. */
interface Skipped {
  agent: string;
  reason: string;
}

/** A predicted collision of two workspaces, or of one with the branch that it lands on. */
export const FORETOLD = shape({
  a: "string",
  /** Null for the target branch. */
  b: "string | null",
  paths: "string[]",
});

export type Foretold = TypeOf<typeof FORETOLD>;

/** How one workspace stands, and what it changes against its target. */
interface Changed extends Omit<Seen, "name"> {
  workspaceId: number;
  agent: string;
}

export interface Prediction {
  workstream: string;
  workstreamId: number;
  foretold: Foretold[];
  /** One for every workspace that was compared, by agent. */
  changed: Changed[];
  skipped: Skipped[];
}

/** Why a backend other than git is left out. */
const NOT_GIT: Readonly<Record<string, string>> = {
  none: "It is a copy without version control: its collisions cannot be predicted.",
  jj: "It is a jj workspace: collisions are predicted for git only.",
  sl: "It is a sapling checkout: collisions are predicted for git only.",
};

/**
 * Predicts, for all ready workspaces of a workstream that land on the same branch of the same repository, which would
 * collide, with each other and with the branch. Uncommitted work counts; nothing is touched, not the database either.
 * A workspace or a repository that cannot be read is skipped and named, never a failure of the whole. Faults
 * `workstream.not_found`.
 */
export async function predictConflicts(host: Host, workstream: { id: number; name: string }): Promise<Prediction> {
  const { db } = host.context.store;
  const rows = await workspaceRows(db, workstream.name);
  const starts = await startsOfWork(db, workstream.id);
  const skipped = rows.flatMap((row) => (reasonAgainst(row) === undefined ? [] : [skip(row, reasonAgainst(row))]));
  const able = rows.filter((row) => reasonAgainst(row) === undefined);
  const prediction: Prediction = {
    workstream: workstream.name,
    workstreamId: workstream.id,
    foretold: [],
    changed: [],
    skipped,
  };
  for (const group of groupsOf(able)) add(prediction, group, await forecastOf(host, group, starts));
  prediction.skipped.sort((x, y) => (x.agent < y.agent ? -1 : 1));
  prediction.changed.sort((x, y) => (x.agent < y.agent ? -1 : 1));
  return prediction;
}

const skip = ({ agent }: WorkspaceRow, reason = ""): Skipped => ({ agent, reason });

function reasonAgainst(row: WorkspaceRow): string | undefined {
  if (row.backend !== "git") return NOT_GIT[row.backend] ?? `Collisions are predicted for git only.`;
  if (row.state === "creating") return "It is still being made.";
  if (row.state === "freeing") return "It is being given up.";
  if (row.branch === null) return "It has no branch to land on.";
  return existsSync(row.path) ? undefined : "Its folder is gone.";
}

/** Workspaces whose work meets: the same repository and branch. */
function groupsOf(rows: readonly WorkspaceRow[]): WorkspaceRow[][] {
  const groups = new Map<string, WorkspaceRow[]>();
  for (const row of rows) {
    const key = `${row.root}\0${row.branch}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()];
}

/** The forecast of one group, or the one reason why there is none. */
async function forecastOf(
  host: Host,
  group: readonly WorkspaceRow[],
  starts: ReadonlyMap<string, string>,
): Promise<Forecast | string> {
  const [{ root = "", branch = null } = {}] = group;
  try {
    const lands = branch === null ? null : await targetOf(host, git, { root, branch });
    if (lands === null) return "It has no branch to land on.";
    const subjects = group.map((row) => ({
      name: row.agent,
      checkout: checkoutOf(row),
      since: starts.get(row.agent),
    }));
    return await forecast(host, root, lands, subjects);
  } catch (error) {
    if (error instanceof Fault) return error.message;
    throw error;
  }
}

function add(prediction: Prediction, group: readonly WorkspaceRow[], found: Forecast | string): void {
  if (typeof found === "string") {
    prediction.skipped.push(...group.map((row) => skip(row, found)));
    return;
  }
  prediction.foretold.push(...found.clashes);
  prediction.skipped.push(...found.skipped.map(({ name, reason }) => ({ agent: name, reason })));
  const ids = new Map(group.map(({ id, agent }) => [agent, id]));
  for (const { name, ...seen } of found.seen) {
    prediction.changed.push({ ...seen, agent: name, workspaceId: ids.get(name) ?? 0 });
  }
}

/** A task that somebody is at, and what it says that it touches. */
interface WorkInProgress {
  task: string;
  agent: string;
  touches: string[];
  /** The commit that its work begins behind; null when nobody knows. */
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

/** The commit that an agent's present work begins behind, for those that are at one task only: of two it is not clear. */
async function startsOfWork(db: Reader, workstreamId: number): Promise<Map<string, string>> {
  const work = await workInProgress(db, workstreamId);
  const single = work.filter(({ agent }) => work.filter((other) => other.agent === agent).length === 1);
  return new Map(single.flatMap(({ agent, from }) => (from === null ? [] : [[agent, from]])));
}

/** Files that an agent changes although none of its tasks says that it touches them. */
export const DRIFT = shape({
  agent: "string",
  /** The tasks that the agent is at, by name. */
  tasks: "string[]",
  /** The globs that they declare. */
  declared: "string[]",
  /** Outside of them. */
  paths: "string[]",
});

export type Drift = TypeOf<typeof DRIFT>;

/**
 * Who changes what it did not declare, by agent. A task that declares nothing may touch anything, so an agent that is
 * at such a one does not drift; and what was declared and never touched is no drift.
 */
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

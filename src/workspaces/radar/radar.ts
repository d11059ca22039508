import { type Context, timestamp } from "../../db/context.js";
import { takeHead } from "../../db/events.js";
import type { Reader } from "../../db/schema.js";
import { portions } from "../../db/statement.js";
import { withLockTimeout } from "../../db/store.js";
import { insteadOfFault } from "../../errors.js";
import type { Host } from "../../host.js";
import { shape, type TypeOf } from "../../shape.js";
import { workstreamRow } from "../../workstreams/workstream.js";
import { PREDICTED_COLLISION, type PredictedCollision, type Prediction, predictConflicts } from "./predict.js";

/** Predicts and stores the collisions and changes of a workstream's workspaces. Faults `workstream.not_found`. */
export async function refreshRadar(host: Host, workstream: string): Promise<Prediction> {
  const prediction = await predictConflicts(host, await workstreamRow(host.context.store.db, workstream));
  await storePrediction(host.context, prediction);
  return prediction;
}

/** How long a stored prediction is fresh, in ms. */
const FRESH_MS = 15_000;
/** How long a prediction in passing may take, in ms. */
const TIMEOUT_MS = 2_000;
/** How long it waits for another process's write, in ms. */
const LOCK_WAIT_MS = 200;

/**
 * Refreshes the radar if there are git workspaces and the stored prediction is stale. Aborts after `timeoutMs` and then
 * keeps what is stored. True if it was refreshed. Calls `makeHost` only if needed.
 */
export async function refreshRadarIfStale(
  context: Context,
  workstream: string,
  makeHost: () => Promise<Host>,
  timeoutMs = TIMEOUT_MS,
): Promise<boolean> {
  if (!(await isStale(context, workstream))) return false;
  const host = await makeHost();
  const signal = AbortSignal.timeout(timeoutMs);
  const exec: Host["exec"] = (file, args, options) => host.exec(file, args, { ...options, signal });
  const refresh = async () => {
    const row = await workstreamRow(context.store.db, workstream);
    const prediction = await predictConflicts({ ...host, exec }, row);
    if (signal.aborted) return false;
    await storePrediction({ ...context, store: withLockTimeout(context.store, LOCK_WAIT_MS) }, prediction);
    return true;
  };
  return refresh().catch(insteadOfFault(false));
}

async function isStale({ store, clock }: Context, workstream: string): Promise<boolean> {
  const row = await store.db
    .selectFrom("workspaces as s")
    .innerJoin("workstreams as w", "w.id", "s.workstream_id")
    .leftJoin("workspace_changes as c", "c.workspace_id", "s.id")
    .leftJoin("landings as l", (join) => join.onRef("l.root", "=", "s.root").on("l.state", "=", "landed"))
    .select(({ fn }) => [
      fn.countAll().as("workspaces"),
      fn.max("c.seen_at").as("seenAt"),
      fn.max("l.updated_at").as("landedAt"),
    ])
    .where("w.name", "=", workstream)
    .where("s.backend", "=", "git")
    .where("s.state", "=", "ready")
    .where("s.freed_at", "is", null)
    .executeTakeFirstOrThrow();
  if (Number(row.workspaces) === 0) return false;
  // What has just landed no longer collides.
  if (row.seenAt === null || (row.landedAt ?? "") >= row.seenAt) return true;
  return clock.now().getTime() - Date.parse(row.seenAt) > FRESH_MS;
}

/** Rows per statement; every dialect accepts that many parameters. */
const ROWS = 100;

/** Replaces the stored prediction; lasting collisions keep their age. Not journalled. */
export async function storePrediction(context: Context, prediction: Prediction): Promise<void> {
  const { workstreamId: id, collisions, changed } = prediction;
  await context.store.write(async (db) => {
    // Takes the head as a write does: on PostgreSQL, two processes must not both replace the rows.
    await takeHead(db, context.store.dialect, prediction.workstream);
    const exists = await db.selectFrom("workstreams").select("id").where("id", "=", id).executeTakeFirst();
    if (exists === undefined) return;
    const now = timestamp(context.clock);
    const before = await db.selectFrom("collisions").selectAll().where("workstream_id", "=", id).execute();
    await db.deleteFrom("collisions").where("workstream_id", "=", id).execute();
    const ofWorkstream = db.selectFrom("workspaces").select("id").where("workstream_id", "=", id);
    await db.deleteFrom("workspace_changes").where("workspace_id", "in", ofWorkstream).execute();
    const collisionRows = collisions.map((one) => ({
      workstream_id: id,
      a: one.a,
      b: one.b,
      paths: JSON.stringify(one.paths),
      since: sinceOf(one, before) ?? now,
      seen_at: now,
    }));
    for (const rows of portions(collisionRows, ROWS)) await db.insertInto("collisions").values(rows).execute();
    const changes = changed.map(({ workspaceId, paths, behind, ahead, dirty }) => ({
      workspace_id: workspaceId,
      behind,
      ahead,
      dirty,
      paths: JSON.stringify(paths),
      seen_at: now,
    }));
    for (const rows of portions(changes, ROWS)) await db.insertInto("workspace_changes").values(rows).execute();
  });
}

type StoredCollision = { a: string; b: string | null; paths: string; since: string };

/** When a stored collision that has a path in common was first seen. */
function sinceOf({ a, b, paths }: PredictedCollision, before: readonly StoredCollision[]): string | undefined {
  const same = before.find((known) => known.a === a && known.b === b);
  const isLasting = same !== undefined && (JSON.parse(same.paths) as string[]).some((path) => paths.includes(path));
  return isLasting ? same.since : undefined;
}

export const COLLISION = shape({
  ...PREDICTED_COLLISION,
  /** The branch that both land on. */
  branch: "string | null",
  /** When it was first seen; it lasts while at least one of its paths collides. */
  since: "string",
});

export type Collision = TypeOf<typeof COLLISION>;

/** An open workspace as last seen; numbers are null if it was never seen. */
export const SEEN_WORKSPACE = shape({
  agent: "string",
  backend: "string",
  branch: "string | null",
  path: "string",
  state: "string",
  behind: "number | null",
  ahead: "number | null",
  dirty: "number | null",
});

export type SeenWorkspace = TypeOf<typeof SEEN_WORKSPACE>;

/** The stored prediction of a workstream. */
interface RadarState {
  /** All open workspaces, by agent. */
  workspaces: SeenWorkspace[];
  /** By `a`, then `b`, the target first. */
  collisions: Collision[];
  /** When it was last refreshed, if ever. */
  seenAt: string | null;
}

/** Reads the stored prediction, without workspaces that are gone. */
export async function readRadar(db: Reader, workstreamId: number): Promise<RadarState> {
  const open = await db
    .selectFrom("workspaces as s")
    .leftJoin("workspace_changes as c", "c.workspace_id", "s.id")
    .select(["s.agent", "s.backend", "s.branch", "s.path", "s.state", "c.behind", "c.ahead", "c.dirty", "c.seen_at"])
    .where("s.workstream_id", "=", workstreamId)
    .where("s.freed_at", "is", null)
    .orderBy("s.agent")
    .execute();
  if (open.length === 0) return { workspaces: [], collisions: [], seenAt: null };
  const branches = new Map(open.map(({ agent, branch }) => [agent, branch]));
  const rows = await db.selectFrom("collisions").selectAll().where("workstream_id", "=", workstreamId).execute();
  const collisions = rows
    .filter(({ a, b }) => branches.has(a) && (b === null || branches.has(b)))
    .map(({ a, b, paths, since }) => ({ a, b, branch: branches.get(a) ?? null, paths: JSON.parse(paths), since }));
  const key = ({ a, b }: PredictedCollision) => `${a}\0${b ?? ""}`;
  collisions.sort((x, y) => (key(x) < key(y) ? -1 : 1));
  const seen = open.flatMap(({ seen_at }) => seen_at ?? []).sort();
  const workspaces = open.map(({ seen_at: _, ...workspace }) => workspace);
  return { workspaces, collisions, seenAt: seen.at(-1) ?? null };
}

import { type Context, timestamp } from "../../db/context.js";
import { takeHead } from "../../db/events.js";
import type { Reader } from "../../db/schema.js";
import { impatient } from "../../db/store.js";
import { Fault } from "../../errors.js";
import type { Host } from "../../host.js";
import { shape, type TypeOf } from "../../shape.js";
import { workstreamRow } from "../../workstreams/workstream.js";
import { FORETOLD, type Foretold, type Prediction, predictConflicts } from "./predict.js";

/**
 * Looks at all workspaces of a workstream and stores what collides, and what each changes. Faults
 * `workstream.not_found`.
 */
export async function lookAround(host: Host, workstream: string): Promise<Prediction> {
  const { id, name } = await workstreamRow(host.context.store.db, workstream);
  const prediction = await predictConflicts(host, { id, name });
  await recordPrediction(host.context, prediction);
  return prediction;
}

/** What was seen is fresh for so long, in ms. */
const FRESH_MS = 15_000;
/** A look in passing may take so long before it is broken off, in ms. */
const PATIENCE_MS = 2_000;
/** And wait so long for another process's write. */
const LOCK_WAIT_MS = 200;

/**
 * Looks around in passing, where there are git workspaces and the last look is not fresh: it is broken
 * off after two seconds, and what was seen before stays. True when it looked to the end. `makeHost` is only called for a look.
 */
export async function glanceAround(
  context: Context,
  workstream: string,
  makeHost: () => Promise<Host>,
  patienceMs = PATIENCE_MS,
): Promise<boolean> {
  if (!(await isDue(context, workstream))) return false;
  const host = await makeHost();
  const signal = AbortSignal.timeout(patienceMs);
  const exec: Host["exec"] = (file, args, options) => host.exec(file, args, { ...options, signal });
  try {
    const { id } = await workstreamRow(context.store.db, workstream);
    const prediction = await predictConflicts({ ...host, exec }, { id, name: workstream });
    if (signal.aborted) return false;
    await recordPrediction({ ...context, store: impatient(context.store, LOCK_WAIT_MS) }, prediction);
    return true;
  } catch (error) {
    if (error instanceof Fault) return false;
    throw error;
  }
}

async function isDue({ store, clock }: Context, workstream: string): Promise<boolean> {
  const row = await store.db
    .selectFrom("workspaces as s")
    .innerJoin("workstreams as w", "w.id", "s.workstream_id")
    .leftJoin("workspace_changes as c", "c.workspace_id", "s.id")
    .select((e) => [e.fn.countAll().as("workspaces"), e.fn.max("c.seen_at").as("seenAt")])
    .where("w.name", "=", workstream)
    .where("s.backend", "=", "git")
    .where("s.state", "=", "ready")
    .where("s.freed_at", "is", null)
    .executeTakeFirstOrThrow();
  if (Number(row.workspaces) === 0) return false;
  return row.seenAt === null || clock.now().getTime() - Date.parse(row.seenAt) > FRESH_MS;
}

/** A collision with its age. */
export const COLLISION = shape({
  ...FORETOLD,
  /** The branch that both land on. */
  branch: "string | null",
  /** When it was first seen; it lasts while at least one of its paths goes on colliding. */
  since: "string",
});

export type Collision = TypeOf<typeof COLLISION>;

/** An open workspace, as the radar last saw it: the numbers are null where it never did. */
export const SIGHTED = shape({
  agent: "string",
  backend: "string",
  branch: "string | null",
  path: "string",
  state: "string",
  /** Commits of the target that it lacks, and of its own that the target lacks. */
  behind: "number | null",
  ahead: "number | null",
  /** Files that are not committed. */
  dirty: "number | null",
});

export type Sighted = TypeOf<typeof SIGHTED>;

/** What the radar last saw. */
export interface Sight {
  /** All open workspaces, by agent. */
  workspaces: Sighted[];
  /** By `a`, then `b`, the target first. */
  collisions: Collision[];
  /** When it last looked; null for never. */
  seenAt: string | null;
}

/** How many rows go into one statement: every dialect bears that many parameters. */
const ROWS = 100;

/** Puts the prediction in the place of what the radar saw before; collisions that last keep their age. Not journalled. */
export async function recordPrediction(context: Context, prediction: Prediction): Promise<void> {
  const { workstreamId: id, foretold, changed } = prediction;
  await context.store.write(async (db) => {
    // As a write does, so that on PostgreSQL two looks do not both replace the rows of a third.
    await takeHead(db, context.store.dialect, prediction.workstream);
    const there = await db.selectFrom("workstreams").select("id").where("id", "=", id).executeTakeFirst();
    if (there === undefined) return;
    const now = timestamp(context.clock);
    const before = await db.selectFrom("collisions").selectAll().where("workstream_id", "=", id).execute();
    await db.deleteFrom("collisions").where("workstream_id", "=", id).execute();
    const ofWorkstream = db.selectFrom("workspaces").select("id").where("workstream_id", "=", id);
    await db.deleteFrom("workspace_changes").where("workspace_id", "in", ofWorkstream).execute();
    const collisions = foretold.map((one) => ({
      workstream_id: id,
      a: one.a,
      b: one.b,
      paths: JSON.stringify(one.paths),
      since: sinceWhen(one, before) ?? now,
      seen_at: now,
    }));
    for (const rows of portions(collisions)) await db.insertInto("collisions").values(rows).execute();
    const changes = changed.map(({ workspaceId, paths, behind, ahead, dirty }) => ({
      workspace_id: workspaceId,
      behind,
      ahead,
      dirty,
      paths: JSON.stringify(paths),
      seen_at: now,
    }));
    for (const rows of portions(changes)) await db.insertInto("workspace_changes").values(rows).execute();
  });
}

function* portions<T>(rows: readonly T[]): Generator<T[]> {
  for (let from = 0; from < rows.length; from += ROWS) yield rows.slice(from, from + ROWS);
}

type Known = { a: string; b: string | null; paths: string; since: string };

function sinceWhen({ a, b, paths }: Foretold, before: readonly Known[]): string | undefined {
  const same = before.find((known) => known.a === a && known.b === b);
  const lasting = same !== undefined && (JSON.parse(same.paths) as string[]).some((path) => paths.includes(path));
  return lasting ? same.since : undefined;
}

/** What is stored of the workspaces of a workstream, without what is no more. */
export async function readSight(db: Reader, workstreamId: number): Promise<Sight> {
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
  const key = ({ a, b }: Foretold) => `${a}\0${b ?? ""}`;
  collisions.sort((x, y) => (key(x) < key(y) ? -1 : 1));
  const seen = open.flatMap(({ seen_at }) => seen_at ?? []).sort();
  const workspaces = open.map(({ seen_at: _, ...workspace }) => workspace);
  return { workspaces, collisions, seenAt: seen.at(-1) ?? null };
}

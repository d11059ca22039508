import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import { write } from "../db/write.js";
import type { Host } from "../host.js";
import { brakeReason, killFiles, type Scene } from "./facts.js";

/** So many failures of one role within so long put the brake on. */
const FAILURES = 5;
const WINDOW_MS = 600_000;
/** How far back the log is read for a brake of one reach among those of the other. */
const MOST_BRAKES = 100;

/** Where the brake is set: for one project, or for every project of this machine. */
export type Reach = "project" | "machine";

const fileOf = (scene: Scene, reach: Reach) => {
  const files = killFiles(scene);
  return (reach === "machine" ? files.at(-1) : files[0]) as string;
};

/**
 * Puts the brake on: no dispatcher of the scene's workstream, or of this machine, starts a run until it is taken off. The
 * first reason stays; false if it was on already.
 */
export async function putBrakeOn(host: Host, scene: Scene, reason: string, reach: Reach = "project"): Promise<boolean> {
  const path = fileOf(scene, reach);
  await mkdir(dirname(path), { recursive: true });
  const isNew = await writeFile(path, `${reason}\n`, { flag: "wx" }).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "EEXIST") return false;
      throw error;
    },
  );
  await recordBrake(host, scene, "dispatch.kill", isNew, {
    reason: isNew ? reason : (brakeReason(scene) ?? reason),
    reach,
  });
  return isNew;
}

/** Takes the brake off; false if it was not on. The window of failures begins anew. */
export async function takeBrakeOff(host: Host, scene: Scene, reach: Reach = "project"): Promise<boolean> {
  const path = fileOf(scene, reach);
  const was = await rm(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return false;
      throw error;
    },
  );
  await recordBrake(host, scene, "dispatch.resume", was, { reach });
  return was;
}

/**
 * Writes down that the brake was put on or taken off. Where the file was so already, whoever made it so may have died before
 * its event, or was a person with an editor: then this is the event, unless the log says it already.
 */
function recordBrake(
  { context }: Host,
  { workstream: { name } }: Scene,
  op: "dispatch.kill" | "dispatch.resume",
  isNew: boolean,
  payload: { reach: Reach; reason?: string },
): Promise<void> {
  return write(context, { op, scope: name, subject: name }, async (tx) => {
    if (!isNew && (await lastOfBrake(tx.db, name, payload.reach)) === op) return;
    tx.addPayload(payload);
  });
}

/** What the log says last of a brake; that it was taken off, where it says nothing. */
async function lastOfBrake(db: Reader, scope: string, reach: Reach): Promise<string> {
  const brakes = db
    .selectFrom("events")
    .select(["op", "payload"])
    .where("op", "in", ["dispatch.kill", "dispatch.resume"]);
  const ofReach = reach === "machine" ? brakes : brakes.where("scope", "=", scope);
  const rows = await ofReach.orderBy("id", "desc").limit(MOST_BRAKES).execute();
  return rows.find(({ payload }) => JSON.parse(payload).reach === reach)?.op ?? "dispatch.resume";
}

/** Writes down what happened to a workstream's dispatcher. */
export function record(
  host: Host,
  { workstream }: Pick<Scene, "workstream">,
  op: string,
  payload: Record<string, unknown> = {},
): Promise<void> {
  const { name } = workstream;
  return write(host.context, { op, scope: name, subject: name }, async (tx) => tx.addPayload(payload));
}

/** Puts the brake on if a role fails too often; gives the reason if it did. */
export async function brakeOnFailures(host: Host, scene: Scene): Promise<string | null> {
  if (brakeReason(scene) !== null) return null;
  const { db } = host.context.store;
  const { id: workstreamId, name: scope } = scene.workstream;
  const since = new Date(host.context.clock.now().getTime() - WINDOW_MS).toISOString();
  const rows = await selectFailures(db, { workstreamId, since });
  if (rows.length < FAILURES) return null;
  const [resumed] = await selectResumed(db, { scope });
  const failed = rows.filter(({ finished_at }) => (finished_at ?? "") > (resumed?.at ?? ""));
  for (const role of new Set(failed.map((row) => row.role))) {
    const ids = failed.filter((row) => row.role === role).map(({ id }) => id);
    if (ids.length < FAILURES) continue;
    const reason = `${role} failed ${ids.length} times in ten minutes (runs ${ids.join(", ")})`;
    if (await putBrakeOn(host, scene, reason)) return reason;
  }
  return null;
}

const selectFailures = statement((db, { workstreamId, since }: { workstreamId: number; since: string }) =>
  db
    .selectFrom("runs")
    .select(["role", "id", "finished_at"])
    .where("workstream_id", "=", workstreamId)
    .where("state", "in", ["failed", "lost"])
    .where("finished_at", ">", since)
    .orderBy("id"),
);

const selectResumed = statement((db, { scope }: { scope: string }) =>
  db
    .selectFrom("events")
    .select("at")
    .where("scope", "=", scope)
    .where("op", "=", "dispatch.resume")
    .orderBy("n", "desc")
    .limit(1),
);

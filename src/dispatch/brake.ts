import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { timestamp } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { write } from "../db/write.js";
import type { Host } from "../host.js";
import { brakeReason, killFiles, type Scene } from "./facts.js";

/** So many failures of one role within so long put the brake on. */
const FAILURES = 5;
const WINDOW_MS = 600_000;

/** Where the brake is set: for one project, or for every project of this machine. */
export type Reach = "project" | "machine";

const fileOf = (scene: Scene, reach: Reach) => {
  const files = killFiles(scene);
  return (reach === "machine" ? files.at(-1) : files[0]) as string;
};

/** Puts the brake on: nothing starts until it is taken off. The first reason stays; false if it was on already. */
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
  if (isNew) await record(host, scene, "dispatch.kill", { reason, reach });
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
  if (was) await record(host, scene, "dispatch.resume", { reach });
  return was;
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
  const since = await windowStart(db, scene, timestamp(host.context.clock));
  const rows = await db
    .selectFrom("runs")
    .select(["role", "id"])
    .where("workstream_id", "=", scene.workstream.id)
    .where("state", "in", ["failed", "lost"])
    .where("finished_at", ">", since)
    .orderBy("id")
    .execute();
  for (const role of new Set(rows.map((row) => row.role))) {
    const ids = rows.filter((row) => row.role === role).map(({ id }) => id);
    if (ids.length < FAILURES) continue;
    const reason = `${role} failed ${ids.length} times in ten minutes (runs ${ids.join(", ")})`;
    if (await putBrakeOn(host, scene, reason)) return reason;
  }
  return null;
}

async function windowStart(db: Reader, { workstream }: Scene, now: string): Promise<string> {
  const resumed = await db
    .selectFrom("events")
    .select("at")
    .where("scope", "=", workstream.name)
    .where("op", "=", "dispatch.resume")
    .orderBy("n", "desc")
    .limit(1)
    .executeTakeFirst();
  const window = new Date(Date.parse(now) - WINDOW_MS).toISOString();
  return resumed !== undefined && resumed.at > window ? resumed.at : window;
}

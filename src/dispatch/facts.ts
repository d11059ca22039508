import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { sql } from "kysely";
import { RUN_CLI } from "../agents/agent.js";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import { runWishOf } from "../flow/payload.js";
import type { ProjectSettings } from "../project/settings.js";
import { micros } from "../runs/run.js";
import { dayOf, spendOfDay, spentOn } from "../runs/spend.js";
import { isBlocked } from "../tasks/edge.js";
import { isNode } from "../tasks/flow/nodes.js";
import { CONTAINER_KINDS, readyOrder, unblocks } from "../tasks/task.js";
import { listTracks } from "../tracks.js";
import type { Claim, Facts, Waiting } from "./decide.js";

/** A workstream with what it is dispatched by; see `readScene`. */
export interface Scene {
  workstream: { id: number; name: string; root: string | null };
  settings: ProjectSettings;
  /** The settings file is broken, and these are its last good ones. */
  isHeld?: boolean;
  stateDir: string;
  max: number;
  roles?: ReadonlySet<string> | undefined;
  /** Only this task. */
  only?: string;
  /** Only tasks of the job with this row id. */
  job?: number | undefined;
}

const waiting = (only: boolean) =>
  statement((db, { workstreamId, now, name }: { workstreamId: number; now: string; name: string }) => {
    let query = db
      .selectFrom("tasks as t")
      .select([
        "t.name",
        "t.role",
        "t.kind",
        "t.step",
        "t.root_id",
        "t.payload",
        "t.hold",
        "t.hold_reason",
        "t.touches",
        "t.budget_usd",
        unblocks.as("unblocks"),
      ])
      .select(sql<number | null>`case when t.budget_usd is not null then ${spentOn(sql.ref("t.id"))} end`.as("used"))
      .select(sql<string | null>`case when t.not_before > ${now} then t.not_before end`.as("not_before"))
      .select(sql<number>`case when ${isBlocked} then 1 else 0 end`.as("blocked"))
      .where("t.workstream_id", "=", workstreamId)
      .where("t.status", "=", "OPEN")
      .where("t.role", "is not", null)
      .where("t.kind", "not in", CONTAINER_KINDS);
    if (only) return query.where("t.name", "=", name);
    for (const order of readyOrder) query = query.orderBy(order);
    return query;
  });

const selectWaiting = waiting(false);
const selectOneWaiting = waiting(true);

/** The OPEN tasks with a role, in ready order; `only` one of them. */
async function waitingTasks(db: Reader, scene: Scene, now: string, only?: string): Promise<Waiting[]> {
  const { id, name } = scene.workstream;
  const select = only === undefined ? selectWaiting : selectOneWaiting;
  const all = await select(db, { workstreamId: id, now, name: only ?? "" });
  const rows = scene.job === undefined ? all : all.filter(({ root_id }) => root_id === scene.job);
  const writesToTrack = ({ role }: { role: string | null }) => {
    const found = scene.settings.roles[role ?? ""];
    return found?.access === "full" && found.workspace;
  };
  const tracks = rows.some(writesToTrack) ? await trackOfTasks(db, name, now) : undefined;
  return rows.map((row) => ({
    name: row.name,
    role: row.role ?? "",
    isNode: isNode(row),
    wish: runWishOf(row.payload),
    track: tracks?.get(row.name) ?? row.name,
    touches: row.touches === null ? null : JSON.parse(row.touches),
    budget: row.budget_usd === null ? null : { most: micros(row.budget_usd), used: Number(row.used) },
    unready:
      row.hold !== null
        ? { code: "held", why: `held (${row.hold})${row.hold_reason === null ? "" : `: ${row.hold_reason}`}` }
        : row.not_before !== null
          ? { code: "back_off", why: `not before ${row.not_before}`, until: row.not_before }
          : Number(row.blocked) === 1
            ? { code: "blocked", why: "waits for other tasks" }
            : null,
  }));
}

/** The track of every live task, by the name of its first goal. */
async function trackOfTasks(db: Reader, workstream: string, now: string): Promise<Map<string, string>> {
  const tracks = await listTracks(db, workstream, now);
  return new Map(tracks.flatMap(({ goals, tasks }) => tasks.map((task) => [task, goals[0] ?? task] as const)));
}

const selectClaims = statement((db, { workstreamId }: { workstreamId: number }) =>
  db
    .selectFrom("tasks as t")
    .innerJoin("agents as o", "o.id", "t.owner_id")
    .leftJoin("workspaces as s", (join) =>
      join
        .onRef("s.workstream_id", "=", "t.workstream_id")
        .onRef("s.agent", "=", "o.name")
        .on("s.freed_at", "is", null),
    )
    .leftJoin("workspace_changes as c", "c.workspace_id", "s.id")
    .select(["t.name as task", "t.touches", "c.paths"])
    .where("t.workstream_id", "=", workstreamId)
    .where("t.status", "=", "IN_PROGRESS")
    .where("o.access", "=", "full")
    .orderBy("t.name"),
);

/** What agents that may write are at work on, as far as it is declared or seen. */
async function claimsOf(db: Reader, workstreamId: number): Promise<Claim[]> {
  const parsed = (list: string | null): string[] => JSON.parse(list ?? "[]");
  const rows = await selectClaims(db, { workstreamId });
  return rows.map(({ task, touches, paths }) => ({ task, touches: parsed(touches), paths: parsed(paths) }));
}

const selectLimits = statement((db, { workstreamId, now }: { workstreamId: number; now: string }) =>
  db
    .selectFrom("runs")
    .select(["cli", (e) => e.fn.max("retry_at").as("until")])
    .where("workstream_id", "=", workstreamId)
    .where("failure", "=", "rate_limit")
    .where("retry_at", ">", now)
    .groupBy("cli"),
);

/** Providers whose limit was met by a run and has not ended, each with when it does. */
async function providerLimits(db: Reader, workstreamId: number, now: string): Promise<Map<string, string>> {
  const rows = await selectLimits(db, { workstreamId, now });
  return new Map(rows.map(({ cli, until }) => [cli, until ?? now]));
}

/** The kill files, the project's and the machine's. */
export function killFiles({ workstream, settings, stateDir }: Scene): string[] {
  const own = workstream.root === null ? [] : [join(workstream.root, settings.paths.killSwitch)];
  return [...own, join(stateDir, "kill_switch")];
}

/** The kill file that keeps everything from starting, the project's first. */
export const brakeFile = (scene: Scene) => killFiles(scene).find((path) => existsSync(path));

/** Why nothing may start; null if there is no kill file. One that cannot be read is one. */
export function brakeReason(scene: Scene): string | null {
  const found = brakeFile(scene);
  if (found === undefined) return null;
  try {
    return readFileSync(found, "utf8").trim().split("\n")[0] || "no reason given";
  } catch {
    return "no reason given";
  }
}

/** The reason of a brake that a freeze puts on. `since` is ISO 8601. */
export const frozenReason = (since: string, why?: string) =>
  `frozen since ${since}${why === undefined ? "" : `: ${why}`}`;

/** When the freeze began that put the brake on; undefined if something else did. */
export const frozenSince = (brake: string | null) => /^frozen since (\S+)/.exec(brake ?? "")?.[1];

/** The command that takes the brake off again: `mu thaw` after a freeze, else `mu resume`. */
export function releaseLine(scene: Scene): string {
  const { name } = scene.workstream;
  if (frozenSince(brakeReason(scene)) !== undefined) return `mu thaw -w ${name}`;
  return brakeFile(scene) === killFiles(scene).at(-1) ? `mu resume --machine -w ${name}` : `mu resume -w ${name}`;
}

const selectOpen = statement((db, { id }: { id: number }) =>
  db
    .selectFrom("agents")
    .select("name")
    .where("workstream_id", "=", id)
    .where("closed_at", "is", null)
    .where("cli", "<>", RUN_CLI),
);

const selectUnder = statement((db, { id }: { id: number }) =>
  db
    .selectFrom("runs")
    .select(["role", "agent", "task", "writes"])
    .where("workstream_id", "=", id)
    .where("finished_at", "is", null)
    .orderBy("id"),
);

/** All that a decision depends on, at `now`; `only` about one task. */
export async function readFacts(db: Reader, scene: Scene, now: string, only = scene.only): Promise<Facts> {
  const { id } = scene.workstream;
  const active = await selectUnder(db, { id });
  const open = await selectOpen(db, { id });
  const tasks = await waitingTasks(db, scene, now, only);
  return {
    settings: scene.settings,
    tasks,
    claims: tasks.some(({ touches }) => touches !== null) ? await claimsOf(db, id) : [],
    active,
    spend: await spendOfDay(db, id, dayOf(now)),
    taken: new Set(open.map(({ name }) => name)),
    halted: brakeReason(scene),
    limits: await providerLimits(db, id, now),
    max: scene.max,
    roles: scene.roles,
  };
}

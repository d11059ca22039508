import type { Reader } from "../../db/schema.js";
import { findDispatcher } from "../../dispatch/lease.js";
import type { Host } from "../../host.js";
import { shape, type TypeOf } from "../../shape.js";
import { isBlocked } from "../../tasks/edge.js";
import { selectTasks, type TaskRow, taskRow } from "../../tasks/task.js";
import { workstreamRow } from "../../workstreams/workstream.js";
import { followUps, partsOfIntake } from "./intake.js";

/** How the work of a workstream, or of one intake in it, stands. The names are those of the contract that callers know. */
export const RUNTIME_STATUS = shape({
  workspace: "string",
  root: "string | null",
  process_running: "boolean",
  runtime_ownership_lock: ["active", "stale", "none"],
  active_stage: "string",
  active_run_count: "number",
  execution_queue_depth: "number",
  planning_queue_depth: "number",
  learning_queue_depth: "number",
  /** Nothing runs, and what is left waits for a person. */
  blocked_idle: "boolean",
  current_failure_class: "string | null",
  closure_target_root_spec_id: "string | null",
  closure_target_open: "boolean | null",
  /** The newest task that ended, as `build w-1-build-1`. */
  last_terminal_stage: "string | null",
  evidence: [{ kind: "string", workspace: "string", reason: "string", task: "string", run: "number" }],
});
export type RuntimeStatus = TypeOf<typeof RUNTIME_STATUS>;

const PLANNING: readonly string[] = ["recon", "decompose", "verify"];

/** The status of an intake, with what proves that it is done: only what ended well after `since` does. */
export async function readStatus(
  host: Host,
  workstream: string,
  { root, since }: { root?: TaskRow | undefined; since?: string | undefined } = {},
): Promise<RuntimeStatus> {
  const { db } = host.context.store;
  const { id } = await workstreamRow(db, workstream);
  const dispatcher = await findDispatcher(host, { id });
  const now = root && (await taskRow(db, { workstream, name: root.name }));
  const parts = root === undefined ? await liveTasks(db, id) : await partsOfIntake(db, root);
  const containers = root === undefined ? [] : [root.id, ...(await followUps(db, root.id))];
  const held = [
    ...parts.filter((one) => one.hold !== null && one.status === "OPEN"),
    ...(await heldAmong(db, containers)),
  ];
  const active = parts.filter(({ status }) => status === "IN_PROGRESS");
  const queued = parts.filter(({ status, hold }) => status === "OPEN" && hold === null);
  const isStuck = held.length > 0 && active.length === 0 && !(await anyReady(db, queued));
  const depth = (isPlanning: boolean) => queued.filter(({ kind }) => PLANNING.includes(kind) === isPlanning).length;
  const evidence = root === undefined ? [] : await evidenceFor(db, workstream, containers, since ?? "");
  const ended = parts
    .filter(({ status }) => status === "CLOSED")
    .sort((a, b) => order(a.closed_at, b.closed_at))
    .at(-1);
  return {
    workspace: workstream,
    root: root?.name ?? null,
    process_running: dispatcher?.isAlive ?? false,
    runtime_ownership_lock: dispatcher === undefined ? "none" : dispatcher.isAlive ? "active" : "stale",
    active_stage: active[0]?.kind ?? "none",
    active_run_count: active.length,
    execution_queue_depth: depth(false),
    planning_queue_depth: depth(true),
    learning_queue_depth: 0,
    blocked_idle: isStuck,
    current_failure_class: isStuck ? (held[0]?.outcome ?? held[0]?.hold ?? null) : null,
    closure_target_root_spec_id: root?.name ?? null,
    closure_target_open: now === undefined ? null : !(now.status === "CLOSED" && evidence.length > 0),
    last_terminal_stage: ended === undefined ? null : `${ended.kind} ${ended.name}`,
    evidence,
  };
}

const order = (a: string | null, b: string | null) => ((a ?? "") < (b ?? "") ? -1 : 1);

/** Whether one of these waits for nothing. */
async function anyReady(db: Reader, tasks: readonly TaskRow[]): Promise<boolean> {
  if (tasks.length === 0) return false;
  const ids = tasks.map(({ id }) => id);
  const ready = await selectTasks(db)
    .where("t.id", "in", ids)
    .where((e) => e.not(isBlocked as never))
    .limit(1)
    .execute();
  return ready.length > 0;
}

const liveTasks = (db: Reader, workstreamId: number) =>
  selectTasks(db)
    .where("t.workstream_id", "=", workstreamId)
    .where("t.role", "is not", null)
    .where("t.status", "in", ["OPEN", "IN_PROGRESS"])
    .orderBy("t.id")
    .execute();

async function heldAmong(db: Reader, containers: readonly number[]): Promise<TaskRow[]> {
  if (containers.length === 0) return [];
  return selectTasks(db)
    .where("t.id", "in", containers)
    .where("t.hold", "is not", null)
    .where("t.status", "=", "OPEN")
    .execute();
}

/** Passes of those who verify, that began after the request and belong to it. */
async function evidenceFor(db: Reader, workstream: string, roots: readonly number[], since: string) {
  const rows = await db
    .selectFrom("runs as r")
    .innerJoin("tasks as t", "t.id", "r.task_id")
    .innerJoin("tasks as c", "c.id", "t.root_id")
    .select(["r.id", "t.name", "r.reason", "c.outcome"])
    .where("t.root_id", "in", [...roots])
    .where("t.kind", "=", "verify")
    .where("t.status", "=", "CLOSED")
    .where("r.state", "=", "done")
    .where("r.verdict", "=", "pass")
    .where("r.started_at", ">=", since)
    .where("c.status", "=", "CLOSED")
    .orderBy("r.id", "desc")
    .limit(1)
    .execute();
  return rows.map(({ id, name, reason }) => ({
    kind: "arbiter_complete",
    workspace: workstream,
    reason: reason ?? `${name} passed`,
    task: name,
    run: id,
  }));
}

/** What a status means for whoever waits. */
export interface MonitorEvent {
  kind: "blocked" | "restart_needed" | "arbiter_complete" | "stage_progress" | "idle_no_work" | "crashed";
  workspace: string;
  reason: string;
}

export const OUTCOMES = ["completed", "incomplete", "blocked", "restart_needed", "crashed", "unknown"] as const;
export type MonitorOutcome = (typeof OUTCOMES)[number];

/** What comes of each event; progress alone lets the wait go on. */
export const OUTCOME_OF: Readonly<Record<Exclude<MonitorEvent["kind"], "stage_progress">, MonitorOutcome>> = {
  blocked: "blocked",
  restart_needed: "restart_needed",
  arbiter_complete: "completed",
  idle_no_work: "incomplete",
  crashed: "crashed",
};

/**
 * What a status means, the first that applies: the order is the contract. `seen` is what was told already. Undefined while
 * there is nothing to tell.
 */
export function classify(
  status: RuntimeStatus,
  { notify, seen }: { notify: boolean; seen: ReadonlySet<string> },
): MonitorEvent | undefined {
  const {
    workspace,
    closure_target_root_spec_id: root,
    closure_target_open: isOpen,
    last_terminal_stage: last,
  } = status;
  const queued = status.execution_queue_depth + status.planning_queue_depth + status.learning_queue_depth;
  const event = (kind: MonitorEvent["kind"], reason: string): MonitorEvent => ({ kind, workspace, reason });
  if (status.blocked_idle || status.current_failure_class !== null) {
    return event("blocked", status.current_failure_class ?? "blocked idle");
  }
  if (!status.process_running && queued > 0) {
    const stale = status.runtime_ownership_lock === "stale" ? ", and what a dispatcher left is stale" : "";
    return event("restart_needed", `work is queued and nothing runs it${stale}`);
  }
  const [proof] = status.evidence;
  if (proof !== undefined) return event("arbiter_complete", proof.reason);
  if (root !== null && isOpen === false) return event("arbiter_complete", `${root} is closed`);
  const isDrained = queued === 0 && status.active_run_count === 0 && status.active_stage === "none";
  if (notify && !isDrained && last !== null && !seen.has(last)) return event("stage_progress", last);
  if (isDrained) return event("idle_no_work", "nothing is left to run, and nobody has verified the request");
  if (!status.process_running && status.active_run_count > 0) return event("crashed", "what ran the work is gone");
  return undefined;
}

/** How an intake has ended, if nothing more comes of it by itself: also where nobody runs what is left. */
export function endOf(status: RuntimeStatus): MonitorEvent | undefined {
  return classify({ ...status, process_running: true }, { notify: false, seen: new Set() });
}

import { pollUntil } from "../../clock.js";
import type { Context } from "../../db/context.js";
import type { AgentRef } from "../../names.js";
import { shape, type TypeOf } from "../../shape.js";
import { AGENT_STATUSES, type AgentRow, type AgentStatus, openPaneAgent, selectAgents } from "../agent.js";

/** Looks at the agents and stores what it sees, for example `observeAgents`. */
export type Observe = () => Promise<unknown>;

export interface WaitForAgentsOptions {
  /** The statuses that end the wait; `idle` and `free` without it. */
  statuses?: readonly AgentStatus[] | undefined;
  /** Wait for all agents, or for one of them. */
  mode?: "all" | "any" | undefined;
  /** 0 or absent waits forever. */
  timeoutMs?: number | undefined;
  /** How often to look, in ms; 500 without it. */
  everyMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** A watched agent as the last look saw it. */
export const WAITED_AGENT = shape({
  workstream: "string",
  name: "string",
  status: [AGENT_STATUSES, null],
  reason: "string | null",
  /** It has a status that the wait is for. */
  reached: "boolean",
  /** It was seen at work since the wait began. */
  wasBusy: "boolean",
  /** This incarnation is closed. */
  dead: "boolean",
});

export type WaitedAgent = TypeOf<typeof WAITED_AGENT>;

export const WAITED_AGENTS = shape({
  /** `died`: an agent that the wait was for is gone. */
  outcome: ["reached", "timeout", "interrupted", "died"],
  /** The agent that ended the wait; null if all did, the timeout or an interruption. */
  firing: [WAITED_AGENT, null],
  /** In the order of the references. */
  all: [WAITED_AGENT],
  /** After a timeout or an interruption, those that did not get there. */
  timedOut: [WAITED_AGENT],
  elapsedMs: "number",
});

export type WaitedAgents = TypeOf<typeof WAITED_AGENTS>;

/**
 * Waits until agents are idle, as `look` finds them; one that is idle already is done at once. The wait is for the
 * incarnations of its beginning. Faults `agent.not_found`, `agent.is_person`.
 */
export async function waitForAgents(
  context: Context,
  refs: readonly AgentRef[],
  look: Observe,
  options: WaitForAgentsOptions = {},
): Promise<WaitedAgents> {
  const start = context.clock.now().getTime();
  const watched = await Promise.all(refs.map((ref) => openPaneAgent(context.store.db, ref)));
  const busy = new Set<number>();
  let all: WaitedAgent[] = [];
  const once = async () => {
    await look();
    all = (await rowsAgain(context, watched)).map((row) => toWaited(row, busy, options));
    return endOf(all, options);
  };
  const found = await pollUntil(context.clock, once, {
    everyMs: options.everyMs ?? 500,
    timeoutMs: options.timeoutMs || Number.POSITIVE_INFINITY,
    signal: options.signal,
  });
  return {
    outcome: found?.outcome ?? (options.signal?.aborted ? "interrupted" : "timeout"),
    firing: found?.firing ?? null,
    all,
    timedOut: found === undefined ? all.filter((agent) => !agent.reached) : [],
    elapsedMs: context.clock.now().getTime() - start,
  };
}

async function rowsAgain(context: Context, watched: readonly AgentRow[]): Promise<AgentRow[]> {
  const ids = watched.map((row) => row.id);
  const rows = ids.length === 0 ? [] : await selectAgents(context.store.db).where("a.id", "in", ids).execute();
  return watched.map(
    (before) => rows.find((row) => row.id === before.id) ?? { ...before, closed_at: before.spawned_at },
  );
}

const WORKING: readonly (string | null)[] = ["busy", "needs_permission"];

function toWaited(row: AgentRow, busy: Set<number>, options: WaitForAgentsOptions): WaitedAgent {
  if (WORKING.includes(row.status)) busy.add(row.id);
  const status = row.status as AgentStatus | null;
  const dead = row.closed_at !== null || status === "terminated";
  const reached = !dead && status !== null && (options.statuses ?? ["idle", "free"]).includes(status);
  return {
    workstream: row.workstream,
    name: row.name,
    status,
    reason: row.status_reason,
    reached,
    wasBusy: busy.has(row.id),
    dead,
  };
}

function endOf(all: readonly WaitedAgent[], { mode = "all" }: WaitForAgentsOptions) {
  const reached = all.find((agent) => agent.reached);
  if (mode === "any" && reached !== undefined) return { outcome: "reached" as const, firing: reached };
  if (all.every((agent) => agent.reached)) return { outcome: "reached" as const, firing: null };
  const dead = all.find((agent) => agent.dead);
  const isOver = mode === "all" ? dead !== undefined : all.every((agent) => agent.dead);
  return isOver && dead !== undefined ? { outcome: "died" as const, firing: dead } : undefined;
}

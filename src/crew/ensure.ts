import {
  AGENT,
  AGENT_STATUSES,
  type Agent,
  type AgentRow,
  type AgentStatus,
  findAgent,
  PERSON_CLI,
  toAgent,
} from "../agents/agent.js";
import type { Crew } from "../agents/crew.js";
import { Fault } from "../errors.js";
import { type AgentRef, quote } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { findWorkspaceRow, toWorkspace } from "../workspaces/workspace.js";
import { restartAgent } from "./restart.js";
import { agentExists, SPAWN_WORKSPACE, type SpawnOptions, type SpawnWorkspace, spawnAgent } from "./spawn.js";
import { lookAt, READINESS } from "./start.js";

export interface EnsureOptions extends SpawnOptions {
  /** `idle`: a busy agent is `agent.busy`. */
  require?: "idle" | undefined;
}

export const ENSURED = shape({
  agent: AGENT,
  /** A new incarnation was started. */
  created: "boolean",
  /** It was there already. */
  reused: "boolean",
  /** It was there and works. */
  busy: "boolean",
  /** As last seen, when it was there. */
  previousStatus: [AGENT_STATUSES, null],
  readiness: [READINESS, null],
  /** Its workspace, when it has one. */
  workspace: [SPAWN_WORKSPACE, null],
});

export type Ensured = TypeOf<typeof ENSURED>;

/**
 * Spawns the agent unless it is running; one whose pane is gone, or whose CLI has ended, is restarted with its tasks. Faults `agent.busy`,
 * and those of `spawnAgent`.
 */
export async function ensureAgent(crew: Crew, ref: AgentRef, options: EnsureOptions): Promise<Ensured> {
  const there = await findOpen(crew, ref);
  if (there === undefined) return spawnOrReuse(crew, ref, options);
  if (there.cli === PERSON_CLI) throw agentExists(ref, there);
  if (there.pane !== null && (await lookAt(crew, there)).status === "terminated") {
    const { agent, readiness } = await restartAgent(crew, ref, { ready: options.ready });
    const workspace = await workspaceOf(crew, ref);
    return { agent, created: true, reused: false, busy: false, previousStatus: agent.status, readiness, workspace };
  }
  return reuse(crew, there, options);
}

async function workspaceOf(crew: Crew, ref: AgentRef): Promise<SpawnWorkspace | null> {
  const row = await findWorkspaceRow(crew.context.store.db, ref);
  return row === undefined ? null : { ...toWorkspace(row), reused: true };
}

async function spawnOrReuse(crew: Crew, ref: AgentRef, options: EnsureOptions): Promise<Ensured> {
  try {
    const spawned = await spawnAgent(crew, ref, options);
    return { ...spawned, created: true, reused: false, busy: false, previousStatus: null };
  } catch (error) {
    const there = error instanceof Fault && error.code === "agent.exists" ? await findOpen(crew, ref) : undefined;
    if (there === undefined || there.cli === PERSON_CLI) throw error;
    return reuse(crew, there, options);
  }
}

async function reuse(crew: Crew, row: AgentRow, options: EnsureOptions): Promise<Ensured> {
  const agent = toAgent(row);
  const busy = isBusy(agent.status);
  if (busy && options.require === "idle") throw agentBusy(agent);
  const workspace = await workspaceOf(crew, row);
  return { agent, created: false, reused: true, busy, previousStatus: agent.status, readiness: null, workspace };
}

async function findOpen(crew: Crew, ref: AgentRef): Promise<AgentRow | undefined> {
  const row = await findAgent(crew.context.store.db, ref);
  return row?.closed_at === null ? row : undefined;
}

/** Anything but waiting for a prompt. */
function isBusy(status: AgentStatus | null): boolean {
  return status !== null && status !== "idle" && status !== "free";
}

function agentBusy({ name, workstream, status, statusReason }: Agent): Fault {
  return new Fault(
    "conflict",
    "agent.busy",
    `${quote(name)} is ${status}${statusReason === null ? "" : ` (${statusReason})`}.`,
    [
      { intent: "Wait for it", command: `mu agent wait ${name} -w ${workstream}` },
      { intent: "See its pane", command: `mu agent read ${name} -w ${workstream}` },
    ],
    { status },
  );
}

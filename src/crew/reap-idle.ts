import type { AgentStatus } from "../agents/agent.js";
import type { Crew } from "../agents/crew.js";
import { pollAgents } from "../agents/status/poll.js";
import { Fault } from "../errors.js";
import { closeAgent } from "./close.js";

export interface ReapOptions {
  /** How long an agent must have been idle, in ms. */
  idleForMs: number;
  /** Close nobody, only tell who would be. */
  mode?: "close" | "preview" | undefined;
}

export interface Reaped {
  name: string;
  status: AgentStatus | null;
  idleMs: number;
  action: "closed" | "would_close" | "skipped";
  /** Why it was left alone. */
  reason: string | null;
  /** Its workspace is gone with it: there was nothing in it that is not landed. */
  workspaceFreed: boolean;
}

/**
 * Closes the agents of a workstream that have been idle for too long, as last seen: observe first. Agents with work,
 * and those about which nothing is known, are left alone. Faults `workstream.not_found`.
 */
export async function reapIdle(crew: Crew, workstream: string, options: ReapOptions): Promise<Reaped[]> {
  const reaped: Reaped[] = [];
  for (const { name, status, idleMs, tasks } of await pollAgents(crew.context, workstream)) {
    const spared = reasonToSpare(status, idleMs, tasks, options.idleForMs);
    const seen = { name, status, idleMs };
    if (spared !== null) reaped.push({ ...seen, action: "skipped", reason: spared, workspaceFreed: false });
    else if (options.mode === "preview")
      reaped.push({ ...seen, action: "would_close", reason: null, workspaceFreed: false });
    else reaped.push({ ...seen, ...(await close(crew, { workstream, name }, idleMs)) });
  }
  return reaped;
}

function reasonToSpare(
  status: AgentStatus | null,
  idle: number,
  tasks: readonly string[],
  idleForMs: number,
): string | null {
  if (status === null) return "nobody has looked at it";
  if (status !== "idle" && status !== "free") return `it is ${status}`;
  if (tasks.length > 0) return `it works on ${tasks.join(", ")}`;
  return idle < idleForMs ? `idle for only ${Math.floor(idle / 1000)} s` : null;
}

async function close(
  crew: Crew,
  ref: { workstream: string; name: string },
  idle: number,
): Promise<Pick<Reaped, "action" | "reason" | "workspaceFreed">> {
  try {
    const { workspace } = await closeAgent(crew, ref, { reason: `idle for ${Math.floor(idle / 1000)} s` });
    return { action: "closed", reason: null, workspaceFreed: workspace?.freed ?? false };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { action: "skipped", reason: error.message, workspaceFreed: false };
  }
}

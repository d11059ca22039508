import { type Context, timestamp } from "../../db/context.js";
import { type AgentRow, type AgentStatus, agentRows } from "../agent.js";

/** What the database knows of an agent; nobody looks at its pane for it. */
export interface AgentPoll {
  name: string;
  workstream: string;
  status: AgentStatus | null;
  reason: string | null;
  /** How long it has been idle or free, in ms; 0 while it is anything else. */
  idleMs: number;
  /** What it works on. */
  tasks: string[];
  /** When somebody last looked, ISO 8601. */
  seenAt: string | null;
  dead: boolean;
}

/** The agents of a workstream, or of all (`null`), as last seen. Faults `workstream.not_found`. */
export async function pollAgents(context: Context, workstream: string | null): Promise<AgentPoll[]> {
  const { db } = context.store;
  const rows = await agentRows(db, workstream);
  const ids = rows.map((row) => row.id);
  const [tasks, seen] = ids.length === 0 ? [[], []] : await Promise.all([selectTasks(ids), selectSeen(ids)]);
  const now = timestamp(context.clock);
  return rows.map((row) => ({
    name: row.name,
    workstream: row.workstream,
    status: row.status as AgentStatus | null,
    reason: row.status_reason,
    idleMs: idleMs(row, now),
    tasks: tasks.filter((task) => task.owner_id === row.id).map((task) => task.name),
    seenAt: seen.find((one) => one.agent_id === row.id)?.seen_at ?? null,
    dead: row.status === "terminated",
  }));

  function selectTasks(owners: number[]) {
    const owned = db.selectFrom("tasks").select(["owner_id", "name"]).where("owner_id", "in", owners);
    return owned.where("status", "=", "IN_PROGRESS").orderBy("id").execute();
  }

  function selectSeen(agents: number[]) {
    return db.selectFrom("agent_status").select(["agent_id", "seen_at"]).where("agent_id", "in", agents).execute();
  }
}

/** How long the agent has been waiting for work at `now`, in ms; 0 while it does anything else. */
export function idleMs({ status, status_since }: Pick<AgentRow, "status" | "status_since">, now: string): number {
  if ((status !== "idle" && status !== "free") || status_since === null) return 0;
  return Math.max(0, Date.parse(now) - Date.parse(status_since));
}

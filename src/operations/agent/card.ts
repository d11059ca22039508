import type { Agent } from "../../agents/agent.js";
import type { Paint } from "../define.js";

/** Agents as a table, or a line that says there are none. */
export function agentTable(agents: readonly Agent[], paint: Paint): string {
  return paint.list(agents, "No agents.", [
    { head: "name", text: (agent) => agent.name },
    { head: "cli", text: (agent) => agent.cli },
    { head: "status", text: (agent) => paint.status(agent.closedAt === null ? (agent.status ?? "—") : "closed") },
    { head: "for", text: (agent) => paint.ago(agent.closedAt ?? agent.statusSince), align: "right" },
    { head: "role", text: (agent) => agent.role ?? "—" },
    { head: "pane", text: (agent) => agent.pane ?? "—" },
    { head: "window", text: (agent) => agent.window ?? "—", max: 20 },
    { head: "why", text: (agent) => agent.statusReason ?? "", max: 50 },
  ]);
}

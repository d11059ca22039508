import type { ListedAgent, Orphan } from "../../agents/agent.js";
import type { Column, Paint } from "../paint.js";

/** A line for each pane with an agent CLI that belongs to no agent. */
export function orphanLines(orphans: readonly Orphan[]): string[] {
  const adopt = ({ pane, workstream }: Orphan) => `\`mu agent adopt ${pane} --name <agent> -w ${workstream}\``;
  return orphans.map((one) => `${one.cli} in pane ${one.pane} is no agent: ${adopt(one)}`);
}

/** Agents as a table, or a line that says there are none. */
export function agentTable(agents: readonly ListedAgent[], paint: Paint): string {
  const columns: Column<ListedAgent>[] = [
    { head: "name", text: (agent) => agent.name, max: 20 },
    { head: "status", text: (agent) => paint.status(agent.closedAt === null ? (agent.status ?? "—") : "closed") },
    { head: "for", text: (agent) => paint.ago(agent.closedAt ?? agent.statusSince), align: "right" },
    { head: "task", text: taskCell, max: 32 },
    { head: "cli", text: (agent) => agent.cli, max: 10 },
    { head: "pane", text: (agent) => agent.pane ?? "—" },
    { head: "why", text: (agent) => agent.statusReason ?? "", max: 8 },
  ];
  return paint.list(agents, "No agents.", columns);
}

/** `build, test`; it says so where an idle agent has them. */
export function taskCell({ tasks, idleAssigned }: Pick<ListedAgent, "tasks" | "idleAssigned">): string {
  return `${tasks.join(", ") || "—"}${idleAssigned ? " (stands still)" : ""}`;
}

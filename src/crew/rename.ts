import {
  type Agent,
  type AgentRow,
  agentById,
  agentWrite,
  findOpenAgent,
  openAgent,
  PANELESS,
} from "../agents/agent.js";
import type { TmuxHost } from "../agents/crew.js";
import { findOwnPane } from "../agents/pane.js";
import { type RowOf, type Tx, write } from "../db/write.js";
import { ignoreFault } from "../errors.js";
import { type AgentRef, checkAgentName } from "../names.js";
import { findWorkspaceRow, workspaceExists } from "../workspaces/workspace.js";
import { agentExists } from "./spawn.js";

/**
 * Renames the agent: row, workspace and its tasks' work, pane, and its window if that has the agent's name. It stays the
 * same incarnation in the same folder. Faults `agent.not_found`, `agent.invalid_name`, `agent.exists`,
 * `workspace.exists`.
 */
export async function renameAgent(
  host: TmuxHost,
  ref: AgentRef,
  to: string,
): Promise<{ agent: Agent; previousName: string; changed: boolean }> {
  checkAgentName(to);
  const row = await openAgent(host.context.store.db, ref);
  if (to === ref.name)
    return { agent: await agentById(host.context.store.db, row.id), previousName: to, changed: false };
  const ownWindow = row.window === ref.name;
  const spec = { ...agentWrite("agent.rename", ref), payload: { from: ref.name, to } };
  const renamed = await write(host.context, spec, (tx) => renameAgentIn(tx, ref, row, to));
  if (!PANELESS.includes(row.cli)) await relabel(host, renamed, ownWindow ? to : undefined);
  return { agent: await agentById(host.context.store.db, row.id), previousName: ref.name, changed: true };
}

async function renameAgentIn(tx: Tx, ref: AgentRef, row: AgentRow, to: string): Promise<RowOf<"agents">> {
  const taken = await findOpenAgent(tx.db, row.workstream_id, to);
  if (taken !== undefined) throw agentExists({ ...ref, name: to }, taken);
  await renameWorkspaceIn(tx, ref, to);
  return tx.patch("agents", row.id, { name: to, ...(row.window === ref.name && { window: to }) });
}

async function renameWorkspaceIn(tx: Tx, ref: AgentRef, to: string): Promise<void> {
  const own = await findWorkspaceRow(tx.db, ref);
  if (own === undefined) return;
  const taken = await findWorkspaceRow(tx.db, { ...ref, name: to });
  if (taken !== undefined) throw workspaceExists(taken);
  await tx.patch("workspaces", own.id, { agent: to });
  const tasks = await tx.db
    .selectFrom("tasks")
    .select("id")
    .where("workstream_id", "=", own.workstream_id)
    .where("work_agent", "=", ref.name)
    .where("work_root", "=", own.root)
    .orderBy("id")
    .execute();
  for (const task of tasks) await tx.patch("tasks", task.id, { work_agent: to });
}

/** The name on the pane is for people: identity goes by the incarnation, so a pane that is gone is no fault. */
async function relabel(host: TmuxHost, row: RowOf<"agents">, window: string | undefined): Promise<void> {
  const pane = await findOwnPane(host, row);
  if (pane === undefined) return;
  const identity = { agent: row.name, agentId: String(row.id) };
  await host.tmux.setPaneIdentity(pane.id, identity).catch(ignoreFault("pane.not_found"));
  if (window !== undefined) await host.tmux.renameWindow(pane.id, window).catch(ignoreFault("pane.not_found"));
}

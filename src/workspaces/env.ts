import { sep } from "node:path";
import type { Crew } from "../agents/crew.js";
import type { AgentRef } from "../names.js";
import { portsEnv, portsOf } from "./setup/ports.js";
import { findWorkspaceRow } from "./workspace.js";

/**
 * What an agent that works in its workspace has in its environment: `MU_WORKSPACE`, the folder, `MU_PROJECT_ROOT`,
 * and `MU_PORT_0` … for the ports it has leased. Nothing when `cwd` is elsewhere.
 */
export async function workspaceEnv(crew: Crew, ref: AgentRef, cwd: string): Promise<Record<string, string>> {
  const { db } = crew.context.store;
  const row = await findWorkspaceRow(db, ref);
  if (row === undefined || !`${cwd}${sep}`.startsWith(`${row.path}${sep}`)) return {};
  return { MU_WORKSPACE: row.path, MU_PROJECT_ROOT: row.root, ...portsEnv(await portsOf(db, row.id)) };
}

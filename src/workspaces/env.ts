import { sep } from "node:path";
import type { Crew } from "../agents/crew.js";
import type { AgentRef } from "../names.js";
import { portsEnv, portsOf } from "./setup/ports.js";
import { findWorkspaceRow } from "./workspace.js";

/**
 * What an agent that works in its workspace has in its environment: `MU_WORKSPACE`, the folder, `MU_PROJECT_ROOT`
 * and its ports as `MU_PORT_0` and so on. Nothing when `cwd` is
 * elsewhere.
 */
export async function workspaceEnv(crew: Crew, ref: AgentRef, cwd: string): Promise<Record<string, string>> {
  const row = await findWorkspaceRow(crew.context.store.db, ref);
  if (row === undefined || !`${cwd}${sep}`.startsWith(`${row.path}${sep}`)) return {};
  const ports = await portsOf(crew.context.store.db, row.id);
  return { MU_WORKSPACE: row.path, MU_PROJECT_ROOT: row.root, ...portsEnv(ports) };
}

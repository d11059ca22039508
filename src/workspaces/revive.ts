import { stat } from "node:fs/promises";
import type { Crew } from "../agents/crew.js";
import { Fault } from "../errors.js";
import type { AgentRef } from "../names.js";
import { getBackend } from "../vcs/backends.js";
import type { BackendKey } from "../vcs/vcs.js";
import { getSettings } from "../workstreams/stored-settings.js";
import { withHold } from "./hold.js";
import { type Salvage, salvageWorkspace } from "./salvage/salvage.js";
import { setUpWorkspace } from "./setup/setup.js";
import { checkoutOf, findWorkspaceRow, toWorkspace, type Workspace, type WorkspaceRow } from "./workspace.js";

/**
 * Makes the folder of an agent's workspace again when it is gone, with the commits that the repository still knows of
 * it; undefined when the agent has no workspace that is ready. Faults as the backend's `create`.
 */
export async function reviveWorkspace(crew: Crew, ref: AgentRef): Promise<Workspace | undefined> {
  const row = await findWorkspaceRow(crew.context.store.db, ref);
  if (row === undefined || row.state !== "ready") return undefined;
  if (!(await isThere(row.path))) await withHold(crew, row, () => remake(crew, row));
  return toWorkspace(row);
}

/** Whether the folder is there. */
export function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function remake(crew: Crew, row: WorkspaceRow): Promise<void> {
  if (await isThere(row.path)) return;
  const backend = getBackend(row.backend as BackendKey);
  const salvage = await lastWill(crew, row);
  await backend.remove(crew, checkoutOf(row));
  await backend.create(crew, checkoutOf(row), { from: row.base_ref ?? undefined });
  const { setup } = await getSettings(crew.context.store.db, row.workstream);
  await setUpWorkspace(crew, { workspace: row, settings: setup });
  if (salvage !== null) await backend.restore(crew, checkoutOf(row), salvage.place);
}

async function lastWill(crew: Crew, row: WorkspaceRow): Promise<Salvage | null> {
  try {
    return await salvageWorkspace(crew, row, "lost folder");
  } catch (error) {
    if (error instanceof Fault && error.code === "vcs.no_folder") return null;
    throw error;
  }
}

import { sep } from "node:path";
import type { Host } from "../../host.js";
import type { AgentRef } from "../../names.js";
import { shape, type TypeOf } from "../../shape.js";
import type { BackendKey } from "../../vcs/vcs.js";
import type { SetupSettings } from "../../workstreams/settings.js";
import { findWorkspaceRow, type WorkspaceRow } from "../workspace.js";
import { COMMAND_RUN, requireApproved, runSetupCommand } from "./command.js";
import { putFiles, SETUP_FILES } from "./files.js";
import { planSetup, REPOSITORY_FILE } from "./plan.js";
import { leasePorts, portsEnv, portsOf } from "./ports.js";

interface SetupOptions {
  workspace: Pick<WorkspaceRow, "id" | "workstream" | "agent" | "root" | "path" | "backend">;
  settings: SetupSettings;
  signal?: AbortSignal | undefined;
}

/** What a workspace got. */
export const SETUP_DONE = shape({
  ...SETUP_FILES,
  ports: "number[]",
  command: [COMMAND_RUN, null],
});

export type SetupDone = TypeOf<typeof SETUP_DONE>;

/**
 * Makes a checkout that is there ready for work: files, ports, then the command. It can be run again: what is there is
 * left alone, and the command runs anew. Whoever makes a new workspace takes it away when this faults.
 *
 * Faults `setup.not_approved` before anything is done, `setup.failed`, `setup.outside`, `setup.invalid_file`,
 * `port.*`, `vcs.*`.
 */
export async function setUpWorkspace(host: Host, { workspace, settings, signal }: SetupOptions): Promise<SetupDone> {
  const { id, workstream, agent, root, path } = workspace;
  const plan = await planSetup(root, settings);
  if (plan.command?.from === REPOSITORY_FILE)
    await requireApproved(host.context.store.db, { root, command: plan.command.command }, workstream);
  const files = await putFiles(host, { root, path, backend: workspace.backend as BackendKey }, plan);
  const ports = await leasePorts(host, id, plan.ports);
  if (plan.command === null) return { ...files, ports, command: null };
  const env = {
    MU_WORKSTREAM: workstream,
    MU_AGENT: agent,
    MU_WORKSPACE: path,
    MU_PROJECT_ROOT: root,
    ...portsEnv(ports),
  };
  const { command } = plan.command;
  const timeoutMs = plan.timeoutSeconds * 1000;
  const run = await runSetupCommand(host, { workstream, agent, path, command, env, timeoutMs, signal });
  return { ...files, ports, command: run };
}

/**
 * What an agent that works in its workspace has in its environment: `MU_WORKSPACE`, the folder, `MU_PROJECT_ROOT`,
 * and `MU_PORT_0` … for the ports it has leased. Nothing when `cwd` is elsewhere.
 */
export async function workspaceEnv(host: Host, ref: AgentRef, cwd: string): Promise<Record<string, string>> {
  const { db } = host.context.store;
  const row = await findWorkspaceRow(db, ref);
  if (row === undefined || !`${cwd}${sep}`.startsWith(`${row.path}${sep}`)) return {};
  return { MU_WORKSPACE: row.path, MU_PROJECT_ROOT: row.root, ...portsEnv(await portsOf(db, row.id)) };
}

import { sep } from "node:path";
import type { Reader } from "../../db/schema.js";
import type { Host } from "../../host.js";
import type { AgentRef } from "../../names.js";
import { shape, type TypeOf } from "../../shape.js";
import type { BackendKey, CreateOptions } from "../../vcs/vcs.js";
import type { SetupSettings } from "../../workstreams/settings.js";
import { findWorkspaceRow, type WorkspaceRow } from "../workspace.js";
import { COMMAND_RUN, type CommandRun, requireApproved, runSetupCommand } from "./command.js";
import { putFiles, SETUP_FILES } from "./files.js";
import { planSetup, REPOSITORY_FILE, type SetupPlan } from "./plan.js";
import { leasePorts, portsOf } from "./ports.js";

interface SetupOptions {
  workspace: Pick<WorkspaceRow, "id" | "workstream" | "agent" | "root" | "path" | "backend">;
  settings: SetupSettings;
  signal?: AbortSignal | undefined;
}

export const SETUP_DONE = shape({
  ...SETUP_FILES,
  ports: "number[]",
  command: [COMMAND_RUN, null],
});

export type SetupDone = TypeOf<typeof SETUP_DONE>;

/**
 * Sets up a checkout: files, ports, then the command. Can be run again: existing files are kept, and the command runs
 * again. Faults `setup.not_approved` before anything is done, `setup.failed`, `setup.outside`, `setup.invalid_file`,
 * `port.*`, `vcs.*`.
 */
export async function setUpWorkspace(host: Host, { workspace, settings, signal }: SetupOptions): Promise<SetupDone> {
  const { id, root, path } = workspace;
  const plan = await planApprovedSetup(host.context.store.db, workspace, settings);
  const files = await putFiles(host, { root, path, backend: workspace.backend as BackendKey }, plan);
  const ports = await leasePorts(host, id, plan.ports);
  const command = plan.command && (await runIn(host, { workspace, settings, signal }, plan.command.command, ports));
  return { ...files, ports, command };
}

function runIn(
  host: Host,
  { workspace, settings, signal }: SetupOptions,
  command: string,
  ports: readonly number[],
): Promise<CommandRun> {
  const { workstream, agent, path } = workspace;
  const env = { MU_WORKSTREAM: workstream, MU_AGENT: agent, ...variables(workspace, ports) };
  const timeoutMs = settings.timeoutSeconds * 1000;
  return runSetupCommand(host, { workstream, agent, path, command, env, timeoutMs, signal });
}

/** How the checkout of a workspace is created; `before` faults `setup.failed`. */
export function checkoutOptions(host: Host, options: SetupOptions): Omit<CreateOptions, "from"> {
  const { hooks, beforeCheckout: command } = options.settings;
  return command === null ? { hooks } : { hooks, before: () => runIn(host, options, command, []) };
}

/** As `planSetup` for the folder `from`, by default the project's; faults `setup.not_approved` too. */
export async function planApprovedSetup(
  db: Reader,
  { root, workstream, from = root }: { root: string; workstream: string; from?: string },
  settings: SetupSettings,
): Promise<SetupPlan> {
  const plan = await planSetup(from, settings);
  if (plan.command?.from === REPOSITORY_FILE)
    await requireApproved(db, { root, command: plan.command.command }, workstream);
  return plan;
}

const variables = ({ path, root }: { path: string; root: string }, ports: readonly number[]) => ({
  MU_WORKSPACE: path,
  MU_PROJECT_ROOT: root,
  ...Object.fromEntries(ports.map((port, index) => [`MU_PORT_${index}`, String(port)])),
});

/** An agent's variables for its workspace: `MU_WORKSPACE`, `MU_PROJECT_ROOT`, `MU_PORT_0` … None if `cwd` is elsewhere. */
export async function workspaceEnv(host: Host, ref: AgentRef, cwd: string): Promise<Record<string, string>> {
  const { db } = host.context.store;
  const row = await findWorkspaceRow(db, ref);
  if (row === undefined || !`${cwd}${sep}`.startsWith(`${row.path}${sep}`)) return {};
  return variables(row, await portsOf(db, row.id));
}

import { mkdir, readdir, realpath } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { type RowOf, write } from "../db/write.js";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import { type AgentRef, checkAgentName, qualifiedName, quote, shellWord } from "../names.js";
import { detectBackend, getBackend } from "../vcs/backends.js";
import type { BackendKey, VcsBackend } from "../vcs/vcs.js";
import { readSettings, type SetupSettings } from "../workstreams/settings.js";
import { namingBranchSetting, workstreamRow } from "../workstreams/workstream.js";
import { closeRow, removeWorkspace } from "./free.js";
import { endHold, insertHold, newHolder, withHold } from "./hold.js";
import { requireApproved } from "./setup/command.js";
import { planSetup, REPOSITORY_FILE } from "./setup/plan.js";
import { setUpWorkspace } from "./setup/setup.js";
import {
  checkoutOf,
  findWorkspaceRow,
  toWorkspace,
  type Workspace,
  type WorkspaceRow,
  workspaceExists,
  workspacePath,
} from "./workspace.js";

export interface WorkspaceWishes {
  /** The project's folder, absolute. */
  projectRoot: string;
  /** Without it the one that the folder has: jj, sl, git, else `none`. */
  backend?: BackendKey | undefined;
  /** Where it begins; without it at the target branch. */
  from?: string | undefined;
  /** Ends the setup's command. */
  signal?: AbortSignal | undefined;
}

/** What is known before anything is done. */
interface WorkspacePlan {
  backend: VcsBackend;
  root: string;
  branch: string | null;
  path: string;
  from: string | undefined;
  setup: SetupSettings;
  signal: AbortSignal | undefined;
}

/**
 * Makes a checkout of the project for an agent, who need not be there yet, and sets it up. Whatever fails takes back
 * what was done. What a crash left half made is taken away first and made anew.
 *
 * Faults: `workstream.not_found`, `agent.invalid_name`, `workspace.exists`, `workspace.in_progress`,
 * `workspace.path_not_empty`, `workspace.home_as_root`, `workspace.no_repository`, and those of the backend and of the
 * setup.
 */
export async function createWorkspace(host: Host, ref: AgentRef, wishes: WorkspaceWishes): Promise<Workspace> {
  checkAgentName(ref.name);
  await workstreamRow(host.context.store.db, ref.workstream);
  const known = await findWorkspaceRow(host.context.store.db, ref);
  if (known?.state === "ready") throw workspaceExists(known);
  const plan = await planWorkspace(host, ref, wishes, known);
  if (known !== undefined) await withHold(host, known, () => removeWorkspace(host, known, "workspace create"));
  return buildWorkspace(host, ref, plan);
}

/** Finds out where a workspace goes and what it is a checkout of; nothing is changed. Faults as `createWorkspace`. */
export async function planWorkspace(
  host: Host,
  ref: AgentRef,
  wishes: WorkspaceWishes,
  leftover: WorkspaceRow | undefined,
): Promise<WorkspacePlan> {
  const { backend, root } = await findProject(host, ref, wishes);
  if (backend.key === "none" && (await isHome(host, root))) throw homeAsRoot(ref, root);
  const { settings } = await workstreamRow(host.context.store.db, ref.workstream);
  const { branch, setup } = readSettings(settings);
  await requireSetup(host, ref, root, setup);
  const look = () => backend.target(host, root, branch ?? undefined);
  const target = await (branch === null ? look() : namingBranchSetting(ref.workstream, branch, look));
  const path = await choosePath(host, ref, leftover);
  return { backend, root, branch: target?.branch ?? null, path, from: wishes.from, setup, signal: wishes.signal };
}

/** What the setup would refuse is refused before anything is taken away for it. */
async function requireSetup(host: Host, ref: AgentRef, root: string, settings: SetupSettings): Promise<void> {
  const { command } = await planSetup(root, settings);
  if (command?.from !== REPOSITORY_FILE) return;
  await requireApproved(host.context.store.db, { root, command: command.command }, ref.workstream);
}

async function findProject(
  host: Host,
  ref: AgentRef,
  { backend: key, projectRoot }: WorkspaceWishes,
): Promise<{ backend: VcsBackend; root: string }> {
  if (key === undefined) return detectBackend(host, projectRoot);
  const backend = getBackend(key);
  const root = await backend.findRoot(host, projectRoot);
  if (root === undefined) throw noRepository(ref, key, projectRoot);
  return { backend, root };
}

async function isHome(host: Host, root: string): Promise<boolean> {
  const home = host.env["HOME"];
  if (home === undefined) return false;
  const real = (path: string) => realpath(path).catch(() => resolve(path));
  return (await real(home)) === (await real(root));
}

/** An agent that was renamed keeps its folder, so that a new one of its name takes the next. */
async function choosePath(host: Host, ref: AgentRef, leftover: WorkspaceRow | undefined): Promise<string> {
  const first = workspacePath(host.stateDir, ref);
  const rows = await host.context.store.db
    .selectFrom("workspaces")
    .select("path")
    .where("freed_at", "is", null)
    .where("path", "like", `${first}%`)
    .execute();
  const taken = new Set(rows.map((row) => row.path).filter((path) => path !== leftover?.path));
  let path = first;
  for (let n = 2; taken.has(path); n++) path = `${first}-${n}`;
  if (path === leftover?.path || (await isEmpty(path))) return path;
  throw pathNotEmpty(path);
}

async function isEmpty(path: string): Promise<boolean> {
  const names = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    if (error.code === "ENOTDIR") return ["."];
    throw error;
  });
  return names.length === 0;
}

/** Reserves the row, makes the checkout, sets it up, confirms. `replaced` is closed in the write that reserves. */
export async function buildWorkspace(
  host: Host,
  ref: AgentRef,
  plan: WorkspacePlan,
  replaced?: WorkspaceRow,
): Promise<Workspace> {
  const holder = await newHolder(host);
  try {
    const row = await reserve(host, ref, plan, { holder, replaced });
    try {
      await prepareParent(plan.path);
      const { base } = await plan.backend.create(host, checkoutOf(row), { from: plan.from });
      await setUpWorkspace(host, { workspace: row, settings: plan.setup, signal: plan.signal });
      return await confirm(host, row, { base, holder });
    } catch (error) {
      // The fault that ended it is the one to tell; what is left is half made, and known as such.
      await removeWorkspace(host, row, "workspace create").catch(() => {});
      throw error;
    }
  } finally {
    await endHold(host, holder);
  }
}

async function reserve(
  host: Host,
  ref: AgentRef,
  { backend, root, branch, path }: WorkspacePlan,
  { holder, replaced }: { holder: string; replaced: WorkspaceRow | undefined },
): Promise<WorkspaceRow> {
  return write(host.context, createSpec(ref), async (tx) => {
    const workstream = await workstreamRow(tx.db, ref.workstream);
    if (replaced !== undefined) await closeRow(tx, replaced.id);
    const open = await findWorkspaceRow(tx.db, ref);
    if (open !== undefined) throw workspaceExists(open);
    const row: RowOf<"workspaces"> = await tx.insert("workspaces", {
      workstream_id: workstream.id,
      agent: ref.name,
      backend: backend.key,
      root,
      path,
      base_ref: null,
      branch,
      state: "creating",
      freed_at: null,
    });
    await insertHold(tx.db, { workspace: row.id, holder, now: tx.now });
    return { ...row, workstream: ref.workstream };
  });
}

function createSpec(ref: AgentRef) {
  return { op: "workspace.create", scope: ref.workstream, subject: qualifiedName(ref) };
}

/** Work in progress is nobody else's to read. */
async function prepareParent(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Fault(
      "unavailable",
      "workspace.no_folder",
      `The folder ${quote(dirname(path))} cannot be made: ${error instanceof Error ? error.message : error}.`,
      [{ intent: "See how full the disk is", command: "df -h" }],
    );
  }
}

async function confirm(
  host: Host,
  row: WorkspaceRow,
  { base, holder }: { base: string | null; holder: string },
): Promise<Workspace> {
  const ref = { workstream: row.workstream, name: row.agent };
  const ready = await write(host.context, createSpec(ref), async (tx) => {
    await tx.db.deleteFrom("workspace_holds").where("holder", "=", holder).execute();
    return tx.patch("workspaces", row.id, { state: "ready", base_ref: base });
  });
  return toWorkspace({ ...ready, workstream: row.workstream });
}

function pathNotEmpty(path: string): Fault {
  return new Fault(
    "conflict",
    "workspace.path_not_empty",
    `There is something in ${quote(path)} already, and it is no workspace that mu knows.`,
    [
      { intent: "See what lies around there", command: "mu workspace orphans" },
      { intent: "Save it and take it away", command: "mu workspace orphans --yes" },
    ],
    { path },
  );
}

function homeAsRoot(ref: AgentRef, root: string): Fault {
  return new Fault(
    "conflict",
    "workspace.home_as_root",
    `${quote(root)} is your home folder: a copy of all of it is no workspace.`,
    [
      {
        intent: "Name the project's folder",
        command: `mu workspace create ${qualifiedName(ref)} --project-root <folder>`,
      },
    ],
    { root },
  );
}

function noRepository(ref: AgentRef, backend: BackendKey, folder: string): Fault {
  const again = `mu workspace create ${qualifiedName(ref)} --project-root ${shellWord(folder)}`;
  return new Fault(
    "conflict",
    "workspace.no_repository",
    `${quote(folder)} is in no repository of ${backend}.`,
    [
      { intent: "Take whatever the folder has", command: again },
      { intent: "Work in a copy", command: `${again} --backend none` },
    ],
    { backend, folder },
  );
}

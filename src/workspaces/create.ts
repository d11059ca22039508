import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { type Tx, write } from "../db/write.js";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import { type AgentRef, checkAgentName, qualifiedName, quote, shellWord } from "../names.js";
import { newHolder } from "../processes.js";
import { detectBackend, getBackend } from "../vcs/backends.js";
import { isTaken, realPath } from "../vcs/folders.js";
import type { BackendKey, VcsBackend } from "../vcs/vcs.js";
import { readSettings, type SetupSettings } from "../workstreams/settings.js";
import { namingBranchSetting, workstreamRow } from "../workstreams/workstream.js";
import { closeWorkspaceIn, removeWorkspace } from "./free.js";
import { endHold, insertHold, withHold } from "./hold.js";
import { checkoutOptions, planApprovedSetup, setUpWorkspace } from "./setup/setup.js";
import {
  aboutWorkspace,
  findWorkspaceRow,
  ownBranch,
  toWorkspace,
  type Workspace,
  type WorkspaceRow,
  workspaceExists,
  workspacePath,
} from "./workspace.js";

export interface WorkspaceWishes {
  /** The project's folder, an absolute path. */
  projectRoot: string;
  /** Default: detected in the order jj, sl, git, `none`. */
  backend?: BackendKey | undefined;
  /** Where it starts; default: the target branch. */
  from?: string | undefined;
  /** Aborts the setup command. */
  signal?: AbortSignal | undefined;
}

/** A checked request for a workspace. */
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
 * Creates and sets up a checkout of the project for an agent, which need not exist yet. If anything fails, it is undone.
 * What an interrupted run left is removed first.
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

/** Checks a request without changing anything. Faults as `createWorkspace`. */
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
  // Refuses what the setup would refuse, before anything is removed.
  await planApprovedSetup(host.context.store.db, { root, workstream: ref.workstream }, setup);
  const findTarget = () => backend.target(host, root, branch ?? undefined);
  const target = await (branch === null ? findTarget() : namingBranchSetting(ref.workstream, branch, findTarget));
  const path = await choosePath(host, ref, leftover);
  const from = wishes.from ?? target?.commit;
  return { backend, root, branch: target?.branch ?? null, path, from, setup, signal: wishes.signal };
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
  return home !== undefined && (await realPath(home)) === (await realPath(root));
}

/** A renamed agent keeps its folder, so a new agent of that name gets a numbered one. */
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
  if (path !== leftover?.path && (await isTaken(path))) throw pathNotEmpty(path);
  return path;
}

/** Reserves the row, creates the checkout, sets it up, and confirms. `replaced` is closed in the write that reserves. */
export async function buildWorkspace(
  host: Host,
  ref: AgentRef,
  plan: WorkspacePlan,
  replaced?: WorkspaceRow,
): Promise<Workspace> {
  const holder = await newHolder(host);
  try {
    const spec = aboutWorkspace("workspace.create", { workstream: ref.workstream, agent: ref.name });
    const row = await write(host.context, spec, (tx) => reserveWorkspaceIn(tx, ref, plan, { holder, replaced }));
    try {
      await prepareParent(plan.path);
      const setup = { workspace: row, settings: plan.setup, signal: plan.signal };
      const { base } = await plan.backend.create(host, row, {
        from: plan.from,
        branch: ownBranch(row),
        ...checkoutOptions(host, setup),
      });
      await setUpWorkspace(host, setup);
      return await write(host.context, spec, (tx) => confirmWorkspaceIn(tx, row, { base, holder }));
    } catch (error) {
      // Report the original fault; if removal fails too, reconcile finds the unfinished row.
      await removeWorkspace(host, row, "workspace create").catch(() => {});
      throw error;
    }
  } finally {
    await endHold(host, holder);
  }
}

/** Inserts a locked row in the state `creating`. Faults `workspace.exists`. */
export async function reserveWorkspaceIn(
  tx: Tx,
  ref: AgentRef,
  { backend, root, branch, path }: Pick<WorkspacePlan, "backend" | "root" | "branch" | "path">,
  { holder, replaced }: { holder: string; replaced: WorkspaceRow | undefined },
): Promise<WorkspaceRow> {
  const workstream = await workstreamRow(tx.db, ref.workstream);
  if (replaced !== undefined) await closeWorkspaceIn(tx, replaced.id);
  const open = await findWorkspaceRow(tx.db, ref);
  if (open !== undefined) throw workspaceExists(open);
  const row = await tx.insert("workspaces", {
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
}

/** Makes a reserved workspace `ready` and unlocks it. */
export async function confirmWorkspaceIn(
  tx: Tx,
  { id, workstream }: Pick<WorkspaceRow, "id" | "workstream">,
  { base, holder }: { base: string | null; holder: string },
): Promise<Workspace> {
  await tx.db.deleteFrom("workspace_holds").where("holder", "=", holder).execute();
  const ready = await tx.patch("workspaces", id, { state: "ready", base_ref: base });
  return toWorkspace({ ...ready, workstream });
}

/** Private: other users must not read work in progress. */
async function prepareParent(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Fault(
      "unavailable",
      "workspace.no_folder",
      `The folder ${quote(dirname(path))} cannot be created: ${error instanceof Error ? error.message : error}.`,
      [{ intent: "Check the disk", command: "df -h" }],
    );
  }
}

function pathNotEmpty(path: string): Fault {
  return new Fault(
    "conflict",
    "workspace.path_not_empty",
    `${quote(path)} exists, is not empty, and is not a known workspace.`,
    [
      { intent: "List orphaned folders", command: "mu workspace orphans" },
      { intent: "Save and remove them", command: "mu workspace orphans --yes" },
    ],
    { path },
  );
}

function homeAsRoot(ref: AgentRef, root: string): Fault {
  return new Fault(
    "conflict",
    "workspace.home_as_root",
    `${quote(root)} is your home directory; a workspace would copy all of it.`,
    [
      {
        intent: "Use the project's folder",
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
    `${quote(folder)} is not in a ${backend} repository.`,
    [
      { intent: "Detect the version control", command: again },
      { intent: "Work in a copy", command: `${again} --backend none` },
    ],
    { backend, folder },
  );
}

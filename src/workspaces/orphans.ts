import { readdir, realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import { shape, type TypeOf } from "../shape.js";
import { detectBackend, getBackend } from "../vcs/backends.js";
import type { BackendKey } from "../vcs/vcs.js";
import { removeWorkspace } from "./free.js";
import { isHeld, withHold } from "./hold.js";
import { SALVAGE, type Salvage, salvageWorkspace } from "./salvage.js";
import { checkoutOf, isThere, type WorkspaceRow, workspaceRows } from "./workspace.js";

/** Something that is out of step: a folder that no workspace is, or a workspace without its folder. */
export const WORKSPACE_ORPHAN = shape({
  kind: ["folder", "row"],
  workstream: "string",
  agent: "string",
  path: "string",
  /** What became of it: `found` when nobody was asked to do anything. */
  action: ["found", "removed", "left"],
  salvage: [SALVAGE, null],
  problem: "string | null",
});

export type WorkspaceOrphan = TypeOf<typeof WORKSPACE_ORPHAN>;

/**
 * Folders among the workspaces that no open row names, and ready rows whose folder is gone; of one workstream or of
 * all. Nothing is changed.
 */
export async function findWorkspaceOrphans(host: Host, workstream?: string): Promise<WorkspaceOrphan[]> {
  // The folders first: a workspace that is made meanwhile has its row before its folder.
  const found = await workspaceFolders(host.stateDir);
  const rows = await workspaceRows(host.context.store.db);
  const known = new Set(rows.map((row) => row.path));
  const folders = found.filter(({ path }) => !known.has(path));
  const lost: WorkspaceRow[] = [];
  for (const row of rows) if (row.state === "ready" && !(await isThere(row.path))) lost.push(row);
  return [
    ...folders.map((place) => ({ kind: "folder" as const, ...place, ...FOUND })),
    ...lost.map(({ workstream, agent, path }) => ({ kind: "row" as const, workstream, agent, path, ...FOUND })),
  ].filter((orphan) => workstream === undefined || orphan.workstream === workstream);
}

const FOUND = { action: "found", salvage: null, problem: null } as const;

async function workspaceFolders(stateDir: string): Promise<{ workstream: string; agent: string; path: string }[]> {
  const top = join(stateDir, "workspaces");
  const folders: { workstream: string; agent: string; path: string }[] = [];
  for (const workstream of await foldersIn(top)) {
    for (const agent of await foldersIn(join(top, workstream))) {
      folders.push({ workstream, agent, path: join(top, workstream, agent) });
    }
  }
  return folders;
}

async function foldersIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  // Hidden ones are what a backend keeps beside a workspace, or has not finished.
  return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith(".")).map((entry) => entry.name);
}

/** Saves and removes each; what cannot be saved is left, with the reason. */
export async function removeWorkspaceOrphans(host: Host, workstream?: string): Promise<WorkspaceOrphan[]> {
  const done: WorkspaceOrphan[] = [];
  for (const orphan of await findWorkspaceOrphans(host, workstream)) {
    try {
      const salvage = await (orphan.kind === "row" ? removeRow(host, orphan) : removeFolder(host, orphan));
      done.push({ ...orphan, action: "removed", salvage });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      done.push({ ...orphan, action: "left", problem: error.message });
    }
  }
  return done;
}

async function removeRow(host: Host, orphan: WorkspaceOrphan): Promise<Salvage | null> {
  const row = (await workspaceRows(host.context.store.db, orphan.workstream)).find((one) => one.path === orphan.path);
  if (row === undefined || (await isHeld(host, row.id))) return null;
  return withHold(host, row, () => removeWorkspace(host, row, "workspace orphans"));
}

/** A folder is saved as the workspace that it once was, into the repository that it says it is of. */
async function removeFolder(host: Host, { workstream, agent, path }: WorkspaceOrphan): Promise<Salvage | null> {
  const { backend, root } = (await isCheckout(path))
    ? await detectBackend(host, path)
    : { backend: getBackend("none"), root: (await getBackend("none").findRoot(host, path)) ?? path };
  const isOwnRepository = backend.key !== "none" && (await isSame(root, path));
  if (isOwnRepository) throw notACheckout(path);
  if ((await workspaceRows(host.context.store.db)).some((row) => row.path === path)) throw isKnownNow(path);
  const row = { ...NO_ROW, workstream, agent, path, root, backend: backend.key };
  const salvage = await salvageWorkspace(host, row, "workspace orphans");
  await getBackend(row.backend as BackendKey).remove(host, checkoutOf(row));
  return salvage;
}

const NO_ROW: Omit<WorkspaceRow, "workstream" | "agent" | "path" | "root" | "backend"> = {
  id: 0,
  workstream_id: 0,
  base_ref: null,
  branch: null,
  state: "ready",
  freed_at: null,
  created_at: "",
};

/** What a checkout has at its top; a plain folder may lie in somebody's repository and be nothing of it. */
const TIES = [".git", ".jj", ".sl", ".hg"];

async function isCheckout(path: string): Promise<boolean> {
  return (await Promise.all(TIES.map((tie) => isThere(join(path, tie))))).includes(true);
}

async function isSame(a: string, b: string): Promise<boolean> {
  return (await realpath(a)) === (await realpath(b));
}

function notACheckout(path: string): Fault {
  return new Fault(
    "conflict",
    "workspace.own_repository",
    `${basename(dirname(path))}/${basename(path)} is a repository of its own: removing it would remove its history.`,
    [{ intent: "Look at it", command: `git -C ${path} log --all --oneline` }],
  );
}

function isKnownNow(path: string): Fault {
  return new Fault("conflict", "workspace.changed", `${path} is a workspace that somebody has made meanwhile.`);
}

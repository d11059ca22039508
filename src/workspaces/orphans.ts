import { existsSync } from "node:fs";
import { readdir, realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { asFault, Fault } from "../errors.js";
import type { Host } from "../host.js";
import { shape, type TypeOf } from "../shape.js";
import { detectBackend, getBackend } from "../vcs/backends.js";
import { removeWorkspace } from "./free.js";
import { isHeld, withHold } from "./hold.js";
import { SALVAGE, type Salvage, salvageWorkspace } from "./salvage.js";
import { workspaceRows } from "./workspace.js";

/** A folder that belongs to no workspace, or a workspace without its folder. */
export const WORKSPACE_ORPHAN = shape({
  kind: ["folder", "row"],
  workstream: "string",
  agent: "string",
  path: "string",
  action: ["found", "removed", "left"],
  salvage: [SALVAGE, null],
  problem: "string | null",
});

export type WorkspaceOrphan = TypeOf<typeof WORKSPACE_ORPHAN>;

/** Finds folders that no open workspace has, and ready workspaces whose folder is gone, of one workstream or all. */
export async function findWorkspaceOrphans(host: Host, workstream?: string): Promise<WorkspaceOrphan[]> {
  // Folders first: a workspace that is being created has its row before its folder.
  const found = await workspaceFolders(host.stateDir);
  const rows = await workspaceRows(host.context.store.db);
  const known = new Set(rows.map((row) => row.path));
  const folders = found.filter(({ path }) => !known.has(path));
  const lost = rows.filter((row) => row.state === "ready" && !existsSync(row.path));
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
  // Backends keep hidden folders beside a workspace.
  return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith(".")).map((entry) => entry.name);
}

/** Saves and removes each; leaves what cannot be saved, with the reason. */
export async function removeWorkspaceOrphans(host: Host, workstream?: string): Promise<WorkspaceOrphan[]> {
  const done: WorkspaceOrphan[] = [];
  for (const orphan of await findWorkspaceOrphans(host, workstream)) {
    try {
      const salvage = await (orphan.kind === "row" ? removeRow(host, orphan) : removeFolder(host, orphan));
      done.push({ ...orphan, action: "removed", salvage });
    } catch (error) {
      done.push({ ...orphan, action: "left", problem: asFault(error).message });
    }
  }
  return done;
}

async function removeRow(host: Host, orphan: WorkspaceOrphan): Promise<Salvage | null> {
  const row = (await workspaceRows(host.context.store.db, orphan.workstream)).find((one) => one.path === orphan.path);
  if (row === undefined || (await isHeld(host, row.id))) return null;
  return withHold(host, row, () => removeWorkspace(host, row, "workspace orphans"));
}

/** Saves a folder as the workspace that it once was, in the repository that it belongs to. */
async function removeFolder(host: Host, { workstream, agent, path }: WorkspaceOrphan): Promise<Salvage | null> {
  const { backend, root } = isCheckout(path)
    ? await detectBackend(host, path)
    : { backend: getBackend("none"), root: (await getBackend("none").findRoot(host, path)) ?? path };
  const isOwnRepository = backend.key !== "none" && (await isSame(root, path));
  if (isOwnRepository) throw notACheckout(path);
  if ((await workspaceRows(host.context.store.db)).some((row) => row.path === path)) throw isKnownNow(path);
  const row = { workstream, agent, path, root, backend: backend.key, branch: null };
  const salvage = await salvageWorkspace(host, row, "workspace orphans", "goes");
  await backend.remove(host, row);
  return salvage;
}

/** What a checkout has at its top. A plain folder may lie in an unrelated repository. */
const MARKERS = [".git", ".jj", ".sl", ".hg"];

const isCheckout = (path: string) => MARKERS.some((name) => existsSync(join(path, name)));

async function isSame(a: string, b: string): Promise<boolean> {
  return (await realpath(a)) === (await realpath(b));
}

function notACheckout(path: string): Fault {
  return new Fault(
    "conflict",
    "workspace.own_repository",
    `${basename(dirname(path))}/${basename(path)} is a repository of its own; removing it would delete its history.`,
    [{ intent: "See its history", command: `git -C ${path} log --all --oneline` }],
  );
}

function isKnownNow(path: string): Fault {
  return new Fault("conflict", "workspace.changed", `${path} has become a workspace in the meantime.`);
}

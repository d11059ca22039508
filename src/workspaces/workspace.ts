import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import type { RowOf } from "../db/write.js";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import { type AgentRef, didYouMean, isAgentName, qualifiedName, quote } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { BACKENDS, type BackendKey, type Checkout } from "../vcs/vcs.js";
import { workstreamRow } from "../workstreams/workstream.js";

/** A checkout of the project for one agent, as everybody outside the database sees it. */
export const WORKSPACE = shape({
  agent: "string",
  workstream: "string",
  backend: BACKENDS,
  /** The repository, or the folder that was copied. */
  root: "string",
  path: "string",
  /** The commit that its own work begins behind; null for a copy. */
  baseRef: "string | null",
  /** The branch that its work lands on. */
  branch: "string | null",
  state: ["creating", "ready", "freeing"],
  createdAt: "string",
});

export type Workspace = TypeOf<typeof WORKSPACE>;

/** `creating` and `freeing` were begun and not ended: the same verb, or reconcile, finishes them. */
type WorkspaceState = "creating" | "ready" | "freeing";

export type WorkspaceRow = RowOf<"workspaces"> & { workstream: string };

/** Where a new workspace goes. */
export function workspacePath(stateDir: string, { workstream, name }: AgentRef): string {
  return join(stateDir, "workspaces", workstream, name);
}

const selectOpen = statement((db, { workstream, name }: AgentRef) =>
  db
    .selectFrom("workspaces as s")
    .innerJoin("workstreams as w", "w.id", "s.workstream_id")
    .selectAll("s")
    .select("w.name as workstream")
    .where("w.name", "=", workstream)
    .where("s.agent", "=", name)
    .where("s.freed_at", "is", null),
);

/** The open workspace of an agent, whatever its state; undefined when it has none. */
export async function findWorkspaceRow(db: Reader, ref: AgentRef): Promise<WorkspaceRow | undefined> {
  const [row] = await selectOpen(db, ref);
  return row;
}

/** The open workspace of an agent; faults `workstream.not_found`, `workspace.not_found` with near names. */
export async function workspaceRow(db: Reader, ref: AgentRef): Promise<WorkspaceRow> {
  const row = await findWorkspaceRow(db, ref);
  if (row !== undefined) return row;
  await workstreamRow(db, ref.workstream);
  const names = (await workspaceRows(db, ref.workstream)).map((known) => known.agent);
  throw new Fault(
    "missing",
    "workspace.not_found",
    `${quote(ref.name)} has no workspace in ${ref.workstream}.${didYouMean(ref.name, names)}`,
    [
      { intent: "See the workspaces", command: `mu workspace list -w ${ref.workstream}` },
      ...(isAgentName(ref.name) ? [{ intent: "Make one", command: `mu workspace create ${qualifiedName(ref)}` }] : []),
    ],
  );
}

/** The fault for an agent that has a workspace already; one that is not ready is in another process's hands. */
export function workspaceExists({ agent, workstream, path, state }: WorkspaceRow): Fault {
  const look = { intent: "See how it stands", command: `mu workspace list -w ${workstream}` };
  if (state !== "ready") {
    const what = state === "creating" ? "making" : "freeing";
    const message = `Another process is ${what} the workspace of ${quote(agent)} in ${workstream}: ${path}.`;
    return new Fault("conflict", "workspace.exists", message, [look], { path, state });
  }
  return new Fault(
    "conflict",
    "workspace.exists",
    `${quote(agent)} has a workspace in ${workstream} already: ${path}.`,
    [
      look,
      { intent: "Put it on the newest state of its branch", command: `mu workspace refresh ${workstream}/${agent}` },
      { intent: "Make it anew; its work is saved first", command: `mu workspace recreate ${workstream}/${agent}` },
    ],
    { path, state },
  );
}

/** The workspace that an agent of that name had last, open or freed; undefined when there was none. */
export async function newestWorkspaceRow(db: Reader, ref: AgentRef): Promise<WorkspaceRow | undefined> {
  return db
    .selectFrom("workspaces as s")
    .innerJoin("workstreams as w", "w.id", "s.workstream_id")
    .selectAll("s")
    .select("w.name as workstream")
    .where("w.name", "=", ref.workstream)
    .where("s.agent", "=", ref.name)
    .orderBy("s.id", "desc")
    .limit(1)
    .executeTakeFirst();
}

/** All open workspaces, of one workstream or of all, by workstream and agent. */
export async function workspaceRows(db: Reader, workstream?: string): Promise<WorkspaceRow[]> {
  let query = db
    .selectFrom("workspaces as s")
    .innerJoin("workstreams as w", "w.id", "s.workstream_id")
    .selectAll("s")
    .select("w.name as workstream")
    .where("s.freed_at", "is", null)
    .orderBy("w.name")
    .orderBy("s.agent");
  if (workstream !== undefined) query = query.where("w.name", "=", workstream);
  return query.execute();
}

/** The public shape of a row. */
export function toWorkspace(row: WorkspaceRow): Workspace {
  return {
    agent: row.agent,
    workstream: row.workstream,
    backend: row.backend as BackendKey,
    root: row.root,
    path: row.path,
    baseRef: row.base_ref,
    branch: row.branch,
    state: row.state as WorkspaceState,
    createdAt: row.created_at,
  };
}

/** The place on disk that a row stands for. */
export function checkoutOf(row: { root: string; path: string }): Checkout {
  return { root: row.root, path: row.path };
}

/** Whether the folder is there. */
export function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/**
 * The workspace when it can be worked with. Faults `workspace.not_found`, `workspace.not_ready`,
 * `workspace.folder_gone`.
 */
export async function readyRow(host: Host, ref: AgentRef): Promise<WorkspaceRow> {
  const row = await workspaceRow(host.context.store.db, ref);
  if (row.state === "ready" && (await isThere(row.path))) return row;
  if (row.state === "ready") throw folderGone(row);
  throw new Fault(
    "conflict",
    "workspace.not_ready",
    `The workspace of ${quote(ref.name)} is ${row.state}: that was begun and has not ended.`,
    row.state === "creating"
      ? [{ intent: "Make it", command: `mu workspace create ${ref.workstream}/${ref.name}` }]
      : [{ intent: "Free it", command: `mu workspace free ${ref.workstream}/${ref.name}` }],
    { state: row.state },
  );
}

function folderGone({ workstream, agent, path }: WorkspaceRow): Fault {
  return new Fault(
    "missing",
    "workspace.folder_gone",
    `The workspace of ${quote(agent)} has lost its folder: ${path}.`,
    [
      {
        intent: "Save what it had committed, and make it anew",
        command: `mu workspace recreate ${workstream}/${agent}`,
      },
      { intent: "Save that, and have none", command: `mu workspace free ${workstream}/${agent}` },
    ],
    { path },
  );
}

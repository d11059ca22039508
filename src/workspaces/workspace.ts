import { existsSync } from "node:fs";
import { join } from "node:path";
import { fromRow } from "../db/from-row.js";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import type { RowOf, WriteSpec } from "../db/write.js";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import { type AgentRef, didYouMean, isAgentName, qualifiedName, quote } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { BACKENDS } from "../vcs/vcs.js";
import { workstreamRow } from "../workstreams/workstream.js";

/** A checkout of the project for one agent. */
export const WORKSPACE = shape({
  agent: "string",
  workstream: "string",
  backend: BACKENDS,
  /** The repository, or the copied folder. */
  root: "string",
  path: "string",
  /** The commit that its own work starts from; null for a copy. */
  baseRef: "string | null",
  /** The branch that its work lands on. */
  branch: "string | null",
  /** `creating` and `freeing` are unfinished: running the same command again, or reconcile, finishes them. */
  state: ["creating", "ready", "freeing"],
  createdAt: "string",
});

export type Workspace = TypeOf<typeof WORKSPACE>;

export type WorkspaceRow = RowOf<"workspaces"> & { workstream: string };

export function workspacePath(stateDir: string, { workstream, name }: AgentRef): string {
  return join(stateDir, "workspaces", workstream, name);
}

/** The branch that a workspace is on, where its version control has such a thing. */
export function ownBranch({ workstream, agent }: Pick<WorkspaceRow, "workstream" | "agent">): string {
  return `mu/${workstream}/${agent}`;
}

const withWorkstream = (db: Reader) =>
  db
    .selectFrom("workspaces as s")
    .innerJoin("workstreams as w", "w.id", "s.workstream_id")
    .selectAll("s")
    .select("w.name as workstream");

const selectOpen = statement((db, { workstream, name }: AgentRef) =>
  withWorkstream(db).where("w.name", "=", workstream).where("s.agent", "=", name).where("s.freed_at", "is", null),
);

/** The open workspace of an agent in any state. */
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
      { intent: "List the workspaces", command: `mu workspace list -w ${ref.workstream}` },
      ...(isAgentName(ref.name)
        ? [{ intent: "Create one", command: `mu workspace create ${qualifiedName(ref)}` }]
        : []),
    ],
  );
}

/** The fault for an agent that already has a workspace; unless it is ready, another process is working on it. */
export function workspaceExists({ agent, workstream, path, state }: WorkspaceRow): Fault {
  const look = { intent: "See its state", command: `mu workspace list -w ${workstream}` };
  const whenReady = [
    { intent: "Rebase it onto its branch", command: `mu workspace refresh ${workstream}/${agent}` },
    { intent: "Recreate it; its work is saved first", command: `mu workspace recreate ${workstream}/${agent}` },
  ];
  const [message, nextSteps] =
    state === "ready"
      ? [`${quote(agent)} already has a workspace in ${workstream}: ${path}.`, [look, ...whenReady]]
      : [`Another process is ${state} the workspace of ${quote(agent)} in ${workstream}: ${path}.`, [look]];
  return new Fault("conflict", "workspace.exists", message, nextSteps, { path, state });
}

/** The agent's newest workspace, open or freed. */
export async function newestWorkspaceRow(db: Reader, ref: AgentRef): Promise<WorkspaceRow | undefined> {
  return withWorkstream(db)
    .where("w.name", "=", ref.workstream)
    .where("s.agent", "=", ref.name)
    .orderBy("s.id", "desc")
    .limit(1)
    .executeTakeFirst();
}

/** All open workspaces, of one workstream or all, ordered by workstream and agent. */
export async function workspaceRows(db: Reader, workstream?: string): Promise<WorkspaceRow[]> {
  let query = withWorkstream(db).where("s.freed_at", "is", null).orderBy("w.name").orderBy("s.agent");
  if (workstream !== undefined) query = query.where("w.name", "=", workstream);
  return query.execute();
}

export function aboutWorkspace(
  op: string,
  { workstream, agent }: Pick<WorkspaceRow, "workstream" | "agent">,
): WriteSpec {
  return { op, scope: workstream, subject: `${workstream}/${agent}` };
}

export function toWorkspace(row: WorkspaceRow): Workspace {
  return fromRow(WORKSPACE, row);
}

/** Workspaces of the same repository and branch, together. */
export function groupByTarget(rows: readonly WorkspaceRow[]): WorkspaceRow[][] {
  const groups = new Map<string, WorkspaceRow[]>();
  for (const row of rows) {
    const key = JSON.stringify([row.backend, row.root, row.branch]);
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()];
}

/** A workspace that is ready. Faults `workspace.not_found`, `workspace.not_ready`, `workspace.folder_gone`. */
export async function readyRow(host: Host, ref: AgentRef): Promise<WorkspaceRow> {
  const row = await workspaceRow(host.context.store.db, ref);
  if (row.state === "ready" && existsSync(row.path)) return row;
  if (row.state === "ready") throw folderGone(row);
  throw new Fault(
    "conflict",
    "workspace.not_ready",
    `The workspace of ${quote(ref.name)} is still ${row.state}.`,
    row.state === "creating"
      ? [{ intent: "Create it", command: `mu workspace create ${ref.workstream}/${ref.name}` }]
      : [{ intent: "Free it", command: `mu workspace free ${ref.workstream}/${ref.name}` }],
    { state: row.state },
  );
}

function folderGone({ workstream, agent, path }: WorkspaceRow): Fault {
  return new Fault(
    "missing",
    "workspace.folder_gone",
    `The folder of the workspace of ${quote(agent)} is gone: ${path}.`,
    [
      {
        intent: "Save its commits and recreate it",
        command: `mu workspace recreate ${workstream}/${agent}`,
      },
      { intent: "Save its commits and free it", command: `mu workspace free ${workstream}/${agent}` },
    ],
    { path },
  );
}

import { agentRows } from "../agents/agent.js";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import { type AgentRef, quote } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { getBackend } from "../vcs/backends.js";
import { type BackendKey, type Commit, STANDING, type Standing } from "../vcs/vcs.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { targetOf } from "./target.js";
import {
  checkoutOf,
  readyRow,
  toWorkspace,
  WORKSPACE,
  type Workspace,
  type WorkspaceRow,
  workspaceRows,
} from "./workspace.js";

/** A workspace and how it stands; the numbers are null where they cannot be told. */
export const LISTED_WORKSPACE = shape({
  ...WORKSPACE,
  ...STANDING,
  /** The agent's status as last seen; null when there is no such agent now. */
  agentStatus: "string | null",
  /** Why nothing can be told about it. */
  problem: "string | null",
});

export type ListedWorkspace = TypeOf<typeof LISTED_WORKSPACE>;

/**
 * All open workspaces of a workstream, or of all, with how far each is from where its work lands: the repository is
 * asked once for all that are of it. Faults `workstream.not_found`.
 */
export async function listWorkspaces(host: Host, workstream?: string): Promise<ListedWorkspace[]> {
  const { db } = host.context.store;
  if (workstream !== undefined) await workstreamRow(db, workstream);
  const rows = await workspaceRows(db, workstream);
  if (rows.length === 0) return [];
  const agents = await agentRows(db, workstream ?? null);
  const standings = await standingsOf(host, rows);
  return rows.map((row) => {
    const { path: _, problem, ...standing } = standings.get(row.path) ?? unknown(row.path, null);
    const agent = agents.find((one) => one.workstream === row.workstream && one.name === row.agent);
    return { ...toWorkspace(row), ...standing, agentStatus: agent?.status ?? null, problem };
  });
}

/** A standing, and why there is none. */
type KnownStanding = Standing & { problem: string | null };

/** How these workspaces stand, by path: one question a repository and branch. */
export async function standingsOf(host: Host, rows: readonly WorkspaceRow[]): Promise<Map<string, KnownStanding>> {
  const groups = new Map<string, WorkspaceRow[]>();
  for (const row of rows) {
    const key = JSON.stringify([row.backend, row.root, row.branch]);
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const found = await Promise.all([...groups.values()].map((group) => standingsOfGroup(host, group)));
  return new Map(found.flat().map((standing) => [standing.path, standing]));
}

async function standingsOfGroup(host: Host, rows: readonly WorkspaceRow[]): Promise<KnownStanding[]> {
  const [first] = rows;
  if (first === undefined) return [];
  const backend = getBackend(first.backend as BackendKey);
  const paths = rows.map((row) => row.path);
  try {
    const target = await targetOf(host, backend, first);
    const found = await backend.standings(host, first.root, paths, target);
    return found.map((standing) => ({ ...standing, problem: null }));
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return paths.map((path) => unknown(path, error.message));
  }
}

function unknown(path: string, problem: string | null): KnownStanding {
  return { path, present: false, head: null, behind: null, ahead: null, dirty: null, underway: null, problem };
}

interface WorkspaceCommits {
  workspace: Workspace;
  /** What they are counted from. */
  since: string;
  commits: Commit[];
}

/**
 * The commits of an agent's workspace, oldest first: since its base, or since `since`. Faults `workspace.not_found`,
 * `workspace.not_ready`, `vcs.required` for a copy, `vcs.unknown_ref`.
 */
export async function workspaceCommits(host: Host, ref: AgentRef, since?: string): Promise<WorkspaceCommits> {
  const row = await readyRow(host, ref);
  const backend = getBackend(row.backend as BackendKey);
  const from = since ?? (await baseOf(host, row));
  const commits = await backend.commits(host, checkoutOf(row), from);
  return { workspace: toWorkspace(row), since: from, commits };
}

/**
 * All changes of an agent's workspace as a patch, uncommitted ones and new files included. Faults as
 * `workspaceCommits`.
 */
export async function workspaceDiff(
  host: Host,
  ref: AgentRef,
  options: { since?: string | undefined; stat?: boolean } = {},
): Promise<{ workspace: Workspace; since: string; text: string }> {
  const row = await readyRow(host, ref);
  const since = options.since ?? (await baseOf(host, row));
  const backend = getBackend(row.backend as BackendKey);
  const text = await backend.diff(host, checkoutOf(row), since, { stat: options.stat ?? false });
  return { workspace: toWorkspace(row), since, text };
}

/** What the agent's own work begins behind. */
async function baseOf(host: Host, row: WorkspaceRow): Promise<string> {
  if (row.base_ref !== null) return row.base_ref;
  const target = await targetOf(host, getBackend(row.backend as BackendKey), row);
  if (target !== null) return target.commit;
  throw new Fault(
    "conflict",
    "vcs.required",
    `The workspace of ${quote(row.agent)} is a copy: it has no commits to compare with.`,
    [{ intent: "Compare it by hand", command: `diff -r ${row.root} ${row.path}` }],
  );
}

import { agentRows } from "../agents/agent.js";
import { asFault, Fault } from "../errors.js";
import type { Host } from "../host.js";
import { type AgentRef, quote } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { getBackend } from "../vcs/backends.js";
import { type Commit, STANDING, type Standing } from "../vcs/vcs.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { targetOf } from "./target.js";
import {
  groupByTarget,
  readyRow,
  toWorkspace,
  WORKSPACE,
  type Workspace,
  type WorkspaceRow,
  workspaceRows,
} from "./workspace.js";

/** A workspace and its standing; numbers are null if unknown. */
export const LISTED_WORKSPACE = shape({
  ...WORKSPACE,
  ...STANDING,
  /** The agent's last known status; null if there is no such agent. */
  agentStatus: "string | null",
  /** Why it could not be read, if so. */
  problem: "string | null",
});

export type ListedWorkspace = TypeOf<typeof LISTED_WORKSPACE>;

/**
 * All open workspaces of a workstream, or of all, with how far each is from its target. Reads each repository once.
 * Faults `workstream.not_found`.
 */
export async function listWorkspaces(host: Host, workstream?: string): Promise<ListedWorkspace[]> {
  const { db } = host.context.store;
  if (workstream !== undefined) await workstreamRow(db, workstream);
  const rows = await workspaceRows(db, workstream);
  if (rows.length === 0) return [];
  const agents = await agentRows(db, workstream ?? null);
  const standings = await standingsOf(host, rows);
  return rows.map((row) => {
    const { path: _, ...standing } = standings.get(row.path) ?? unknown(row.path, null);
    const agent = agents.find((one) => one.workstream === row.workstream && one.name === row.agent);
    return { ...toWorkspace(row), ...standing, agentStatus: agent?.status ?? null };
  });
}

/** A standing, or why there is none. */
type KnownStanding = Standing & { problem: string | null };

/** The standings of these workspaces, by path. */
export async function standingsOf(host: Host, rows: readonly WorkspaceRow[]): Promise<Map<string, KnownStanding>> {
  const found = await Promise.all(groupByTarget(rows).map((group) => standingsOfGroup(host, group)));
  return new Map(found.flat().map((standing) => [standing.path, standing]));
}

async function standingsOfGroup(host: Host, rows: readonly WorkspaceRow[]): Promise<KnownStanding[]> {
  const [first] = rows;
  if (first === undefined) return [];
  const backend = getBackend(first.backend);
  const paths = rows.map((row) => row.path);
  try {
    const target = await targetOf(host, host.context.store.db, first);
    const found = await backend.standings(host, first.root, paths, target);
    return found.map((standing) => ({ ...standing, problem: null }));
  } catch (error) {
    const { message } = asFault(error);
    return paths.map((path) => unknown(path, message));
  }
}

function unknown(path: string, problem: string | null): KnownStanding {
  return { path, present: false, head: null, behind: null, ahead: null, dirty: null, underway: null, problem };
}

/**
 * The commits of an agent's workspace since its base or `since`, oldest first. Faults `workspace.not_found`,
 * `workspace.not_ready`, `vcs.required` for a copy, `vcs.unknown_ref`.
 */
export async function workspaceCommits(
  host: Host,
  ref: AgentRef,
  since?: string,
): Promise<{ workspace: Workspace; since: string; commits: Commit[] }> {
  const row = await readyRow(host, ref);
  const from = since ?? (await baseOf(host, row));
  const commits = await getBackend(row.backend).commits(host, row, from);
  return { workspace: toWorkspace(row), since: from, commits };
}

/** All changes of an agent's workspace as a patch, including uncommitted and new files. Faults as `workspaceCommits`. */
export async function workspaceDiff(
  host: Host,
  ref: AgentRef,
  options: { since?: string | undefined; stat?: boolean } = {},
): Promise<{ workspace: Workspace; since: string; text: string }> {
  const row = await readyRow(host, ref);
  const since = options.since ?? (await baseOf(host, row));
  const text = await getBackend(row.backend).diff(host, row, since, { stat: options.stat ?? false });
  return { workspace: toWorkspace(row), since, text };
}

/** The commit that the agent's own work starts from. */
async function baseOf(host: Host, row: WorkspaceRow): Promise<string> {
  const base = row.base_ref ?? (await targetOf(host, host.context.store.db, row))?.commit;
  if (base !== undefined) return base;
  throw new Fault("conflict", "vcs.required", `The workspace of ${quote(row.agent)} is a copy and has no commits.`, [
    { intent: "Compare the folders", command: `diff -r ${row.root} ${row.path}` },
  ]);
}

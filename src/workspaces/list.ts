import { agentRows } from "../agents/agent.js";
import type { Crew } from "../agents/crew.js";
import { Fault } from "../errors.js";
import { getBackend } from "../vcs/backends.js";
import type { BackendKey, Standing } from "../vcs/vcs.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { targetOf } from "./salvage/salvage.js";
import { toWorkspace, type Workspace, type WorkspaceRow, workspaceRows } from "./workspace.js";

/** A workspace and how it stands; the numbers are null where they cannot be told. */
export interface ListedWorkspace extends Workspace, Omit<Standing, "path"> {
  /** The agent's status as last seen; null when there is no such agent now. */
  agentStatus: string | null;
  /** Why nothing can be told about it. */
  problem: string | null;
}

/**
 * All open workspaces of a workstream, or of all, with how far each is from where its work lands: the repository is
 * asked once for all that are of it. Faults `workstream.not_found`.
 */
export async function listWorkspaces(crew: Crew, workstream?: string): Promise<ListedWorkspace[]> {
  const { db } = crew.context.store;
  if (workstream !== undefined) await workstreamRow(db, workstream);
  const rows = await workspaceRows(db, workstream);
  if (rows.length === 0) return [];
  const agents = await agentRows(db, workstream ?? null);
  const standings = await standingsOf(crew, rows);
  return rows.map((row) => {
    const { path: _, problem, ...standing } = standings.get(row.path) ?? unknown(row.path, null);
    const agent = agents.find((one) => one.workstream === row.workstream && one.name === row.agent);
    return { ...toWorkspace(row), ...standing, agentStatus: agent?.status ?? null, problem };
  });
}

/** A standing, and why there is none. */
export type KnownStanding = Standing & { problem: string | null };

/** How these workspaces stand, by path: one question a repository and branch. */
export async function standingsOf(crew: Crew, rows: readonly WorkspaceRow[]): Promise<Map<string, KnownStanding>> {
  const groups = new Map<string, WorkspaceRow[]>();
  for (const row of rows) {
    const key = JSON.stringify([row.backend, row.root, row.branch]);
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const found = await Promise.all([...groups.values()].map((group) => standingsOfGroup(crew, group)));
  return new Map(found.flat().map((standing) => [standing.path, standing]));
}

async function standingsOfGroup(crew: Crew, rows: readonly WorkspaceRow[]): Promise<KnownStanding[]> {
  const [first] = rows;
  if (first === undefined) return [];
  const backend = getBackend(first.backend as BackendKey);
  const paths = rows.map((row) => row.path);
  try {
    const target = await targetOf(crew, backend, first);
    const found = await backend.standings(crew, first.root, paths, target);
    return found.map((standing) => ({ ...standing, problem: null }));
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return paths.map((path) => unknown(path, error.message));
  }
}

function unknown(path: string, problem: string | null): KnownStanding {
  return { path, present: false, head: null, behind: null, ahead: null, dirty: null, underway: null, problem };
}

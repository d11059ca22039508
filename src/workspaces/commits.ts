import type { Crew } from "../agents/crew.js";
import { Fault } from "../errors.js";
import { type AgentRef, quote } from "../names.js";
import { getBackend } from "../vcs/backends.js";
import type { BackendKey, Commit } from "../vcs/vcs.js";
import { readyRow } from "./refresh.js";
import { targetOf } from "./salvage/salvage.js";
import { checkoutOf, toWorkspace, type Workspace, type WorkspaceRow } from "./workspace.js";

export interface WorkspaceCommits {
  workspace: Workspace;
  /** What they are counted from. */
  since: string;
  commits: Commit[];
}

/**
 * The commits of an agent's workspace, oldest first: since its base, or since `since`. Faults `workspace.not_found`,
 * `workspace.not_ready`, `vcs.required` for a copy, `vcs.unknown_ref`.
 */
export async function workspaceCommits(crew: Crew, ref: AgentRef, since?: string): Promise<WorkspaceCommits> {
  const row = await readyRow(crew, ref);
  const backend = getBackend(row.backend as BackendKey);
  const from = since ?? (await baseOf(crew, row));
  const commits = await backend.commits(crew, checkoutOf(row), from);
  return { workspace: toWorkspace(row), since: from, commits };
}

/**
 * All changes of an agent's workspace as a patch, uncommitted ones and new files included. Faults as
 * `workspaceCommits`.
 */
export async function workspaceDiff(
  crew: Crew,
  ref: AgentRef,
  options: { since?: string | undefined; stat?: boolean } = {},
): Promise<{ workspace: Workspace; since: string; text: string }> {
  const row = await readyRow(crew, ref);
  const since = options.since ?? (await baseOf(crew, row));
  const backend = getBackend(row.backend as BackendKey);
  const text = await backend.diff(crew, checkoutOf(row), since, { stat: options.stat ?? false });
  return { workspace: toWorkspace(row), since, text };
}

/** What the agent's own work begins behind. */
async function baseOf(crew: Crew, row: WorkspaceRow): Promise<string> {
  if (row.base_ref !== null) return row.base_ref;
  const target = await targetOf(crew, getBackend(row.backend as BackendKey), row);
  if (target !== null) return target.commit;
  throw new Fault(
    "conflict",
    "vcs.required",
    `The workspace of ${quote(row.agent)} is a copy: it has no commits to compare with.`,
    [{ intent: "Compare it by hand", command: `diff -r ${row.root} ${row.path}` }],
  );
}

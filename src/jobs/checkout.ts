import { existsSync } from "node:fs";
import type { Crew } from "../agents/crew.js";
import { write } from "../db/write.js";
import { asFault, Fault, insteadOfFault } from "../errors.js";
import type { Host } from "../host.js";
import { enumerate, qualifiedName } from "../names.js";
import { taskRow } from "../tasks/task.js";
import type { VcsBackend } from "../vcs/vcs.js";
import { backendOf } from "../work/place.js";
import { refreshWorkspace } from "../workspaces/refresh.js";
import { targetOf } from "../workspaces/target.js";
import { findWorkspaceRow, type WorkspaceRow } from "../workspaces/workspace.js";
import type { JobRow } from "./job.js";

/** The folder of a job's checkout, if it has one that is there. */
export async function findCheckout(
  host: Host,
  { row }: Pick<JobRow, "row">,
  name = row.name,
): Promise<string | undefined> {
  const space = await findWorkspaceRow(host.context.store.db, { workstream: row.workstream, name });
  return space?.state === "ready" && existsSync(space.path) ? space.path : undefined;
}

/** The folder of a job's checkout. Faults `run.config`. */
export async function checkoutOf(host: Host, { row }: Pick<JobRow, "row">, name: string): Promise<string> {
  const path = await findCheckout(host, { row }, name);
  if (path !== undefined) return path;
  const message = `the checkout of ${row.name} is gone. Make it again with mu workspace create ${name} -w ${row.workstream}.`;
  throw new Fault("conflict", "run.config", message);
}

/** Puts the commits of a job's checkout on the newest state of its target; what conflicts stays as it is and is told. */
export async function bringUpToDate(crew: Crew, { row }: JobRow): Promise<string | null> {
  const space = await findWorkspaceRow(crew.context.store.db, row);
  if (space === undefined || space.backend === "none") return null;
  const backend = await backendOf(space);
  const target = await targetOf(crew, crew.context.store.db, space).catch(insteadOfFault(null));
  if (target === null) return null;
  const [standing] = await backend.standings(crew, space.root, [space.path], target);
  if (!standing?.behind) return null;
  try {
    await refreshWorkspace(crew, { workstream: row.workstream, name: space.agent });
    return null;
  } catch (error) {
    const { code, details } = asFault(error);
    const files = details["conflicts"];
    if (code !== "workspace.conflict" || !Array.isArray(files)) return null;
    return `Your checkout conflicts with ${target.branch} in ${enumerate(files.map(String))}. Rebase its commits onto ${target.branch} first, and keep what both mean.`;
  }
}

/** How many files of a job's checkout are not committed. */
export async function uncommittedIn(host: Host, { row }: JobRow): Promise<number> {
  const space = await findWorkspaceRow(host.context.store.db, row);
  if (space === undefined || space.backend === "none") return 0;
  const [standing] = await (await backendOf(space)).standings(host, space.root, [space.path], null);
  return standing?.dirty ?? 0;
}

/** Records the commits of the job's checkout as the work of its task, so that it can land. */
export async function recordWork(host: Host, { row }: JobRow): Promise<void> {
  const { db } = host.context.store;
  const space = await findWorkspaceRow(db, row);
  if (space?.state !== "ready" || space.base_ref === null) return;
  const backend = await backendOf(space);
  const head = await backend.head(host, space).catch(insteadOfFault(undefined));
  if (head == null || head === row.work_to) return;
  const from = await beginningOf(host, { row, space, backend, head });
  await backend.keep?.(host, space.root, qualifiedName(row), head);
  const columns = { work_agent: space.agent, work_root: space.root, work_from: from, work_to: head };
  const spec = { op: "job.work", scope: row.workstream, subject: qualifiedName(row) };
  await write(host.context, spec, async (tx) => {
    const now = await taskRow(tx.db, row);
    const takesWork = now.status === "OPEN" || (now.status === "CLOSED" && now.level !== "landed");
    if (takesWork) await tx.patch("tasks", now.id, { ...columns, updated_at: tx.now }, now);
  });
}

/** Where the work of a job begins: after what has landed of it, and after what an agent has rebased it onto. */
async function beginningOf(
  host: Host,
  { row, space, backend, head }: { row: JobRow["row"]; space: WorkspaceRow; backend: VcsBackend; head: string },
): Promise<string | null> {
  const known = row.work_from ?? space.base_ref;
  const target = await targetOf(host, host.context.store.db, space).catch(insteadOfFault(null));
  const found: { base: string; commits: number }[] = [];
  for (const from of [known, target?.commit]) {
    const since = from && (await backend.since?.(host, space, from, head).catch(insteadOfFault(undefined)));
    if (since && since.base !== null) found.push({ base: since.base, commits: since.commits.length });
  }
  return found.sort((a, b) => a.commits - b.commits)[0]?.base ?? known;
}

import type { Crew } from "../agents/crew.js";
import { targetOf } from "../salvage/salvage.js";
import { getBackend } from "../vcs/backends.js";
import type { BackendKey } from "../vcs/vcs.js";
import { checkoutOf, type WorkspaceRow } from "./workspace.js";

/**
 * Whether every commit that the workspace has and its target lacks is work of a task that has landed: a landing puts
 * commits on the target under other names.
 */
export async function isAllLanded(crew: Crew, row: WorkspaceRow): Promise<boolean> {
  const backend = getBackend(row.backend as BackendKey);
  const target = await targetOf(crew, backend, row);
  if (target === null) return false;
  const commits = (await backend.commits(crew, checkoutOf(row), target.commit)).map((commit) => commit.sha);
  const covered = new Set<string>();
  for (const { work_from, work_to } of await landedWork(crew, row)) {
    const last = commits.indexOf(work_to ?? "");
    const first = commits.indexOf(work_from ?? "") + 1;
    for (const sha of commits.slice(first, last + 1)) covered.add(sha);
  }
  return commits.every((sha) => covered.has(sha));
}

function landedWork(crew: Crew, row: WorkspaceRow) {
  return crew.context.store.db
    .selectFrom("tasks")
    .select(["work_from", "work_to"])
    .where("workstream_id", "=", row.workstream_id)
    .where("work_agent", "=", row.agent)
    .where("level", "=", "landed")
    .where("work_to", "is not", null)
    .execute();
}

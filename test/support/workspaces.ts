import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Context } from "../../src/db/context.js";
import { write } from "../../src/db/write.js";
import { workstreamRow } from "../../src/workstreams/workstream.js";
import type { Repository } from "./repository.js";
import { DEMO } from "./tasks.js";

/** A ready workspace of an agent of the demo workstream, a linked worktree at the target; gives its path. */
export async function openWorkspace(context: Context, repository: Repository, agent: string): Promise<string> {
  const path = join(repository.dir, "workspaces", agent);
  mkdirSync(join(repository.dir, "workspaces"), { recursive: true });
  await repository.git("worktree", "add", "--detach", path, "main");
  const base = await repository.git("rev-parse", "main");
  await recordWorkspace(context, { agent, backend: "git", root: repository.root, path, base_ref: base });
  return path;
}

/** The row of a ready workspace. */
export async function recordWorkspace(
  context: Context,
  row: { agent: string; backend: string; root: string; path: string; base_ref: string | null },
): Promise<void> {
  await write(context, { op: "workspace.create", scope: DEMO, subject: row.agent }, async (tx) => {
    const { id } = await workstreamRow(tx.db, DEMO);
    const branch = row.backend === "none" ? null : "main";
    await tx.insert("workspaces", { ...row, workstream_id: id, branch, state: "ready", freed_at: null });
  });
}

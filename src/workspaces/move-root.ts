import { existsSync } from "node:fs";
import { type Tx, write } from "../db/write.js";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import { quote } from "../names.js";
import { detectBackend, getBackend } from "../vcs/backends.js";
import type { Workstream } from "../workstreams/workstream.js";
import { getWorkstream, workstreamRow } from "../workstreams/workstream.js";
import { workspaceRows } from "./workspace.js";

/**
 * Sets the project's folder of a workstream. If the old one is gone, it was moved: workspaces, saves and tasks go along,
 * and git's links to the workspaces are repaired. Faults `workstream.not_found`, `vcs.no_folder`,
 * `workstream.other_repository` if the folder does not know the workspaces.
 */
export async function moveRoot(host: Host, workstream: string, folder: string): Promise<Workstream> {
  const { db } = host.context.store;
  const { root: old } = await workstreamRow(db, workstream);
  const { root } = await detectBackend(host, folder);
  const isMoved = old !== null && old !== root && !existsSync(old);
  if (isMoved) {
    const rows = (await workspaceRows(db, workstream)).filter((row) => row.root === old && existsSync(row.path));
    for (const { backend, path } of rows) {
      const known = await (getBackend(backend).relink?.(host, { root, path }) ?? true);
      if (!known) throw otherRepository(root, path);
    }
  }
  const spec = {
    op: "workstream.set",
    scope: workstream,
    subject: workstream,
    payload: { key: "root", value: folder },
  };
  await write(host.context, spec, (tx) => moveRootIn(tx, workstream, { folder, from: isMoved ? old : null, root }));
  return getWorkstream(db, workstream);
}

/** Sets the folder; what is in the repository `from`, if any, is in `root` from now on. */
export async function moveRootIn(
  tx: Tx,
  workstream: string,
  { folder, from, root }: { folder: string; from: string | null; root: string },
): Promise<void> {
  const { id } = await workstreamRow(tx.db, workstream);
  await tx.patch("workstreams", id, { root: folder });
  if (from === null) return;
  const workspaces = tx.db
    .selectFrom("workspaces")
    .selectAll()
    .where("workstream_id", "=", id)
    .where("root", "=", from);
  for (const row of await workspaces.execute()) await tx.patch("workspaces", row.id, { root }, row);
  const tasks = tx.db.selectFrom("tasks").selectAll().where("workstream_id", "=", id).where("work_root", "=", from);
  for (const row of await tasks.execute()) await tx.patch("tasks", row.id, { work_root: root }, row);
  const saves = tx.db.selectFrom("salvages").selectAll().where("workstream", "=", workstream).where("root", "=", from);
  for (const row of await saves.execute()) await tx.patch("salvages", row.id, { root }, row);
}

function otherRepository(root: string, path: string): Fault {
  return new Fault(
    "conflict",
    "workstream.other_repository",
    `The repository at ${quote(root)} does not know the workspace ${quote(path)}; nothing was changed.`,
    [{ intent: "See the workspaces and their repositories", command: "mu workspace list --json" }],
  );
}

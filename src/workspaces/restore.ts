import { existsSync } from "node:fs";
import type { TmuxHost } from "../agents/crew.js";
import { write } from "../db/write.js";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import { type AgentRef, shellWord } from "../names.js";
import { getBackend } from "../vcs/backends.js";
import { requireIdle, type WhileBusy } from "./busy.js";
import { createWorkspace } from "./create.js";
import { withHold } from "./hold.js";
import { standingsOf } from "./inspect.js";
import { dirtyWorkspace } from "./refresh.js";
import { type ListedSalvage, type Salvage, salvageWorkspace } from "./salvage.js";
import { findWorkspaceRow, readyRow, toWorkspace, type Workspace, type WorkspaceRow } from "./workspace.js";

interface Restored {
  workspace: Workspace;
  /** True if the workspace was created for this. */
  created: boolean;
  /** The workspace's own unlanded work, saved before. */
  saved: Salvage | null;
}

/**
 * Restores a salvage's commits and uncommitted files into an agent's clean workspace, creating it if necessary. Faults
 * `salvage.root_gone`, `workspace.dirty`, `workspace.other_repository`, `workspace.in_use`, `workspace.in_progress`, and those
 * of `createWorkspace` and of the backend.
 */
export async function restoreSalvage(
  crew: TmuxHost,
  salvage: ListedSalvage,
  ref: AgentRef,
  options: { whileBusy?: WhileBusy | undefined } = {},
): Promise<Restored> {
  const { backend, root } = salvage;
  const known = await findWorkspaceRow(crew.context.store.db, ref);
  const created = known === undefined || known.state !== "ready";
  if (created && !existsSync(root)) throw rootGone(salvage);
  if (created) await createWorkspace(crew, ref, { projectRoot: root, backend });
  const row = await readyRow(crew, ref);
  if (row.root !== root || row.backend !== backend) throw otherRepository(salvage, row);
  await requireIdle(crew, row, options.whileBusy);
  const saved = await withHold(crew, row, () => bringBack(crew, salvage, row));
  return { workspace: toWorkspace(row), created, saved };
}

async function bringBack(host: Host, salvage: ListedSalvage, row: WorkspaceRow): Promise<Salvage | null> {
  const backend = getBackend(salvage.backend);
  const checkout = { root: row.root, path: row.path };
  // What was there before a restore that was cut off is saved, and what is there now is of this save.
  const saved = (await backend.isRestoring?.(checkout, salvage.place)) ? null : await putAside(host, row);
  await backend.restore(host, checkout, salvage.place);
  const spec = { op: "salvage.restore", scope: row.workstream, subject: salvage.name };
  await write(host.context, spec, async (tx) => tx.addPayload({ into: `${row.workstream}/${row.agent}` }));
  return saved;
}

async function putAside(host: Host, row: WorkspaceRow): Promise<Salvage | null> {
  const standing = (await standingsOf(host, [row])).get(row.path);
  if ((standing?.dirty ?? 0) > 0) throw await dirtyWorkspace(host, row);
  return salvageWorkspace(host, row, "salvage restore", "goes");
}

function rootGone({ name, backend, root, place }: ListedSalvage): Fault {
  const unpack = `mkdir restored && tar -x -f ${shellWord(place)} -C restored --strip-components 1`;
  return new Fault(
    "missing",
    "salvage.root_gone",
    `${name} belongs to ${root}, which no longer exists.`,
    backend === "none" ? [{ intent: "Unpack its files here", command: unpack }] : [],
    { root, place },
  );
}

function otherRepository({ name, root }: ListedSalvage, row: WorkspaceRow): Fault {
  return new Fault(
    "conflict",
    "workspace.other_repository",
    `${name} belongs to ${root}, but the workspace of ${row.agent} belongs to ${row.root}.`,
    [{ intent: "Restore it elsewhere", command: `mu salvage restore ${name} --agent <another>` }],
  );
}

import { join } from "node:path";
import type { Crew } from "../agents/crew.js";
import type { Reader } from "../db/schema.js";
import { type RowOf, write } from "../db/write.js";
import { Fault } from "../errors.js";
import { getBackend } from "../vcs/backends.js";
import type { BackendKey, Saved, Target, VcsBackend } from "../vcs/vcs.js";
import { checkoutOf, type WorkspaceRow } from "../workspaces/workspace.js";

/** Work that was saved before its place was taken away. */
export interface Salvage {
  /** `<workstream>/<agent>/<n>`. */
  name: string;
  workstream: string;
  agent: string;
  n: number;
  backend: BackendKey;
  root: string;
  /** The ref, or the archive's path. */
  place: string;
  commit: string | null;
  /** Commits that were not landed. */
  commits: number;
  /** Files that were not committed. */
  files: number;
  /** The verb that took the place away. */
  reason: string;
  createdAt: string;
}

/**
 * Saves what a workspace has and its target lacks: commits and everything uncommitted. Null when there is nothing to
 * save. What is saved already is not saved twice. Called before anything takes a workspace's work away; when it
 * faults, that must not happen. Faults as the backend: `vcs.failed`, `vcs.locked`, `vcs.no_space`.
 */
export async function salvageWorkspace(crew: Crew, row: WorkspaceRow, reason: string): Promise<Salvage | null> {
  const backend = getBackend(row.backend as BackendKey);
  const target = await targetOf(crew, backend, row);
  const n = await nextNumber(crew, backend, row);
  const saved = await backend.save(crew, checkoutOf(row), {
    name: salvageName({ workstream: row.workstream, agent: row.agent, n }),
    target,
    archives: archivesFolder(crew.stateDir),
  });
  return saved === null ? null : recordSalvage(crew, row, { n, reason, saved });
}

/** Where the work of a workspace lands; null where there is no such branch any more, so that everything is saved. */
export async function targetOf(
  crew: Crew,
  backend: VcsBackend,
  { root, branch }: { root: string; branch: string | null },
): Promise<Target | null> {
  try {
    return await backend.target(crew, root, branch ?? undefined);
  } catch (error) {
    if (error instanceof Fault && (error.code === "vcs.no_target" || error.code === "vcs.unknown_ref")) return null;
    throw error;
  }
}

export function salvageName({ workstream, agent, n }: { workstream: string; agent: string; n: number }): string {
  return `${workstream}/${agent}/${n}`;
}

/** Archives of workspaces that no version control holds. */
export function archivesFolder(stateDir: string): string {
  return join(stateDir, "salvage");
}

/** Greater than any that the database or the repository knows: a crash may have left a ref without a row. */
async function nextNumber(crew: Crew, backend: VcsBackend, row: WorkspaceRow): Promise<number> {
  const { db } = crew.context.store;
  const prefix = `${row.workstream}/${row.agent}/`;
  const refs = (await backend.listSaved(crew, row.root)).filter(({ name }) => name.startsWith(prefix));
  const { last } = await db
    .selectFrom("salvages")
    .select((e) => e.fn.max("n").as("last"))
    .where("workstream", "=", row.workstream)
    .where("agent", "=", row.agent)
    .executeTakeFirstOrThrow();
  const taken = refs.map(({ name }) => Number(name.slice(prefix.length))).filter(Number.isInteger);
  return Math.max(0, Number(last ?? 0), ...taken) + 1;
}

async function recordSalvage(
  crew: Crew,
  row: WorkspaceRow,
  { n, reason, saved }: { n: number; reason: string; saved: Saved },
): Promise<Salvage> {
  const { workstream, agent } = row;
  const spec = { op: "salvage.save", scope: workstream, subject: `${workstream}/${agent}` };
  return write(crew.context, spec, async (tx) => {
    const known = await findByPlace(tx.db, row.root, saved);
    if (known !== undefined) return toSalvage(known);
    tx.about(salvageName({ workstream, agent, n }));
    const made = await tx.insert("salvages", {
      workstream,
      agent,
      n,
      backend: row.backend,
      root: row.root,
      place: saved.place,
      commit_id: saved.commit,
      commits: saved.commits,
      files: saved.files,
      reason,
    });
    return toSalvage(made);
  });
}

/** The same content has the same commit, wherever it is named. */
async function findByPlace(db: Reader, root: string, { place, commit }: Saved): Promise<RowOf<"salvages"> | undefined> {
  return db
    .selectFrom("salvages")
    .selectAll()
    .where("root", "=", root)
    .where((e) => e.or([e("place", "=", place), ...(commit === null ? [] : [e("commit_id", "=", commit)])]))
    .orderBy("id", "desc")
    .limit(1)
    .executeTakeFirst();
}

/** The public shape of a row. */
export function toSalvage(row: RowOf<"salvages">): Salvage {
  return {
    name: salvageName(row),
    workstream: row.workstream,
    agent: row.agent,
    n: row.n,
    backend: row.backend as BackendKey,
    root: row.root,
    place: row.place,
    commit: row.commit_id,
    commits: row.commits,
    files: row.files,
    reason: row.reason,
    createdAt: row.created_at,
  };
}

/** `2 commits and 3 files, as demo/w1/4`: what was saved, for people. */
export function tellSalvage({ commits, files, name }: Salvage): string {
  return `${tellWork({ commits, files })}, as ${name}`;
}

/** `2 commits and 3 files`. */
export function tellWork({ commits, files }: { commits: number; files: number }): string {
  const parts = [counted(commits, "commit"), counted(files, "file")].filter((part) => part !== undefined);
  return parts.length === 0 ? "nothing" : parts.join(" and ");
}

function counted(count: number, what: string): string | undefined {
  return count === 0 ? undefined : `${count} ${what}${count === 1 ? "" : "s"}`;
}

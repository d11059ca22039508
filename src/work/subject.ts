import { Fault } from "../errors.js";
import { detectBackend, getBackend } from "../vcs/backends.js";
import type { BackendKey, VcsWorld } from "../vcs/vcs.js";
import { checkoutOf, type WorkspaceRow } from "../workspaces/workspace.js";

/** What a check is about, as far as the version control system can tell. */
export interface Subject {
  commit: string | null;
  tree: string | null;
  /** True when there is more than `commit` has: files that are not committed. */
  dirty: boolean;
}

const UNKNOWN: Subject = { commit: null, tree: null, dirty: false };

/** What is in an owner's workspace now. */
export async function subjectOfWorkspace(world: VcsWorld, space: WorkspaceRow): Promise<Subject> {
  const snapshot = await getBackend(space.backend as BackendKey).snapshot(world, checkoutOf(space));
  return snapshot === undefined ? UNKNOWN : { commit: snapshot.head, tree: snapshot.tree, dirty: snapshot.dirty };
}

/** What is in the repository around `folder`; of a folder outside of any, nothing is known. */
export async function subjectOfFolder(world: VcsWorld, folder: string): Promise<Subject> {
  try {
    const { backend, root } = await detectBackend(world, folder);
    const snapshot = await backend.snapshot(world, { root, path: root });
    return snapshot === undefined ? UNKNOWN : { commit: snapshot.head, tree: snapshot.tree, dirty: snapshot.dirty };
  } catch (error) {
    if (error instanceof Fault) return UNKNOWN;
    throw error;
  }
}

/** True when two looks saw the same. */
export function isSameSubject(one: Subject, other: Subject): boolean {
  return one.commit === other.commit && one.tree === other.tree;
}

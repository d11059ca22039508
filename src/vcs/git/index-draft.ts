import { readlink, rename, rm, symlink, unlink } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { gitDirOf } from "./git-dir.js";
import { copyIndex } from "./private-index.js";
import { LOCK_WAITS, lockedFault } from "./run.js";

/** A copy of a checkout's index, to be changed while git's own lock keeps the index as it is. */
export interface IndexDraft {
  /** Makes git use the copy. */
  env: { GIT_INDEX_FILE: string };
  /** Puts the copy in the place of the index. */
  keep(): Promise<void>;
}

const DRAFT = "mu-landing.index";
/** What `index.lock` links to while mu holds it. No file has that name, and git never makes a link of its lock. */
const HOLDER = "mu-landing";

/**
 * Runs `work` on a copy of the index while the index is locked for everybody else. Only for the holder of the landing
 * lock: a lock of mu's that exists already is a dead holder's. Faults `vcs.locked`, `vcs.no_folder`.
 */
export async function withDraft<T>(path: string, work: (draft: IndexDraft) => Promise<T>): Promise<T> {
  const gitDir = await gitDirOf(path);
  const [index, draft, lock] = [join(gitDir, "index"), join(gitDir, DRAFT), join(gitDir, "index.lock")];
  await takeLock(path, lock);
  try {
    for (const old of [draft, `${draft}.lock`]) await rm(old, { force: true });
    await copyIndex(index, draft);
    return await work({ env: { GIT_INDEX_FILE: draft }, keep: () => rename(draft, index) });
  } finally {
    await rm(draft, { force: true });
    await unlink(lock);
  }
}

async function takeLock(path: string, lock: string): Promise<void> {
  for (const pause of [...LOCK_WAITS, null]) {
    try {
      return await symlink(HOLDER, lock);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    if ((await readlink(lock).catch(() => "")) === HOLDER) await unlink(lock);
    else if (pause === null) throw lockedFault("Landing", lock, { cwd: path });
    else await wait(pause);
  }
}

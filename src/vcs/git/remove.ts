import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../errors.js";
import { quote, shellWord } from "../../names.js";
import type { Checkout, VcsWorld } from "../vcs.js";
import { clearFolder } from "./clear.js";
import { BEING_MADE } from "./create.js";
import { findEntry, readText } from "./places.js";

/**
 * Takes a linked worktree away: its folder first, then what the repository knows of it, so that a run that was killed
 * finds its way again. By hand, because git refuses worktrees with submodules and half-made ones. Faults
 * `vcs.worktree_locked` when a person locked it.
 */
export async function remove(_world: VcsWorld, { root, path }: Checkout): Promise<void> {
  const entry = await findEntry(root, path);
  const reason = entry === undefined ? undefined : await readText(join(entry, "locked"));
  if (reason !== undefined && !BEING_MADE.includes(reason)) throw lockedByPerson(root, path, reason);
  await clearFolder(path);
  if (entry !== undefined) await rm(entry, { recursive: true, force: true });
}

function lockedByPerson(root: string, path: string, reason: string): Fault {
  const why = reason === "" ? "" : `: ${reason}`;
  return new Fault("conflict", "vcs.worktree_locked", `Somebody locked the worktree ${quote(path)}${why}.`, [
    { intent: "Unlock it", command: `git -C ${shellWord(root)} worktree unlock ${shellWord(path)}` },
  ]);
}

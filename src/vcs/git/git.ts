import type { VcsBackend } from "../vcs.js";
import { checkoutAround, headOf } from "./git-dir.js";
import { commits, contained, diff, since } from "./history.js";
import { keep, letGo } from "./kept.js";
import { leftovers } from "./leftovers.js";
import { loose, looseEnds, made } from "./loose.js";
import { refresh } from "./refresh.js";
import { describe, isRestoring, listSaved, restore } from "./restore.js";
import { save } from "./save.js";
import { snapshot } from "./snapshot.js";
import { spans } from "./spans.js";
import { standings } from "./standings.js";
import { findRoot, target } from "./target.js";
import { create, relink, remove } from "./worktree.js";

/** Workspaces as linked git worktrees, each on a branch of its own. */
export const git: VcsBackend = {
  key: "git",
  knowsItsSaves: true,
  findRoot,
  target,
  create,
  leftovers,
  remove,
  relink,
  standings,
  head: headOf,
  commits,
  since,
  contained,
  loose,
  looseEnds,
  made,
  checkoutAround,
  keep,
  letGo,
  diff,
  refresh,
  spans,
  snapshot,
  save,
  restore,
  isRestoring,
  describe,
  listSaved,
};

import type { VcsBackend } from "../vcs.js";
import { contained } from "./arrived.js";
import { create } from "./create.js";
import { headOf } from "./head.js";
import { commits, diff } from "./history.js";
import { letGo } from "./let-go.js";
import { refresh } from "./refresh.js";
import { remove } from "./remove.js";
import { describe, listSaved, restore } from "./restore.js";
import { save } from "./save.js";
import { keep, since } from "./since.js";
import { snapshot } from "./snapshot.js";
import { standings } from "./standings.js";
import { findRoot, target } from "./target.js";

/** Workspaces as linked git worktrees with a detached HEAD. */
export const git: VcsBackend = {
  key: "git",
  knowsItsSaves: true,
  findRoot,
  target,
  create,
  remove,
  standings,
  head: headOf,
  commits,
  since,
  contained,
  keep,
  letGo,
  diff,
  refresh,
  snapshot,
  save,
  restore,
  describe,
  listSaved,
};

import type { Exec } from "../exec.js";
import { shape, type TypeOf } from "../shape.js";

export const BACKENDS = ["git", "jj", "sl", "none"] as const;
export type BackendKey = (typeof BACKENDS)[number];

/** What a backend needs of the world: programs, and this process's environment. */
export interface VcsWorld {
  exec: Exec;
  env: Readonly<Record<string, string | undefined>>;
}

/** A checkout that mu made at `path`, of the repository (or folder) at `root`. Both are absolute. */
export interface Checkout {
  root: string;
  path: string;
}

/** Where finished work goes: a branch and the commit it is at now. */
export interface Target {
  /** The branch's short name. */
  branch: string;
  commit: string;
  /** Work of checkouts that is on the branch under other names: those commits are not ahead of it. */
  landed?: readonly CommitRange[];
}

/** The commits that lead to `to` and not to `from`. */
export interface CommitRange {
  from: string;
  to: string;
}

/** The last commit of a work, and the one that it is where it landed. */
export interface LandedAs {
  work: string;
  commit: string;
}

export const COMMIT = shape({
  sha: "string",
  subject: "string",
  body: "string",
  author: "string",
  /** ISO 8601 with an offset, as the author's clock had it. */
  authorDate: "string",
});

export type Commit = TypeOf<typeof COMMIT>;

/** How far a checkout is from its target. */
export const STANDING = shape({
  path: "string",
  /** False when the folder is gone. */
  present: "boolean",
  head: "string | null",
  /** Commits of the target that the checkout lacks, and of the checkout that the target lacks. */
  behind: "number | null",
  ahead: "number | null",
  /** Files changed and not committed, untracked ones included, ignored ones not. */
  dirty: "number | null",
  /** A rebase or merge that somebody began in it and did not end. */
  underway: "string | null",
});

export type Standing = TypeOf<typeof STANDING>;

/** Everything in a checkout, uncommitted files included, as objects of the repository; the checkout is not touched. */
export interface Snapshot {
  head: string;
  /** The tree of the work tree: tracked and untracked files, not ignored ones. */
  tree: string;
  /** The tree of the index. */
  indexTree: string;
  /** True when `tree` or `indexTree` is not that of `head`. */
  dirty: boolean;
}

/** What a checkout has made since it was at some commit. */
export interface Since {
  /** Null when the two share nothing. */
  base: string | null;
  /** Behind `base` up to where the checkout is, newest first. */
  commits: string[];
}

/** How a refresh ended. After a conflict everything is as it was before. */
export type Refreshed =
  | { outcome: "current" | "refreshed"; from: string; onto: string; head: string; replayed: Commit[] }
  | { outcome: "conflict"; from: string; onto: string; conflicts: string[] };

/** What was saved before a checkout went. */
export interface Saved {
  /** The ref, or the archive's path. */
  place: string;
  commit: string | null;
  /** Commits that the target lacks. */
  commits: number;
  /** Files that were not committed. */
  files: number;
}

/**
 * A version control system, as workspaces use it. Every verb is safe to run again after a crash, and none ever loses
 * a commit or an uncommitted byte: `remove` is only called for what `save` has saved.
 *
 * Faults of all: `vcs.failed` (unavailable) with the program's own words, `vcs.not_installed`, `vcs.locked`,
 * `vcs.no_space`.
 */
export interface VcsBackend {
  readonly key: BackendKey;
  /**
   * `save` under a name that is taken gives that save when it holds the same, and faults `vcs.ref_taken` when not.
   * Without it a taken name must not be given: it might be overwritten.
   */
  readonly knowsItsSaves?: true;
  /** The root of the repository that `folder` is in; undefined when it is in none of this backend's. */
  findRoot(world: VcsWorld, folder: string): Promise<string | undefined>;
  /**
   * Where work lands: `wish`, else the remote's default branch, else `main`, `master` or the branch one is on.
   * Null where there is no such thing (`none`). Faults `vcs.no_target`, `vcs.unknown_ref`.
   */
  target(world: VcsWorld, root: string, wish?: string): Promise<Target | null>;
  /**
   * Makes a checkout in the folder `path`, which is not there or empty, at `from`, else at the target; gives the commit
   * it is at (null for `none`). Running it again over its own half-made checkout finishes it. Faults `vcs.unknown_ref`,
   * `vcs.hook_failed` (nothing is left then).
   */
  create(world: VcsWorld, checkout: Checkout, options: { from?: string | undefined }): Promise<{ base: string | null }>;
  /** Takes the checkout away, its folder and what the repository knows of it. A folder that is gone is fine. */
  remove(world: VcsWorld, checkout: Checkout): Promise<void>;
  /** How all these checkouts of one repository stand, in one pass. Never faults for a checkout that is broken or gone. */
  standings(world: VcsWorld, root: string, paths: readonly string[], target: Target | null): Promise<Standing[]>;
  /** The commit that the checkout is at; null for `none`. Undefined when its folder is gone. */
  head(world: VcsWorld, checkout: Checkout): Promise<string | null | undefined>;
  /** Commits behind `since` up to where the checkout is, oldest first. Faults `vcs.required` for `none`. */
  commits(world: VcsWorld, checkout: Checkout, since: string): Promise<Commit[]>;
  /**
   * The commits that the checkout has made since it was at `from`, and the newest commit that it shares with `from`:
   * `from` itself, unless history was rewritten. Undefined for a backend without commits. Faults `vcs.unknown_ref`.
   */
  since?(world: VcsWorld, checkout: Checkout, from: string): Promise<Since>;
  /** Which of these commits `tip` has among its ancestors, itself included; without it all are taken to be there. */
  contained?(world: VcsWorld, root: string, tip: string, commits: readonly string[]): Promise<Set<string>>;
  /** Keeps `commit` alive under `name` (`<workstream>/<task>`), where another commit may have been kept before. */
  keep?(world: VcsWorld, root: string, name: string, commit: string): Promise<void>;
  /**
   * Lets go what was kept for the tasks of a workstream. A commit stays that no other ref has, unless one has the commit
   * that it `landed` as.
   */
  letGo?(world: VcsWorld, root: string, workstream: string, landed: readonly LandedAs[]): Promise<void>;
  /** A patch from `since` to the work tree, untracked files included. Faults `vcs.required` for `none`. */
  diff(world: VcsWorld, checkout: Checkout, since: string, options: { stat?: boolean }): Promise<string>;
  /**
   * Puts the checkout's own commits on `onto`; uncommitted work must have been committed or saved before. An abandoned
   * rebase of an earlier refresh is undone first. What has `landed`, and nothing else under it, stays behind. Faults `vcs.dirty`, `vcs.required`.
   */
  refresh(world: VcsWorld, checkout: Checkout, onto: string, landed?: Target["landed"]): Promise<Refreshed>;
  /** Undefined for a backend that has no objects to hold it. */
  snapshot(world: VcsWorld, checkout: Checkout): Promise<Snapshot | undefined>;
  /**
   * Saves what is not on the target: unlanded commits and everything uncommitted, under `name`
   * (`<workstream>/<agent>/<n>`). Null when there is nothing to save. `archives` is a folder for backends without refs.
   */
  save(
    world: VcsWorld,
    checkout: Checkout,
    options: { name: string; target: Target | null; archives: string },
  ): Promise<Saved | null>;
  /** Brings a save back into a clean checkout: its commits and its uncommitted files. Faults `vcs.dirty`. */
  restore(world: VcsWorld, checkout: Checkout, place: string): Promise<void>;
  /** What a save holds, as text for people: its commits and a summary of its files. */
  describe(world: VcsWorld, root: string, place: string): Promise<string>;
  /** Saves under refs that the database may not know; `[]` for backends without refs. */
  listSaved(world: VcsWorld, root: string): Promise<{ name: string; place: string; commit: string }[]>;
}

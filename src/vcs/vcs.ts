import type { Exec } from "../exec.js";
import { shape, type TypeOf } from "../shape.js";

export const BACKENDS = ["git", "jj", "sl", "none"] as const;
export type BackendKey = (typeof BACKENDS)[number];

/** What a backend needs: programs, and this process's environment. */
export interface VcsWorld {
  exec: Exec;
  env: Readonly<Record<string, string | undefined>>;
}

/** A checkout at `path` of the repository (or folder) at `root`. Both are absolute. */
export interface Checkout {
  root: string;
  path: string;
}

/** The branch that work lands on, and its current commit. */
export interface Target {
  branch: string;
  commit: string;
  /** Work that the branch has under other ids: those commits do not count as ahead. */
  landed?: readonly CommitRange[];
}

/** The commits of `to` that `from` lacks. */
export interface CommitRange {
  from: string;
  to: string;
}

/** The last commit of a work, and the commit it landed as. */
export interface LandedAs {
  work: string;
  commit: string;
}

export const COMMIT = shape({
  sha: "string",
  subject: "string",
  body: "string",
  author: "string",
  /** ISO 8601, with the author's offset. */
  authorDate: "string",
});

export type Commit = TypeOf<typeof COMMIT>;

/** A commit as a list shows it. */
export const BARE_COMMIT = shape({ sha: "string", subject: "string" });

export type BareCommit = TypeOf<typeof BARE_COMMIT>;

/** A file that differs; the numbers are of lines, null for a binary file. */
export const CHANGED_FILE = shape({ path: "string", added: "number | null", removed: "number | null" });

export type ChangedFile = TypeOf<typeof CHANGED_FILE>;

/** How a difference is shown: as a patch, as a summary per file, or as the names of the files. */
export type DiffForm = "patch" | "stat" | "names";

/** Work on a branch: its last commit, how many there are (null if unknown), and what the branch was at before. */
export interface LandedWork {
  commit: string;
  commits: number | null;
  onto: string;
}

/** Reads what lies between two commits or trees. Faults as `VcsBackend`. */
export interface SpanReader {
  /** The span of a work that the target lacks, without what the target brought to it. */
  ofWork(world: VcsWorld, root: string, work: CommitRange, target: string | undefined): Promise<CommitRange>;
  /** The span of a landed work; undefined if its commits are gone. */
  ofLanded(world: VcsWorld, root: string, landed: LandedWork): Promise<CommitRange | undefined>;
  /** Oldest first. */
  commits(world: VcsWorld, root: string, span: CommitRange): Promise<BareCommit[]>;
  /** A rename is one file less and one more. */
  files(world: VcsWorld, root: string, span: CommitRange): Promise<ChangedFile[]>;
  text(world: VcsWorld, root: string, span: CommitRange, form: DiffForm): Promise<string>;
  /** The command that shows it to a person with the user's own pager and colours. */
  command(root: string, span: CommitRange, form: DiffForm): { file: string; args: string[] };
}

/** How far a checkout is from its target. */
export const STANDING = shape({
  path: "string",
  /** False if the folder does not exist. */
  present: "boolean",
  head: "string | null",
  /** Commits that only the target has, and commits that only the checkout has. */
  behind: "number | null",
  ahead: "number | null",
  /** The number of uncommitted files, including untracked ones. */
  dirty: "number | null",
  /** A rebase or merge in progress. */
  underway: "string | null",
});

export type Standing = TypeOf<typeof STANDING>;

/** Everything in a checkout, including uncommitted files, as objects of the repository. */
export interface Snapshot {
  head: string;
  /** The tree of the work tree, including untracked files. */
  tree: string;
  indexTree: string;
  /** True if `tree` or `indexTree` differs from that of `head`. */
  dirty: boolean;
}

/** What a checkout has committed since some commit. */
export interface Since {
  /** Null if they share no history. */
  base: string | null;
  /** After `base`, newest first. */
  commits: string[];
}

/** What a checkout has that belongs to no work. */
export interface Loose {
  /** Newest first; no merges, and none that the target has under another id. */
  commits: BareCommit[];
  /** A commit with all of these and with the `end` that was asked for; null if there is none. */
  tip: string | null;
  stashes: { name: string; subject: string }[];
}

export interface LooseOptions {
  target: string;
  /** The known works; without `to` up to HEAD. */
  works: readonly { from: string; to: string | null }[];
  /** The end of the work that may take the loose commits in; HEAD without it. */
  end?: string | undefined;
  /** Only what the checkout has made since then. */
  since?: string | undefined;
}

/** How a refresh ended. A conflict leaves everything as it was. */
export type Refreshed =
  | { outcome: "current" | "refreshed"; from: string; onto: string; head: string; replayed: Commit[] }
  | { outcome: "conflict"; from: string; onto: string; conflicts: string[] };

/** How a checkout is created. */
export interface CreateOptions {
  /** Default: the target. */
  from?: string | undefined;
  /** Git only: the branch to make for it; with a number if that name is in use. Without it, none. */
  branch?: string | undefined;
  /** `off`: the repository's hooks do not run. Git only, like `before`. */
  hooks?: "on" | "off";
  /** Runs in the new folder before its files are checked out, for example to give a filter its key. */
  before?: (() => Promise<unknown>) | undefined;
}

/** What was saved of a checkout. */
export interface Saved {
  /** A ref, or the path of an archive. */
  place: string;
  commit: string | null;
  /** The number of commits that the target lacks. */
  commits: number;
  /** The number of uncommitted files. */
  files: number;
  /** The number of repositories inside with work of their own. */
  nested?: number;
  /** The number of ignored files. */
  ignored?: number;
  /** Ignored files that are too large to save. */
  leftOut?: readonly string[];
}

/** What a program that died has left in a repository. */
export interface Leftover {
  /** A record of a checkout whose folder is gone, or a lock. */
  kind: "record" | "lock";
  /** The folder that is gone, or the lock's file. */
  path: string;
  /** When it was last changed, in ms since 1970. */
  changedAt: number;
}

/**
 * A version control system, as workspaces use it. Every function can be run again after a crash, and none loses commits
 * or uncommitted files: `remove` is only called after `save`. All can fault `vcs.failed` with the program's error,
 * `vcs.not_installed`, `vcs.locked` and `vcs.no_space`.
 */
export interface VcsBackend {
  readonly key: BackendKey;
  /**
   * `save` under an existing name gives that save if the content is the same, else it faults `vcs.ref_taken`. Without
   * this, an existing name must not be used: it might be overwritten.
   */
  readonly knowsItsSaves?: true;
  /** The root of the repository that `folder` is in; undefined if it is in no repository of this backend. */
  findRoot(world: VcsWorld, folder: string): Promise<string | undefined>;
  /**
   * Where work lands: `wish`, else the remote's default branch, else `main`, `master` or the current branch. Null for
   * `none`. Faults `vcs.no_target`, `vcs.unknown_ref`.
   */
  target(world: VcsWorld, root: string, wish?: string): Promise<Target | null>;
  /**
   * Creates a checkout at `path`, which must be missing or empty, at `from` or else the target; gives its commit (null
   * for `none`). Running it again completes what a killed run left. Faults `vcs.unknown_ref`, `vcs.hook_failed`,
   * `vcs.filter_failed`; then nothing is left behind.
   */
  create(world: VcsWorld, checkout: Checkout, options: CreateOptions): Promise<{ base: string | null }>;
  /** Links a checkout with its repository, which was moved to `root`; false if that repository does not know it. */
  relink?(world: VcsWorld, checkout: Checkout): Promise<boolean>;
  /** Locks in the repository, and its records of checkouts under `folder` that are gone. Starts no program. */
  leftovers?(root: string, folder: string): Promise<Leftover[]>;
  /** Removes the checkout's folder and the repository's record of it. */
  remove(world: VcsWorld, checkout: Checkout): Promise<void>;
  /** The standings of checkouts of one repository, in one pass. Does not fault for a broken or missing checkout. */
  standings(world: VcsWorld, root: string, paths: readonly string[], target: Target | null): Promise<Standing[]>;
  /** The checkout's commit; null for `none`, undefined if its folder is gone. */
  head(world: VcsWorld, checkout: Checkout): Promise<string | null | undefined>;
  /** The checkout's commits after `since`, oldest first. Faults `vcs.required` for `none`. */
  commits(world: VcsWorld, checkout: Checkout, since: string): Promise<Commit[]>;
  /**
   * The commits of `to` (the checkout's by default) since `from`, and the newest commit it shares with `from`: `from`
   * itself, unless history was rewritten. Faults `vcs.unknown_ref`.
   */
  since?(world: VcsWorld, checkout: Checkout, from: string, to?: string): Promise<Since>;
  /** What the checkout has committed or stashed that neither the target nor a work has. */
  loose?(world: VcsWorld, checkout: Checkout, options: LooseOptions): Promise<Loose>;
  /** The checkout that `folder` is in. Starts no program. */
  checkoutAround?(folder: string): Promise<Checkout | undefined>;
  /** The commits that the checkout itself has made since then; undefined if it keeps no record. Starts no program. */
  made?(checkout: Checkout, since: string): Promise<Set<string> | undefined>;
  /** Ends of the checkout's commits that are not `known`. Starts no program. */
  looseEnds?(checkout: Checkout, known: readonly string[]): Promise<string[]>;
  /** Which of these commits `tip` contains; without this function, all are assumed to be contained. */
  contained?(world: VcsWorld, root: string, tip: string, commits: readonly string[]): Promise<Set<string>>;
  /** Keeps `commit` alive under `name` (`<workstream>/<task>`), replacing what was kept there. */
  keep?(world: VcsWorld, root: string, name: string, commit: string): Promise<void>;
  /**
   * Deletes what was kept for the tasks of a workstream, except commits that no other ref has, neither as they are nor
   * as they `landed`.
   */
  letGo?(world: VcsWorld, root: string, workstream: string, landed: readonly LandedAs[]): Promise<void>;
  /** A patch from `since` to the work tree, untracked files included. Faults `vcs.required` for `none`. */
  diff(world: VcsWorld, checkout: Checkout, since: string, options: { stat?: boolean }): Promise<string>;
  /**
   * Rebases the checkout's own commits onto `onto`. Undoes an interrupted refresh first. Drops commits that have
   * `landed`. Faults `vcs.dirty`, `vcs.required`.
   */
  refresh(world: VcsWorld, checkout: Checkout, onto: string, landed?: Target["landed"]): Promise<Refreshed>;
  /** Reads differences between any two commits; git only. */
  readonly spans?: SpanReader;
  /** Undefined if the backend cannot store one. */
  snapshot(world: VcsWorld, checkout: Checkout): Promise<Snapshot | undefined>;
  /**
   * Saves what the target lacks, unlanded commits and everything uncommitted, as `name` (`<workstream>/<agent>/<n>`).
   * Null if there is nothing to save. `archives` is a folder for backends without refs. With `caches`, git saves ignored
   * files too, except these, large ones, and what is as in the project's folder.
   */
  save(
    world: VcsWorld,
    checkout: Checkout,
    options: { name: string; target: Target | null; archives: string; caches?: readonly string[] },
  ): Promise<Saved | null>;
  /** Restores a save into a clean checkout: its commits and its uncommitted files. Faults `vcs.dirty`. */
  restore(world: VcsWorld, checkout: Checkout, place: string): Promise<void>;
  /** Whether a restore of this save into the checkout was cut off: what it left there is taken over by the next one. */
  isRestoring?(checkout: Checkout, place: string): Promise<boolean>;
  /** Describes a save for people: its commits and a summary of its files. */
  describe(world: VcsWorld, root: string, place: string): Promise<string>;
  /** All saves in the repository; `[]` for backends without refs. */
  listSaved(world: VcsWorld, root: string): Promise<{ name: string; place: string; commit: string }[]>;
}

import type { CommitRange, VcsWorld } from "./vcs.js";

/** The branch that work lands on. */
export interface LandingTarget {
  branch: string;
  commit: string;
  tree: string;
  /** False for a branch that only a remote has: landing creates it here. */
  exists: boolean;
}

/** A commit with its tree. */
export interface Tip {
  commit: string;
  tree: string;
}

/** A work to replay on a tip. */
export interface Replay {
  work: CommitRange;
  /** Trailers such as `Mu-Task: shop/build` for the last commit's message. */
  trailers: readonly string[];
  /** Labels for the two sides of a conflict. */
  names: { ours: string; theirs: string };
}

/** The new tip with `commits` new commits (0 if it had them all), or the conflicting files. */
export type Replayed =
  | { outcome: "replayed"; tip: Tip; commits: number }
  | { outcome: "conflict"; files: string[]; words: string[]; hunk: string };

/** Replays works on tips that descend from one target. Writes only objects. */
export interface Replayer {
  replay(onto: Tip, replay: Replay): Promise<Replayed>;
}

/**
 * How a version control system lands work on a branch. Never touches a checkout with work in progress, and only moves
 * branches forward. Faults as `VcsBackend`.
 */
export interface Lander {
  /** Faults `vcs.unknown_ref`. */
  target(world: VcsWorld, root: string, branch: string): Promise<LandingTarget>;
  /** Those of these commits that the repository lacks. */
  missing(world: VcsWorld, root: string, commits: readonly string[]): Promise<string[]>;
  /** `replays` are those to expect, in order. */
  replayer(world: VcsWorld, root: string, target: LandingTarget, replays: readonly Replay[]): Promise<Replayer>;
  /**
   * Faults `landing.checkout_dirty` if the branch's checkout has uncommitted changes or an operation in progress.
   */
  requireClean(world: VcsWorld, root: string, branch: string): Promise<void>;
  /**
   * Faults `landing.checkout_dirty` if moving from `from` to `to` would overwrite untracked files.
   */
  requireRoom(world: VcsWorld, root: string, move: { branch: string; from: string; to: string }): Promise<void>;
  /**
   * Moves the branch, and the files of its checkout, to its descendant `to`. `moved` if the branch has changed; then
   * nothing was done. Faults `landing.checkout_dirty`.
   */
  advance(world: VcsWorld, root: string, move: { target: LandingTarget; to: string }): Promise<"advanced" | "moved">;
  /**
   * Undoes an `advance` that was killed after moving the files and before moving the branch. Leaves any other state
   * alone.
   */
  takeBack(world: VcsWorld, root: string, move: { branch: string; from: string; to: string }): Promise<void>;
  /** True if the branch contains the commit. */
  contains(world: VcsWorld, root: string, branch: string, commit: string): Promise<boolean>;
  /** Creates the scratch checkout at `path`, or resets the existing one, at `commit`. */
  scratch(world: VcsWorld, root: string, path: string, commit: string): Promise<void>;
  /** Removes the scratch checkout, if it exists. */
  removeScratch(world: VcsWorld, root: string, path: string): Promise<void>;
  /** The remote that the branch is pushed to, if any. */
  remote(world: VcsWorld, root: string, branch: string): Promise<string | undefined>;
  /** Pushes without force. Gives the error if the remote refuses. */
  push(world: VcsWorld, root: string, to: { remote: string; branch: string }): Promise<string | undefined>;
}

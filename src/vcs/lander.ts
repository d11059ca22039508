import type { CommitRange, VcsWorld } from "./vcs.js";

/** The branch that work lands on, where it is now. */
export interface LandingTarget {
  /** The branch's short name. */
  branch: string;
  commit: string;
  tree: string;
  /** False for a branch that so far is only the remote's: landing makes it here. */
  exists: boolean;
}

/** A commit with its tree. */
export interface Tip {
  commit: string;
  tree: string;
}

/** A work to be put on a tip. */
export interface Replay {
  work: CommitRange;
  /** Lines such as `Mu-Task: shop/build` for the end of the last commit's message. */
  trailers: readonly string[];
  /** What the two sides of a conflict are called. */
  names: { ours: string; theirs: string };
}

/** What became of a replay: a tip with `commits` new commits on it (0 when it was all there), or files that clash. */
export type Replayed =
  | { outcome: "replayed"; tip: Tip; commits: number }
  | { outcome: "conflict"; files: string[]; words: string[]; hunk: string };

/** Puts works on tips that descend from one target. Nothing but objects of the repository is written. */
export interface Replayer {
  replay(onto: Tip, replay: Replay): Promise<Replayed>;
}

/**
 * How a version control system takes work to a branch. A checkout that somebody works in is never touched, a branch
 * only ever moves forward, and what it moved to was a commit before.
 *
 * Faults of all: those of `VcsBackend`.
 */
export interface Lander {
  /** Faults `vcs.unknown_ref` when the repository has no such branch. */
  target(world: VcsWorld, root: string, branch: string): Promise<LandingTarget>;
  /** Which of these commits the repository does not have. */
  missing(world: VcsWorld, root: string, commits: readonly string[]): Promise<string[]>;
  /** For these replays, most likely in this order. */
  replayer(world: VcsWorld, root: string, target: LandingTarget, replays: readonly Replay[]): Promise<Replayer>;
  /**
   * Refuses a branch that somebody is working on: its checkout has changes that are not committed, or something was
   * begun there and not ended. Faults `landing.checkout_dirty`.
   */
  requireClean(world: VcsWorld, root: string, branch: string): Promise<void>;
  /**
   * Refuses when files that are not in version control stand where going from `from` to `to` would put files. Faults
   * `landing.checkout_dirty`.
   */
  requireRoom(world: VcsWorld, root: string, move: { branch: string; from: string; to: string }): Promise<void>;
  /**
   * Moves the branch from `from` to its descendant `to`, and the files of its checkout with it. `moved` when the branch
   * is not at `from` any more; then nothing was done. Faults `landing.checkout_dirty`.
   */
  advance(world: VcsWorld, root: string, move: { target: LandingTarget; to: string }): Promise<"advanced" | "moved">;
  /**
   * Undoes an `advance` that was killed between the files of the checkout and the branch; a checkout that is in any
   * other state is left alone.
   */
  takeBack(world: VcsWorld, root: string, move: { branch: string; from: string; to: string }): Promise<void>;
  /** Whether the branch has the commit. */
  contains(world: VcsWorld, root: string, branch: string, commit: string): Promise<boolean>;
  /** Makes the scratch checkout at `path`, or brings the one that is there to `commit`, clean of what a check left. */
  scratch(world: VcsWorld, root: string, path: string, commit: string): Promise<void>;
  /** Takes the scratch checkout away; one that is gone is fine. */
  removeScratch(world: VcsWorld, root: string, path: string): Promise<void>;
  /** Where the branch is pushed to; undefined when the repository has no remote. */
  remote(world: VcsWorld, root: string, branch: string): Promise<string | undefined>;
  /** Pushes without force. Gives the words of a refusal, undefined when it went well. */
  push(world: VcsWorld, root: string, to: { remote: string; branch: string }): Promise<string | undefined>;
}

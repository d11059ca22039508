import type { BareCommit, CommitRange, VcsWorld } from "./vcs.js";

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

/** A checkout that goes from one commit to its descendant, with its branch. */
export interface Move {
  path: string;
  branch: string;
  from: string;
  to: string;
}

/** A work to replay on a tip. */
export interface Replay {
  work: CommitRange;
  /** Works that the tip has under other ids; grows with the stack. */
  beneath: readonly CommitRange[];
  /** Trailers such as `Mu-Task: shop/build` for the last commit's message. */
  trailers: readonly string[];
  /** Labels for the two sides of a conflict. */
  names: { ours: string; theirs: string };
}

/**
 * The new tip with `commits` new commits (0 if it had them all; `as` is the commit that has them, if that is known), or
 * the conflicting files, and the commits `under` the work that the tip lacks.
 */
export type Replayed =
  | { outcome: "replayed"; tip: Tip; commits: number; as?: string }
  | { outcome: "conflict"; files: string[]; words: string[]; hunk: string; under: BareCommit[] };

/** Replays works on tips that descend from one target. Writes only objects. */
export interface Replayer {
  replay(onto: Tip, replay: Replay): Promise<Replayed>;
}

/** The commit that takes changes back, or the files in which that conflicts with what came later. */
export type TakenBack = { outcome: "reverted"; tip: Tip } | { outcome: "conflict"; files: string[]; words: string[] };

/**
 * How a version control system lands work on a branch. Never changes what a user has not committed, and only moves
 * branches forward. Faults as `VcsBackend`.
 */
export interface Lander {
  /** Faults `vcs.unknown_ref`. */
  target(world: VcsWorld, root: string, branch: string): Promise<LandingTarget>;
  /** Those of these commits that the repository lacks. */
  missing(world: VcsWorld, root: string, commits: readonly string[]): Promise<string[]>;
  /** `replays` are those to expect, in order. */
  replayer(world: VcsWorld, root: string, target: LandingTarget, replays: readonly Replay[]): Promise<Replayer>;
  /** One commit on `onto` without what these spans brought. Writes only objects. */
  revert(
    world: VcsWorld,
    root: string,
    onto: Tip,
    what: { spans: readonly CommitRange[]; message: string },
  ): Promise<TakenBack>;
  /** The file that all landings in this repository share. Faults `vcs.no_folder`. */
  lockFile(root: string): Promise<string>;
  /**
   * Faults `landing.checkout_dirty` if the branch's checkout has an operation in progress, or uncommitted changes to what
   * differs between the two commits.
   */
  requireRoom(world: VcsWorld, root: string, move: { branch: string; from: string; to: string }): Promise<void>;
  /**
   * Moves the branch, and its checkout, to its descendant `to`. `moved` if the branch has changed; then nothing was done.
   * Calls `note` before it changes anything and after that. Faults `landing.checkout_dirty`.
   */
  advance(
    world: VcsWorld,
    root: string,
    move: { target: LandingTarget; to: string; note: (move: Move | null) => void },
  ): Promise<"advanced" | "moved">;
  /** Ends a move that was cut off. Gives the files that the user has changed since, which are kept. */
  settle(world: VcsWorld, move: Move): Promise<string[]>;
  /** The commit of this name. Faults `vcs.unknown_ref`. */
  commit(world: VcsWorld, root: string, name: string): Promise<string>;
  /** True if the branch contains the commit. */
  contains(world: VcsWorld, root: string, branch: string, commit: string): Promise<boolean>;
  /** Creates the scratch checkout at `path`, or resets the existing one, at `commit`. Keeps ignored files. */
  scratch(world: VcsWorld, root: string, path: string, commit: string): Promise<void>;
  /** Deletes the ignored files of a scratch checkout that is at `commit`. */
  dropIgnored(world: VcsWorld, root: string, path: string, commit: string): Promise<void>;
  /** True if files that match one of the globs (without any: all files) differ between the commits. */
  differ(world: VcsWorld, root: string, range: CommitRange, globs: readonly string[]): Promise<boolean>;
  /** Removes the scratch checkout, if it exists. */
  removeScratch(world: VcsWorld, root: string, path: string): Promise<void>;
  /** The remote that the branch is pushed to, if any. */
  remote(world: VcsWorld, root: string, branch: string): Promise<string | undefined>;
  /** Fetches the remote's branch. */
  fetch(world: VcsWorld, root: string, from: { remote: string; branch: string }): Promise<LandingTarget>;
  /** Where the remote's branch is; undefined if it has none. */
  remoteTip(world: VcsWorld, root: string, at: { remote: string; branch: string }): Promise<string | undefined>;
  /**
   * Pushes a commit as a branch of mu's own, only if that is still at `replaces` (undefined: not there). Gives the error
   * if the remote refuses.
   */
  publish(
    world: VcsWorld,
    root: string,
    to: { remote: string; branch: string; commit: string; replaces: string | undefined },
  ): Promise<string | undefined>;
  /** Pushes without force. Gives the error if the remote refuses. */
  push(world: VcsWorld, root: string, to: { remote: string; branch: string }): Promise<string | undefined>;
}

import type { Fault } from "../../errors.js";
import type { LandingTarget, Move } from "../lander.js";
import type { VcsWorld } from "../vcs.js";
import type { Changes } from "./changes.js";
import { gitDirOf, readBranch, readHead } from "./git-dir.js";
import { withDraft } from "./index-draft.js";
import { findCheckout, requireRoom } from "./room.js";
import { gitFault, runGit } from "./run.js";
import { settleMove } from "./settle-move.js";
import { moveSubmodules } from "./submodules.js";
import { workTrees } from "./worktree.js";

/** A move of a branch to a descendant of where it is. See `Lander.advance`. */
interface Advance {
  target: LandingTarget;
  to: string;
  note: (move: Move | null) => void;
}

type Moved = "advanced" | "moved";

/** Moves the branch by compare-and-swap, together with the checkout that is on it. */
export async function advance(world: VcsWorld, root: string, { target, to, note }: Advance): Promise<Moved> {
  const move = { branch: target.branch, from: target.commit, to };
  const moveBranch = () => swap(world, root, { target, to });
  const path = await findCheckout(world, root, target.branch);
  if (path !== undefined) return moveCheckout(world, { ...move, path }, { note, moveBranch });
  note(null);
  const moved = await moveBranch();
  // The user may have checked it out in between.
  const trees = moved === "advanced" ? await workTrees(world, root) : [];
  const late = trees.find(({ branch }) => branch === `refs/heads/${target.branch}`);
  if (late !== undefined) await settleMove(world, { ...move, path: late.path });
  return moved;
}

/**
 * Moves the files, the branch and the index of a checkout to a descendant as one, and keeps changes that do not meet it.
 * If it fails the checkout is put back; if that fails too, or the process is killed, the note stays and `settleMove` ends
 * it later. Nothing else of a landing writes to a user's checkout.
 */
async function moveCheckout(
  world: VcsWorld,
  move: Move,
  { note, moveBranch }: Pick<Advance, "note"> & { moveBranch(): Promise<Moved> },
): Promise<Moved> {
  const { path, branch, from, to } = move;
  let state: "untouched" | "begun" | "done" = "untouched";
  let changes: Changes = [];
  const moving = withDraft(path, async (draft) => {
    if (!(await isOn(path, branch, from))) return "moved";
    changes = await requireRoom(world, move, draft.env);
    note(move);
    state = "begun";
    await runGit(world, path, [...PLAIN, "read-tree", "-m", "-u", from, to], { env: draft.env, locks: true });
    const swapped = await moveBranch();
    if (swapped === "moved" || !(await isOn(path, branch, to))) return swapped;
    await draft.keep();
    state = "done";
    return swapped;
  });
  const outcome = await moving.finally(async () => {
    if (state === "begun") await settleMove(world, move).then(() => note(null), leaveToSuccessor);
    if (state === "done") await moveSubmodules(world, path, changes).then(() => note(null));
  });
  if (outcome === "advanced") await runHook(world, path);
  return outcome;
}

/** Moves only the ref. */
async function swap(world: VcsWorld, root: string, { target, to }: Omit<Advance, "note">): Promise<Moved> {
  const ref = `refs/heads/${target.branch}`;
  const from = target.exists ? target.commit : "0".repeat(target.commit.length);
  const args = ["update-ref", "-m", "mu land", ref, to, from];
  const { code, stdout, stderr } = await runGit(world, root, args, { okCodes: [1, 128], locks: true });
  if (code === 0) return "advanced";
  if (/ but expected |reference already exists|unable to resolve reference/.test(stderr)) return "moved";
  throw gitFault(root, args, { code, stdout, stderr });
}

const PLAIN = ["-c", "submodule.recurse=false"];

/** What stopped the move is reported; why it could not be put back will stop the next landing. */
function leaveToSuccessor(error: Fault | Error): void {
  if (!("code" in error)) throw error;
}

async function isOn(path: string, branch: string, commit: string): Promise<boolean> {
  const gitDir = await gitDirOf(path);
  return (await readBranch(gitDir)) === branch && (await readHead(gitDir)) === commit;
}

/** As git does after a fast-forward. Nothing depends on how the hook ends. */
async function runHook(world: VcsWorld, path: string): Promise<void> {
  const args = ["hook", "run", "--ignore-missing", "post-merge", "--", "0"];
  await runGit(world, path, args, { okCodes: "any", locks: true });
}

import type { Fault } from "../../errors.js";
import type { Move } from "../lander.js";
import type { VcsWorld } from "../vcs.js";
import type { Changes } from "./changes.js";
import { gitDirOf, readBranch, readHead } from "./git-dir.js";
import { type IndexDraft, withDraft } from "./index-draft.js";
import { runGit } from "./run.js";
import { settleMove } from "./settle-move.js";
import { moveSubmodules } from "./submodules.js";

/** What the lander does between the steps of a move. */
export interface MoveSteps {
  /** Faults if the user's changes meet what lands, which it gives. Reads the dates of the files into the draft. */
  requireRoom(draft: IndexDraft["env"]): Promise<Changes>;
  /** Records what is being moved, or that nothing is. */
  note(move: Move | null): void;
  /** Moves the branch by compare-and-swap. */
  swap(): Promise<"advanced" | "moved">;
}

/**
 * Moves the files, the branch and the index of a checkout to a descendant as one, and keeps changes that do not meet it.
 * If it fails the checkout is put back; if that fails too, or the process is killed, the note stays and `settleMove` ends
 * it later. Nothing else of a landing writes to a user's checkout.
 */
export async function moveCheckout(world: VcsWorld, move: Move, steps: MoveSteps): Promise<"advanced" | "moved"> {
  const { path, branch, from, to } = move;
  let state: "untouched" | "begun" | "done" = "untouched";
  let changes: Changes = [];
  const moving = withDraft(path, async (draft) => {
    if (!(await isOn(path, branch, from))) return "moved";
    changes = await steps.requireRoom(draft.env);
    steps.note(move);
    state = "begun";
    await runGit(world, path, [...PLAIN, "read-tree", "-m", "-u", from, to], { env: draft.env, locks: true });
    const swapped = await steps.swap();
    if (swapped === "moved" || !(await isOn(path, branch, to))) return swapped;
    await draft.keep();
    state = "done";
    return swapped;
  });
  const outcome = await moving.finally(async () => {
    if (state === "begun") await settleMove(world, move).then(() => steps.note(null), leaveToSuccessor);
    if (state === "done") await moveSubmodules(world, path, changes).then(() => steps.note(null));
  });
  if (outcome === "advanced") await runHook(world, path);
  return outcome;
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

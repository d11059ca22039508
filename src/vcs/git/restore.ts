import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../errors.js";
import { enumerate, quote } from "../../names.js";
import { writeWhole } from "../../whole-file.js";
import type { Checkout, VcsWorld } from "../vcs.js";
import { findGitDir, gitDirOf, readText, removeLocksSince } from "./git-dir.js";
import { diffTrees } from "./history.js";
import { restoreFiles } from "./nested.js";
import { LASTING_BRANCHES, reattach } from "./own-branch.js";
import { requireClean } from "./refresh.js";
import { findCommit, gitLines, runGit } from "./run.js";
import { SALVAGE } from "./save.js";
import { readSavedCommit } from "./saved-commit.js";

/** A file in the checkout's git folder that names the save being restored: its place, and its commit. */
const NOTE = "mu-restore";

export async function isRestoring({ path }: Pick<Checkout, "path">, place: string): Promise<boolean> {
  const gitDir = await findGitDir(path);
  return gitDir !== undefined && (await readText(join(gitDir, NOTE)))?.split("\n")[0] === place;
}

/**
 * Restores a save into a clean checkout: HEAD, files and index. What a killed restore of the same save left
 * is overwritten. Faults `vcs.dirty`, `vcs.underway`, `vcs.no_save`.
 */
export async function restore(world: VcsWorld, { path }: Checkout, place: string): Promise<void> {
  const commit = await commitOfSave(world, path, place);
  const content = await readSavedCommit(world, path, commit);
  const gitDir = await gitDirOf(path);
  const note = join(gitDir, NOTE);
  const wasBegun = (await readText(note)) === `${place}\n${commit}`;
  if (wasBegun) await removeLocksSince(gitDir, note);
  else await requireClean(world, path, "all");
  await writeWhole(note, `${place}\n${commit}\n`);
  await restoreFiles(world, path, content, wasBegun ? "overwrite" : "clean");
  await reattach(world, { path });
  await rm(note, { force: true });
}

async function commitOfSave(world: VcsWorld, cwd: string, place: string): Promise<string> {
  const commit = await findCommit(world, cwd, place);
  if (commit !== undefined) return commit;
  throw new Fault("missing", "vcs.no_save", `There is no save ${quote(place)}.`, [
    { intent: "List saves", command: "mu salvage list" },
  ]);
}

const LISTED = 50;

/** Describes a save: commits that are on no branch, and a summary of its files. Faults `vcs.no_save`. */
export async function describe(world: VcsWorld, root: string, place: string): Promise<string> {
  const content = await readSavedCommit(world, root, await commitOfSave(world, root, place));
  const { head, tree, resumable, nested, ignored, leftOut } = content;
  const shown = ["--no-show-signature", "--no-color", "--format=%h %s (%an, %ad)", "--date=short"];
  const tips = [...(head === null ? [] : [head]), ...resumable];
  const range = ["--max-count", String(LISTED), ...tips, "--not", ...LASTING_BRANCHES];
  const commits = (await runGit(world, root, ["log", ...shown, ...range, "--"])).stdout;
  const files = tree === null || head === null ? "" : await diffTrees(world, root, { from: head, to: tree }, "--stat");
  return [
    commits === "" ? `At ${head?.slice(0, 12)}; all commits are on branches.` : `Commits:\n${indent(commits)}`,
    files === "" ? "" : `Uncommitted:\n${files.trimEnd()}`,
    resumable.length === 0 ? "" : `A rebase or merge was in progress; it also needs ${resumable.join(" and ")}.`,
    ignored === null
      ? ""
      : `Ignored:\n${indent(await runGit(world, root, LIST(ignored)).then(({ stdout }) => stdout))}`,
    leftOut.length === 0 ? "" : `Ignored and too large to save: ${enumerate(leftOut, LISTED)}`,
    ...nested.map(({ path, commit }) => `Nested repository ${quote(path)}: ${commit}`),
  ]
    .filter(Boolean)
    .join("\n\n");
}

const LIST = (tree: string) => ["-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", tree];

function indent(lines: string): string {
  return lines.trimEnd().replaceAll(/^/gm, "  ");
}

export async function listSaved(
  world: VcsWorld,
  root: string,
): Promise<{ name: string; place: string; commit: string }[]> {
  const lines = await gitLines(world, root, ["for-each-ref", "--format=%(objectname) %(refname)", SALVAGE]);
  return lines.map((line) => {
    const [commit = "", place = ""] = line.split(" ");
    return { name: place.slice(SALVAGE.length), place, commit };
  });
}

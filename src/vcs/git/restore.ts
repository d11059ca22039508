import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../errors.js";
import { quote } from "../../names.js";
import type { Checkout, VcsWorld } from "../vcs.js";
import { gitDirOf, readText, underwayIn } from "./git-dir.js";
import { diffTrees } from "./history.js";
import { restoreFiles } from "./nested.js";
import { dirty } from "./refresh.js";
import { gitLine, runGit } from "./run.js";
import { SALVAGE } from "./save.js";
import { readSavedCommit } from "./saved-commit.js";

/** In the checkout's git folder while a save is brought back: which one. */
const NOTE = "mu-restore";

/**
 * Puts a clean checkout where a saved one was: HEAD, detached, the files of the work tree, and the index. What a killed
 * run of the same left is no dirt, and is written over. Faults `vcs.dirty`, `vcs.underway`, `vcs.no_save`.
 */
export async function restore(world: VcsWorld, { path }: Checkout, place: string): Promise<void> {
  const commit = await commitOfSave(world, path, place);
  const content = await readSavedCommit(world, path, commit);
  const note = join(await gitDirOf(path), NOTE);
  const wasBegun = (await readText(note)) === commit;
  if (!wasBegun) await refuseUnclean(world, path);
  await writeFile(note, `${commit}\n`);
  await restoreFiles(world, path, content, wasBegun ? "over a killed run" : "into a clean one");
  await rm(note, { force: true });
}

async function refuseUnclean(world: VcsWorld, path: string): Promise<void> {
  const underway = underwayIn(await readdir(await gitDirOf(path)));
  if (underway !== null)
    throw new Fault("conflict", "vcs.underway", `A ${underway} was begun in ${quote(path)} and not ended.`);
  const status = ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=all"];
  const changed = (await runGit(world, path, status)).stdout.split("\0").filter(Boolean);
  if (changed.length > 0) throw dirty(path, changed);
}

async function commitOfSave(world: VcsWorld, cwd: string, place: string): Promise<string> {
  const asked = ["rev-parse", "--verify", "--quiet", `${place}^{commit}`];
  const commit = place.startsWith("-") ? "" : await gitLine(world, cwd, asked, { okCodes: [1, 128] });
  if (commit === "")
    throw new Fault("missing", "vcs.no_save", `There is no save ${quote(place)}.`, [
      { intent: "See what was saved", command: "mu salvage list" },
    ]);
  return commit;
}

/** The most commits that a description lists. */
const LISTED = 50;

/** A save for people: commits that are on no branch, and its files with how much changed. Faults `vcs.no_save`. */
export async function describe(world: VcsWorld, root: string, place: string): Promise<string> {
  const { head, tree, comebacks, nested } = await readSavedCommit(world, root, await commitOfSave(world, root, place));
  const shown = ["--no-show-signature", "--no-color", "--format=%h %s (%an, %ad)", "--date=short"];
  const tips = [...(head === null ? [] : [head]), ...comebacks];
  const range = ["--max-count", String(LISTED), ...tips, "--not", "--branches", "--remotes"];
  const commits = (await runGit(world, root, ["log", ...shown, ...range, "--"])).stdout;
  const files = tree === null || head === null ? "" : await diffTrees(world, root, head, tree, "--stat");
  return [
    commits === "" ? `At ${head?.slice(0, 12)}; no commit that is on no branch.` : `Commits:\n${indent(commits)}`,
    files === "" ? "" : `Not committed:\n${files.trimEnd()}`,
    comebacks.length === 0 ? "" : `Something was unfinished; beside HEAD it held ${comebacks.join(" and ")}.`,
    ...nested.map(({ path, commit }) => `The repository in ${quote(path)}: ${commit}`),
  ]
    .filter(Boolean)
    .join("\n\n");
}

function indent(lines: string): string {
  return lines.trimEnd().replaceAll(/^/gm, "  ");
}

/** All saves in the repository at `root`, by name. */
export async function listSaved(
  world: VcsWorld,
  root: string,
): Promise<{ name: string; place: string; commit: string }[]> {
  const { stdout } = await runGit(world, root, ["for-each-ref", "--format=%(objectname) %(refname)", SALVAGE]);
  const lines = stdout.split("\n").filter(Boolean);
  return lines.map((line) => {
    const [commit = "", place = ""] = line.split(" ");
    return { name: place.slice(SALVAGE.length), place, commit };
  });
}

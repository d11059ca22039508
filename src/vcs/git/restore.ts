import { readdir } from "node:fs/promises";
import { Fault } from "../../errors.js";
import { quote } from "../../names.js";
import type { Checkout, VcsWorld } from "../vcs.js";
import { diffTrees } from "./history.js";
import { dirty } from "./refresh.js";
import { gitLine, runGit } from "./run.js";
import { COMEBACK_TRAILER, HEAD_TRAILER, INDEX_TRAILER, NO_HOOKS, SALVAGE } from "./save.js";
import { gitDirOf } from "./snapshot.js";
import { underwayIn } from "./standings.js";

/** What a save holds. `tree` and `index` are null when nothing was uncommitted. */
interface Content {
  head: string;
  tree: string | null;
  index: string | null;
  /** What an unfinished rebase or merge would have come back to, or brought in. */
  comebacks: string[];
}

/**
 * Puts a clean checkout where a saved one was: HEAD, detached, the files of the work tree, and the index. Faults
 * `vcs.dirty`, `vcs.underway`, `vcs.no_save`.
 */
export async function restore(world: VcsWorld, { path }: Checkout, place: string): Promise<void> {
  const content = await read(world, path, place);
  await refuseUnclean(world, path);
  await runGit(world, path, [...NO_HOOKS, "checkout", "--quiet", "--detach", "--no-overwrite-ignore", content.head]);
  if (content.tree === null || content.index === null) return;
  await runGit(world, path, ["read-tree", "-m", "-u", "HEAD", content.tree]);
  await runGit(world, path, ["read-tree", "-m", content.index]);
  await runGit(world, path, ["update-index", "-q", "--refresh"], { okCodes: [1] });
}

async function refuseUnclean(world: VcsWorld, path: string): Promise<void> {
  const underway = underwayIn(await readdir(await gitDirOf(path)));
  if (underway !== null)
    throw new Fault("conflict", "vcs.underway", `A ${underway} was begun in ${quote(path)} and not ended.`);
  const status = ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=all"];
  const changed = (await runGit(world, path, status)).stdout.split("\0").filter(Boolean);
  if (changed.length > 0) throw dirty(path, changed);
}

async function read(world: VcsWorld, cwd: string, place: string): Promise<Content> {
  const asked = ["rev-parse", "--verify", "--quiet", `${place}^{commit}`];
  const commit = place.startsWith("-") ? "" : await gitLine(world, cwd, asked, { okCodes: [1, 128] });
  if (commit === "")
    throw new Fault("missing", "vcs.no_save", `There is no save ${quote(place)}.`, [
      { intent: "See what was saved", command: "mu salvage list" },
    ]);
  const shown = ["log", "-1", "--no-show-signature", "--format=%T%n%B", commit];
  const [tree = "", ...message] = (await runGit(world, cwd, shown)).stdout.split("\n");
  const trailer = (key: string) => message.findLast((line) => line.startsWith(`${key}: `))?.slice(key.length + 2);
  const head = trailer(HEAD_TRAILER);
  const index = trailer(INDEX_TRAILER);
  const isOurs = message[0]?.startsWith("mu salvage ") && head !== undefined && index !== undefined;
  if (!isOurs) return { head: commit, tree: null, index: null, comebacks: [] };
  const begins = `${COMEBACK_TRAILER}: `;
  const comebacks = message.filter((line) => line.startsWith(begins)).map((line) => line.slice(begins.length));
  return { head, tree, index, comebacks };
}

/** The most commits that a description lists. */
const LISTED = 50;

/** A save for people: commits that are on no branch, and its files with how much changed. Faults `vcs.no_save`. */
export async function describe(world: VcsWorld, root: string, place: string): Promise<string> {
  const { head, tree, comebacks } = await read(world, root, place);
  const shown = ["--no-show-signature", "--no-color", "--format=%h %s (%an, %ad)", "--date=short"];
  const range = ["--max-count", String(LISTED), head, ...comebacks, "--not", "--branches", "--remotes"];
  const commits = (await runGit(world, root, ["log", ...shown, ...range, "--"])).stdout;
  const files = tree === null ? "" : await diffTrees(world, root, head, tree, "--stat");
  return [
    commits === "" ? `At ${head.slice(0, 12)}; no commit that is on no branch.` : `Commits:\n${indent(commits)}`,
    files === "" ? "" : `Not committed:\n${files.trimEnd()}`,
    comebacks.length === 0 ? "" : `Something was unfinished; beside HEAD it held ${comebacks.join(" and ")}.`,
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

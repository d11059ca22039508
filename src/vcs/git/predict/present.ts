import { constants } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../../errors.js";
import type { Checkout } from "../../vcs.js";
import { gitLine, runGit } from "../run.js";
import { gitDirOf, snapshot } from "../snapshot.js";
import type { Quarantine } from "./quarantine.js";

/** A checkout at this moment. */
export interface Present {
  /** The commit it is at. */
  head: string;
  /** The tree of everything in it; null where nothing is uncommitted, so that it is that of `head`. */
  tree: string | null;
  /** Files that are not committed. */
  dirty: number;
}

/**
 * What is in a checkout. The work tree and its index are only read, and the work tree only once: what differs goes into
 * a copy of the index by name. Faults `vcs.no_folder`, `vcs.no_commits`, `vcs.failed`.
 */
export async function presentOf(quarantine: Quarantine, checkout: Checkout): Promise<Present> {
  const { stdout } = await runGit(quarantine.world, checkout.path, STATUS);
  const lines = stdout.split("\0").filter((line) => line !== "");
  const head = lines.map((line) => /^# branch\.oid ([0-9a-f]+)$/.exec(line)?.[1]).find((found) => found !== undefined);
  if (head === undefined) throw new Fault("conflict", "vcs.no_commits", "Nothing was committed in it yet.");
  const differing = lines.filter((line) => !line.startsWith("# "));
  if (differing.length === 0) return { head, tree: null, dirty: 0 };
  return { head, tree: await treeOf(quarantine, checkout, differing.map(pathIn)), dirty: differing.length };
}

const STATUS = [
  ...["-c", "core.fsmonitor=false", "status", "--porcelain=v2", "--branch", "-z"],
  ...["--no-renames", "--no-ahead-behind", "--untracked-files=all", "--ignore-submodules=none"],
];

/** How many words stand before the path, by the kind of line. */
const WORDS: Readonly<Record<string, number>> = { "1": 8, u: 10, "?": 1 };

function pathIn(line: string): string {
  let start = 0;
  for (let word = WORDS[line[0] ?? ""] ?? 1; word > 0; word--) start = line.indexOf(" ", start) + 1;
  return line.slice(start).replace(/\/$/, "");
}

const QUIETLY = ["-c", "core.fsmonitor=false", "-c", "core.splitIndex=false", "-c", "core.safecrlf=false"];

async function treeOf({ world, folder }: Quarantine, checkout: Checkout, paths: readonly string[]): Promise<string> {
  const index = join(folder, `index-${indexes++}`);
  const env = { GIT_INDEX_FILE: index };
  try {
    await copyFile(join(await gitDirOf(checkout.path), "index"), index, constants.COPYFILE_FICLONE);
    const update = ["update-index", "-z", "--add", "--remove", "--replace", "--stdin"];
    await runGit(world, checkout.path, [...QUIETLY, ...update], {
      env,
      input: paths.map((path) => `${path}\0`).join(""),
    });
    return await gitLine(world, checkout.path, [...QUIETLY, "write-tree"], { env });
  } catch (error) {
    if (!(error instanceof Fault) && !(error instanceof Error && "code" in error)) throw error;
    // Files come and go while an agent works, and an odd one may be refused by name: the thorough way knows how.
    return (await snapshot(world, checkout)).tree;
  }
}

let indexes = 0;

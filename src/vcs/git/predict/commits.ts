import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runGit } from "../run.js";
import type { Quarantine } from "./quarantine.js";

/** A tree that shall be a commit on another. */
export interface Unborn {
  tree: string;
  parent: string;
}

/** Makes commits that nothing refers to, all in one run of git; the same input gives the same commits. */
export async function makeCommits(
  { world, folder }: Quarantine,
  root: string,
  unborn: readonly Unborn[],
): Promise<string[]> {
  if (unborn.length === 0) return [];
  const files = unborn.map((_, n) => join(folder, `commit-${n}`));
  await Promise.all(unborn.map((one, n) => writeFile(files[n] ?? "", textOf(one))));
  const args = ["hash-object", "-t", "commit", "-w", "--no-filters", "--stdin-paths"];
  const { stdout } = await runGit(world, root, args, { input: files.map((file) => `${file}\n`).join("") });
  return stdout.trimEnd().split("\n");
}

function textOf({ tree, parent }: Unborn): string {
  const nobody = "mu <mu@localhost> 946684800 +0000";
  return `tree ${tree}\nparent ${parent}\nauthor ${nobody}\ncommitter ${nobody}\n\nradar\n`;
}

import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

const STEP_MS = 100;
/** Looks that must show the same before nobody is taken to be at work. */
const CALM = 3;
const MOST_LOOKS = 50;

/**
 * Waits until nothing moves in a checkout's git folder, at most five seconds: whoever ran git there may have been
 * killed, and git not. A lock on the index counts as moving, as its holder shows nothing while it fills the work tree.
 */
export async function waitForOrphan(gitDir: string): Promise<void> {
  let before = "";
  for (let calm = 0, looks = 0; calm < CALM && looks < MOST_LOOKS; looks += 1) {
    const now = await look(gitDir);
    calm = now === before && !now.includes("index.lock") ? calm + 1 : 0;
    before = now;
    await wait(STEP_MS);
  }
}

async function look(gitDir: string): Promise<string> {
  const seen: string[] = [];
  for (const folder of [gitDir, join(gitDir, "rebase-merge")])
    for (const name of await readdir(folder).catch(() => []))
      seen.push(`${name} ${(await stat(join(folder, name)).catch(() => undefined))?.mtimeMs}`);
  return seen.sort().join("\n");
}

import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault } from "../errors.js";
import { counted, quote } from "../names.js";
import { writeWhole } from "../whole-file.js";
import { isTaken } from "./folders.js";
import { pathTaken } from "./program.js";
import type { Commit, Standing, Target } from "./vcs.js";

// What the backends share that keep their saves as bookmarks: Jujutsu and Sapling.

/** The prefix of bookmarks of saves. */
export const SAVED = "mu/salvage/";

/**
 * Creates a checkout unless `path` has a complete one, and gives the commit it started at. `meta` is the folder that
 * every checkout has, and `store` a path in it that only a repository of its own has. An incomplete checkout is removed
 * first, because its missing files would count as deleted.
 */
export async function createOnce(
  { path, meta, store }: { path: string; meta: string; store: string },
  steps: { base(): Promise<string>; add(base: string): Promise<unknown>; remove(): Promise<void> },
): Promise<{ base: string }> {
  const isOurs = existsSync(join(path, meta)) && !existsSync(join(path, meta, store));
  if (!isOurs && (await isTaken(path))) throw pathTaken(path);
  const done = join(path, meta, "mu-base");
  const known = await readFile(done, "utf8").catch(() => undefined);
  if (known !== undefined) return { base: known };
  const base = await steps.base();
  await steps.remove();
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    await steps.add(base);
    await writeWhole(done, base);
  } catch (error) {
    await steps.remove();
    throw error;
  }
  return { base };
}

/** The standing of a checkout; what cannot be read is null. `count` gives the commits that lead to `to` and not to `from`. */
export async function standingOf(
  path: string,
  target: Target | null,
  read: {
    underway: string | null;
    state(): Promise<{ head: string; dirty: number | null }>;
    count(from: string, to: string): Promise<number>;
  },
): Promise<Standing> {
  const present = existsSync(path);
  const unknown: Standing = { path, present, head: null, behind: null, ahead: null, dirty: null, underway: null };
  if (!present) return unknown;
  const { underway } = read;
  try {
    const { head, dirty } = await read.state();
    if (target === null) return { ...unknown, head, dirty, underway };
    const behind = await read.count(head, target.commit);
    return { ...unknown, head, dirty, underway, behind, ahead: await read.count(target.commit, head) };
  } catch {
    return { ...unknown, underway };
  }
}

/** Parses commits printed as id, author, date and description, each ending with a NUL. */
export function parseCommits(output: string): Commit[] {
  const fields = output.split("\0");
  const commits: Commit[] = [];
  for (let at = 0; at + 3 < fields.length; at += 4) {
    const [sha = "", author = "", authorDate = "", description = ""] = fields.slice(at, at + 4);
    const [subject = "", ...body] = description.trimEnd().split("\n");
    commits.push({ sha, subject, body: body.join("\n").trim(), author, authorDate });
  }
  return commits;
}

/** The fault for uncommitted files; `command` commits them. */
export function dirtyCheckout(path: string, files: number, command: string): Fault {
  const message = `${quote(path)} has ${counted(files, "uncommitted file")}.`;
  return new Fault("conflict", "vcs.dirty", message, [{ intent: "Commit them", command }], { path, files });
}

/** The fault for a repository without a branch to land on; `command` creates one. */
export function noTarget(root: string, command: string): Fault {
  return new Fault("missing", "vcs.no_target", `${quote(root)} has no bookmark that work can land on.`, [
    { intent: "Create one", command },
  ]);
}

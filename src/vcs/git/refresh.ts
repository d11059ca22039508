import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../errors.js";
import { quote, shellWord } from "../../names.js";
import type { Checkout, CommitRange, Refreshed, VcsWorld } from "../vcs.js";
import { gitDirOf, readText, underwayIn, waitForOrphan } from "./git-dir.js";
import { arrivedIn, commitsBetween, parseWalk } from "./history.js";
import { type GitResult, gitFault, gitLine, gitWords, runGit } from "./run.js";
import { identity } from "./saved-commit.js";
import { commitOf } from "./target.js";

/** What a rebase must not do here: sign (that may ask for a passphrase), stash, reorder, move refs, resolve by itself. */
const PLAIN = [
  "commit.gpgSign=false",
  "rebase.autoStash=false",
  "rebase.autoSquash=false",
  "rebase.updateRefs=false",
  "rerere.enabled=false",
  "core.fsmonitor=false",
].flatMap((setting) => ["-c", setting]);

/**
 * Rebases the checkout's own commits onto `onto`. Where it began is noted in the checkout's git folder, so that a run
 * that was killed is undone by the next, and `from` stays known when the caller was killed before it could note it.
 * Merges are flattened, and commits that `onto` has under another name are left out, as a rebase does. Faults
 * `vcs.dirty`, `vcs.underway`, `vcs.hook_failed`, `vcs.unknown_ref`.
 */
export async function refresh(
  world: VcsWorld,
  checkout: Checkout,
  ontoRef: string,
  landed: readonly CommitRange[] = [],
): Promise<Refreshed> {
  const { path } = checkout;
  const gitDir = await gitDirOf(path);
  const onto = await commitOf(world, path, ontoRef);
  if ((await refreshedFrom(gitDir)) !== undefined) await waitForOrphan(gitDir);
  await undoAbandoned(world, path, gitDir);
  await refuseUnfinished(world, path, gitDir);
  const head = await commitOf(world, path, "HEAD");
  const isOn = await runGit(world, path, ["merge-base", "--is-ancestor", onto, head], { okCodes: [1] });
  if (isOn.code === 0) {
    const note = await readNote(gitDir);
    const from = note?.head === head && note.onto === onto ? note.from : head;
    return { outcome: "current", from, onto, head, replayed: await commitsBetween(world, path, onto, head) };
  }
  return rebase(world, path, gitDir, { from: head, onto, upstream: await upstreamOf(world, path, { onto, landed }) });
}

/** What the checkout's own work begins behind: a commit up to which all of it has landed, else `onto` itself. */
async function upstreamOf(
  world: VcsWorld,
  path: string,
  { onto, landed }: { onto: string; landed: readonly CommitRange[] },
): Promise<string> {
  if (landed.length === 0) return onto;
  const { stdout } = await runGit(world, path, ["rev-list", "--topo-order", "--parents", "HEAD", `^${onto}`]);
  const walk = parseWalk(stdout);
  const arrived = arrivedIn(walk, landed);
  const own = [...walk.keys()];
  const newest = own[own.findLastIndex((commit) => !arrived.has(commit)) + 1];
  return newest ?? onto;
}

async function rebase(
  world: VcsWorld,
  path: string,
  gitDir: string,
  { from, onto, upstream }: { from: string; onto: string; upstream: string },
): Promise<Refreshed> {
  await writeNote(gitDir, { from, onto });
  const args = [...PLAIN, "rebase", "--merge", "--no-fork-point", "--empty=drop", "--onto", onto, upstream];
  const result = await runGit(world, path, args, { okCodes: REBASE_CODES, env: await identity(world, path) });
  if (result.code === 0) {
    const head = await commitOf(world, path, "HEAD");
    await writeNote(gitDir, { from, onto, head });
    return { outcome: "refreshed", from, onto, head, replayed: await commitsBetween(world, path, onto, head) };
  }
  const unmerged = await runGit(world, path, ["diff", "--name-only", "--diff-filter=U", "-z"]);
  const conflicts = unmerged.stdout.split("\0").filter(Boolean);
  await undoAbandoned(world, path, gitDir);
  if (conflicts.length > 0) return { outcome: "conflict", from, onto, conflicts };
  throw rebaseFault(path, args, result);
}

const REBASE_CODES = [1, 2, 128];

/** Puts everything back to where a refresh began that did not end. A rebase that is not ours is left alone. */
async function undoAbandoned(world: VcsWorld, path: string, gitDir: string): Promise<void> {
  const note = await readNote(gitDir);
  if (note === undefined || note.head !== undefined) return;
  if (underwayIn(await readdir(gitDir)) === "rebase") {
    const aborted = await runGit(world, path, ["rebase", "--abort"], { okCodes: REBASE_CODES });
    if (aborted.code !== 0) await startOver(world, path, note.from);
  }
  const head = await gitLine(world, path, ["rev-parse", "HEAD"]);
  // Killed after the rebase and before its note: the rebase is whole.
  if (head === note.from) await rm(join(gitDir, NOTE), { force: true });
  else await writeNote(gitDir, { ...note, head });
}

/** For a rebase that was killed before it had written down enough to be aborted. */
async function startOver(world: VcsWorld, path: string, from: string): Promise<void> {
  await runGit(world, path, ["rebase", "--quit"], { okCodes: REBASE_CODES });
  const branchless = await runGit(world, path, ["symbolic-ref", "--quiet", "HEAD"], { okCodes: [1] });
  if (branchless.code === 1) await runGit(world, path, ["update-ref", "--no-deref", "HEAD", from]);
  await runGit(world, path, ["reset", "--quiet", "--hard", from]);
}

async function refuseUnfinished(world: VcsWorld, path: string, gitDir: string): Promise<void> {
  const underway = underwayIn(await readdir(gitDir));
  if (underway !== null)
    throw new Fault("conflict", "vcs.underway", `A ${underway} was begun in ${quote(path)} and not ended.`, [
      { intent: "See where it stands", command: `git -C ${shellWord(path)} status` },
    ]);
  const status = ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=no"];
  const changed = (await runGit(world, path, status)).stdout.split("\0").filter(Boolean);
  if (changed.length > 0) throw dirty(path, changed);
}

/** The fault for uncommitted work that is in the way; `entries` are lines of `git status`. */
export function dirty(path: string, entries: readonly string[]): Fault {
  const files = entries.map((entry) => entry.slice(3));
  const count = files.length === 1 ? "1 file that is" : `${files.length} files that are`;
  return new Fault(
    "conflict",
    "vcs.dirty",
    `There ${files.length === 1 ? "is" : "are"} ${count} not committed in ${quote(path)}.`,
    [{ intent: "See them", command: `git -C ${shellWord(path)} status` }],
    { files: files.slice(0, 50) },
  );
}

function rebaseFault(path: string, args: readonly string[], result: GitResult): Fault {
  const hook = /The ([a-z-]+) hook refused/.exec(result.stderr)?.[1];
  if (hook === undefined) return gitFault(path, args, result);
  const words = gitWords(result.stderr.replaceAll(/^(error|fatal): The .* hook refused.*$/gm, ""));
  return new Fault(
    "conflict",
    "vcs.hook_failed",
    `The repository's ${hook} hook refused: ${words}`,
    [{ intent: "See where its hooks are", command: `git -C ${shellWord(path)} rev-parse --git-path hooks` }],
    { hook, exitCode: result.code, stderr: result.stderr },
  );
}

const NOTE = "mu-refresh";

/** `head` is there once the refresh has ended. */
interface Note {
  from: string;
  onto: string;
  head?: string;
}

async function readNote(gitDir: string): Promise<Note | undefined> {
  const [from, onto, head] = (await readText(join(gitDir, NOTE)))?.split("\n") ?? [];
  if (!from || !onto) return undefined;
  return { from, onto, ...(head && { head }) };
}

async function writeNote(gitDir: string, { from, onto, head }: Note): Promise<void> {
  await writeFile(join(gitDir, NOTE), `${from}\n${onto}\n${head ?? ""}\n`);
}

/** Where an unended refresh of ours began, for whoever must not lose it. */
export async function refreshedFrom(gitDir: string): Promise<string | undefined> {
  const note = await readNote(gitDir);
  return note?.head === undefined ? note?.from : undefined;
}

import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../errors.js";
import { counted, quote, shellWord } from "../../names.js";
import { writeWhole } from "../../whole-file.js";
import type { ProgramResult } from "../program.js";
import type { Checkout, CommitRange, Refreshed, VcsWorld } from "../vcs.js";
import { gitDirOf, operationIn, readText, removeLocksSince, waitUntilQuiet } from "./git-dir.js";
import { commitsBetween, landedIn, parseWalk, requireHistory } from "./history.js";
import { reattach } from "./own-branch.js";
import { gitEntries, gitFault, gitLine, runGit } from "./run.js";
import { identity } from "./saved-commit.js";
import { commitOf } from "./target.js";
import { hookFailed } from "./worktree.js";

/** The rebase must not sign (that may ask for a passphrase), stash, reorder, move refs, or resolve by itself. */
const PLAIN = [
  "commit.gpgSign=false",
  "rebase.autoStash=false",
  "rebase.autoSquash=false",
  "rebase.updateRefs=false",
  "rerere.enabled=false",
  "core.fsmonitor=false",
].flatMap((setting) => ["-c", setting]);

/**
 * Rebases the checkout's own commits onto `onto`. A note in the checkout's git folder says where it started, so that
 * the next run can undo a killed one, and still knows `from` if the caller was killed before recording it. Commits that
 * `onto` has under another id are dropped, as a rebase does. Where there are merges, whose resolutions a rebase would
 * ask for again, or where the commits conflict one by one, `onto` is merged instead. Faults `vcs.shallow`, `vcs.dirty`,
 * `vcs.underway`, `vcs.hook_failed`, `vcs.unknown_ref`.
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
  if ((await refreshedFrom(gitDir)) !== undefined) await waitUntilQuiet(gitDir);
  await undoAbandoned(world, path, gitDir);
  await requireClean(world, path, "no");
  const head = await commitOf(world, path, "HEAD");
  const isOn = await runGit(world, path, ["merge-base", "--is-ancestor", onto, head], { okCodes: [1] });
  if (isOn.code === 0) {
    const note = await readNote(gitDir);
    const from = note?.head === head && note.onto === onto ? note.from : head;
    return { outcome: "current", from, onto, head, replayed: await commitsBetween(world, path, onto, head) };
  }
  await requireHistory(world, path, onto, head);
  const upstream = await upstreamOf(world, path, { onto, landed });
  const hasMerges = (await gitLine(world, path, ["rev-list", "-n", "1", "--merges", "HEAD", `^${upstream}`])) !== "";
  const rebased = hasMerges ? undefined : await rewrite(world, path, gitDir, { from: head, onto, upstream });
  if (rebased?.outcome === "refreshed") return rebased;
  const merged = await rewrite(world, path, gitDir, { from: head, onto, upstream: null });
  return merged.outcome === "refreshed" || rebased === undefined ? merged : rebased;
}

/** The last commit up to which all of the checkout's work has landed, else `onto` itself. */
async function upstreamOf(
  world: VcsWorld,
  path: string,
  { onto, landed }: { onto: string; landed: readonly CommitRange[] },
): Promise<string> {
  if (landed.length === 0) return onto;
  const { stdout } = await runGit(world, path, ["rev-list", "--topo-order", "--parents", "HEAD", `^${onto}`]);
  const walk = parseWalk(stdout);
  const onTarget = landedIn(walk, landed);
  const own = [...walk.keys()];
  const newest = own[own.findLastIndex((commit) => !onTarget.has(commit)) + 1];
  return newest ?? onto;
}

/** Rebases the commits after `upstream` onto `onto`; merges `onto` if that is null. */
async function rewrite(
  world: VcsWorld,
  path: string,
  gitDir: string,
  { from, onto, upstream }: { from: string; onto: string; upstream: string | null },
): Promise<Refreshed> {
  await writeNote(gitDir, { from, onto, merges: upstream === null });
  const rebase = ["rebase", "--merge", "--no-fork-point", "--empty=drop", "--onto", onto];
  const merge = ["merge", "--no-ff", "--no-edit", "--no-stat", onto];
  const args = [...PLAIN, ...(upstream === null ? merge : [...rebase, upstream])];
  const result = await runGit(world, path, args, { okCodes: REBASE_CODES, env: await identity(world, path) });
  if (result.code === 0) {
    const head = await commitOf(world, path, "HEAD");
    await writeNote(gitDir, { from, onto, head });
    return { outcome: "refreshed", from, onto, head, replayed: await commitsBetween(world, path, onto, head) };
  }
  const conflicts = await gitEntries(world, path, ["diff", "--name-only", "--diff-filter=U", "-z"]);
  await undoAbandoned(world, path, gitDir);
  if (conflicts.length > 0) return { outcome: "conflict", from, onto, conflicts };
  throw rebaseFault(path, args, result);
}

const REBASE_CODES = [1, 2, 128];

/** Undoes a refresh that did not end. Leaves a rebase alone that is not ours. */
async function undoAbandoned(world: VcsWorld, path: string, gitDir: string): Promise<void> {
  const note = await readNote(gitDir);
  if (note === undefined || note.head !== undefined) return;
  await removeLocksSince(gitDir, join(gitDir, NOTE));
  const operation = operationIn(await readdir(gitDir));
  if (operation === "rebase" || operation === "merge") {
    const aborted = await runGit(world, path, [operation, "--abort"], { okCodes: REBASE_CODES });
    if (aborted.code !== 0) await startOver(world, path, note.from);
    // A rebase that was killed as it wrote its own files may not even be given up.
    await rm(join(gitDir, "rebase-merge"), { recursive: true, force: true });
  }
  const head = await gitLine(world, path, ["rev-parse", "HEAD"]);
  // A killed merge that met no conflict leaves changed files and no other trace.
  if (head === note.from && note.merges) await startOver(world, path, note.from);
  // Killed after the rebase and before its note: the rebase is complete.
  if (head === note.from) await rm(join(gitDir, NOTE), { force: true });
  else await writeNote(gitDir, { ...note, head });
}

/** For a rebase that was killed too early to be aborted. */
async function startOver(world: VcsWorld, path: string, from: string): Promise<void> {
  await runGit(world, path, ["rebase", "--quit"], { okCodes: REBASE_CODES });
  const branchless = await runGit(world, path, ["symbolic-ref", "--quiet", "HEAD"], { okCodes: [1] });
  if (branchless.code === 1) await runGit(world, path, ["update-ref", "--no-deref", "HEAD", from]);
  await runGit(world, path, ["reset", "--quiet", "--hard", from]);
  await reattach(world, { path });
}

/** Faults `vcs.underway` during a rebase or merge, and `vcs.dirty` with uncommitted files; `untracked` is git's option. */
export async function requireClean(world: VcsWorld, path: string, untracked: "all" | "no"): Promise<void> {
  const operation = operationIn(await readdir(await gitDirOf(path)));
  if (operation !== null)
    throw new Fault("conflict", "vcs.underway", `A ${operation} is in progress in ${quote(path)}.`, [
      { intent: "See its state", command: `git -C ${shellWord(path)} status` },
    ]);
  const status = ["status", "--porcelain", "-z", "--no-renames", `--untracked-files=${untracked}`];
  const changed = await gitEntries(world, path, status);
  if (changed.length > 0) throw dirty(path, changed);
}

function dirty(path: string, statusLines: readonly string[]): Fault {
  const files = statusLines.map((line) => line.slice(3));
  return new Fault(
    "conflict",
    "vcs.dirty",
    `${quote(path)} has ${counted(files.length, "uncommitted file")}.`,
    [{ intent: "List them", command: `git -C ${shellWord(path)} status` }],
    { files: files.slice(0, 50) },
  );
}

function rebaseFault(path: string, args: readonly string[], result: ProgramResult): Fault {
  const hook = /The ([a-z-]+) hook refused/.exec(result.stderr)?.[1];
  return hook === undefined ? gitFault(path, args, result) : hookFailed(hook, path, result);
}

const NOTE = "mu-refresh";

/** `head` is set once the refresh is complete. */
interface Note {
  from: string;
  onto: string;
  head?: string;
  /** True if it merges instead of rebasing. */
  merges?: boolean;
}

async function readNote(gitDir: string): Promise<Note | undefined> {
  const [from, onto, head, merges] = (await readText(join(gitDir, NOTE)))?.split("\n") ?? [];
  if (!from || !onto) return undefined;
  return { from, onto, merges: merges !== undefined && merges !== "", ...(head && { head }) };
}

async function writeNote(gitDir: string, { from, onto, head, merges }: Note): Promise<void> {
  await writeWhole(join(gitDir, NOTE), `${from}\n${onto}\n${head ?? ""}\n${merges ? "merge\n" : ""}`);
}

/** Where an incomplete refresh of ours started. */
export async function refreshedFrom(gitDir: string): Promise<string | undefined> {
  const note = await readNote(gitDir);
  return note?.head === undefined ? note?.from : undefined;
}

import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Checkout, Loose, LooseOptions, VcsWorld } from "../vcs.js";
import { commonDirOf, gitDirOf, readBranch, readHead, readRef, readText } from "./git-dir.js";
import { landedIn, parseWalk, reachable, type Walk } from "./history.js";
import { runGits } from "./run.js";

/** A line of a reflog. */
interface Move {
  old: string;
  now: string;
  /** In s since 1970. */
  at: number;
  message: string;
}

const LINE = /^([0-9a-f]+) ([0-9a-f]+) .*> (\d+) [-+]\d{4}(?:\t(.*))?$/;

async function readMoves(gitDir: string, ref: string): Promise<Move[]> {
  const text = (await readText(join(gitDir, "logs", ref))) ?? "";
  return text.split("\n").flatMap((line) => {
    const [, old = "", now = "", at = "", message = ""] = LINE.exec(line) ?? [];
    return now === "" ? [] : [{ old, now, at: Number(at), message }];
  });
}

/** Entries for commits that were not made here, but elsewhere before. */
const BROUGHT = /^$|^(checkout|reset|clone|branch|pull|fetch|mu)\b|: Fast-forward$/;

/** The commits that a checkout has made since then; undefined without a reflog. */
export async function made({ path }: Checkout, since: string): Promise<Set<string> | undefined> {
  const gitDir = await gitDirOf(path);
  if (!existsSync(join(gitDir, "logs", "HEAD"))) return undefined;
  return (await readTrail(gitDir, secondsOf(since))).made;
}

const secondsOf = (time = "") => Math.floor(Date.parse(time) / 1000) || 0;

const LEFT = /^checkout: moving from (\S+) to /;

interface Trail {
  gitDir: string;
  common: string;
  /** All entries of HEAD's reflog, and those since the time that was asked for. */
  all: Move[];
  moves: Move[];
  head: string | undefined;
  left: string[];
  made: Set<string>;
}

/** HEAD, the ends of what this checkout has left by `git checkout`, and the commits that it made. Reads only files. */
async function readTrail(gitDir: string, since: number): Promise<Trail> {
  const common = await commonDirOf(gitDir);
  const all = await readMoves(gitDir, "HEAD");
  const moves = all.filter(({ at }) => at >= since);
  const left = moves.flatMap(({ old, message }) => {
    const name = LEFT.exec(message)?.[1];
    return name === undefined ? [] : [{ name, old }];
  });
  const ends = await Promise.all(
    left.map(async ({ name, old }) => (await readRef(common, `refs/heads/${name}`)) ?? old),
  );
  const made = new Set(moves.filter(({ message }) => !BROUGHT.test(message)).map(({ now }) => now));
  return {
    gitDir,
    common,
    all,
    moves,
    head: await readHead(gitDir),
    left: [...new Set(ends)].filter((end) => made.has(end)),
    made,
  };
}

/** What HEAD's reflog says of a commit that is neither HEAD's nor the end of a work: where loose commits may be. */
export async function looseEnds({ path }: Checkout, known: readonly string[]): Promise<string[]> {
  const { head, left } = await readTrail(await gitDirOf(path), 0);
  return [...left, ...(head === undefined ? [] : [head])].filter((end) => !known.includes(end));
}

const MARK = "--\n";

/** Prints the walk, then the commits of HEAD and of each other end that the target and HEAD lack under any id. */
const LIST = `
target=$1 head=$2; shift 2
git rev-list --parents "$head" "$@" "^$target" -- 2>/dev/null
echo --
show() { git log --topo-order --cherry-pick --right-only --no-merges --no-color --no-show-signature --format='%H %s' "$@" --; }
show "$target...$head"
for end do show "$head...$end" "^$target"; done`;

/** See `VcsBackend.loose`. */
export async function loose(world: VcsWorld, { path }: Checkout, options: LooseOptions): Promise<Loose> {
  const { since, target, works, end } = options;
  const trail = await readTrail(await gitDirOf(path), secondsOf(since));
  const { head, left, made } = trail;
  const stashes = await findStashes(world, path, trail);
  if (head === undefined) return { commits: [], tip: null, stashes };
  const output = (await runGits(world, path, LIST, [target, head, ...left])) ?? "";
  const [walked = "", listed = ""] = output.split(MARK, 2);
  const walk = parseWalk(walked);
  const owned = landedIn(
    walk,
    works.map(({ from, to }) => ({ from, to: to ?? head })),
  );
  const inHead = since === undefined ? reachable(walk, [head]) : new Set<string>();
  const commits = [...new Set(listed.split("\n").filter(Boolean))]
    .map((line) => ({ sha: line.split(" ", 1)[0] ?? "", subject: line.slice(line.indexOf(" ") + 1) }))
    .filter(({ sha }) => !owned.has(sha) && (inHead.has(sha) || made.has(sha)));
  return {
    commits,
    tip: tipOver(
      walk,
      commits.map(({ sha }) => sha),
      end ?? head,
    ),
    stashes,
  };
}

/** The end itself if it has all these commits, else the one of them that has the others and the end. */
function tipOver(walk: Walk, commits: readonly string[], end: string): string | null {
  const wanted = [...commits, ...(walk.has(end) ? [end] : [])];
  const holds = (tip: string) => {
    const inTip = reachable(walk, [tip]);
    return wanted.every((commit) => inTip.has(commit));
  };
  return [end, ...commits].find(holds) ?? null;
}

/** How long after a stash its branch is reset, in s. */
const STASH_SECONDS = 10;
const DETACHED = /^(WIP on|On) \(no branch\): /;
const ON_BRANCH = /^(?:WIP on|On) ([^:]+): /;
const SWITCHED = /^checkout: moving from (\S+) to (\S+)$/;

/**
 * Stashes that may have been made here; all checkouts share one list. A stash names its branch, and git then resets HEAD
 * to where it is. A detached HEAD has no such trace: it was at the commit of the stash, and the index has been written since.
 */
async function findStashes(
  world: VcsWorld,
  path: string,
  { all, moves, made, common, gitDir }: Trail,
): Promise<Loose["stashes"]> {
  const stashes = (await readMoves(common, "refs/stash")).reverse();
  if (stashes.length === 0) return [];
  const script = 'for stash do git rev-parse "$stash^1"; done';
  const commits = stashes.map(({ now }) => now);
  const parents = (await runGits(world, path, script, commits))?.split("\n") ?? [];
  const branches = [await readBranch(gitDir), ...all.flatMap(({ message }) => SWITCHED.exec(message)?.slice(1) ?? [])];
  const indexed = (await stat(join(gitDir, "index")).catch(() => undefined))?.mtimeMs ?? 0;
  return stashes.flatMap(({ at, message }, place) => {
    const parent = parents[place] ?? "";
    const wasThere = all.findLast((move) => move.at <= at)?.now === parent && Math.ceil(indexed / 1000) >= at;
    const wasReset = moves.some(
      (move) =>
        move.message === "reset: moving to HEAD" && move.now === parent && Math.abs(move.at - at) <= STASH_SECONDS,
    );
    const wasOn = branches.includes(ON_BRANCH.exec(message)?.[1]);
    const isHere = made.has(parent) || (DETACHED.test(message) ? wasThere : wasReset && wasOn);
    return isHere ? [{ name: `stash@{${place}}`, subject: message }] : [];
  });
}

import type { LandingTarget, Replay, Replayed, Replayer, Tip } from "../lander.js";
import type { BareCommit, CommitRange, VcsWorld } from "../vcs.js";
import { findArrived } from "./arrived.js";
import { withAttributes } from "./attributes.js";
import { landedIn, reachable, requireHistory, type Walk } from "./history.js";
import { gitConflict, type Merge, mergeTrees } from "./merge.js";
import { gitFault, gitLine, runGit, runGits } from "./run.js";

/** A commit that the target lacks. */
interface Step {
  sha: string;
  parents: string[];
  tree: string;
  author: { name: string; email: string; date: string };
  message: string;
}

/**
 * Replays works without a work tree: each step of a work becomes a commit of what merging it into the tip gives. There
 * is nothing to abort or clean up.
 */
export async function gitReplayer(
  world: VcsWorld,
  root: string,
  target: LandingTarget,
  replays: readonly Replay[],
): Promise<Replayer> {
  const works = replays.map(({ work }) => work);
  const scene = { world, root, known: await commitsBeyond(world, root, target.commit, works) };
  const arrived = await findArrivals(scene, target.commit, replays);
  const ahead = new Map<string, Replayed>();
  return {
    async replay(onto, replay) {
      const as = arrived.get(replay);
      if (as !== undefined) return { outcome: "replayed", tip: onto, commits: 0, as };
      const left = replays.slice(replays.indexOf(replay)).filter((each) => !arrived.has(each));
      if (!ahead.has(keyOf(onto, replay))) await replayAhead(scene, onto, left, ahead);
      return ahead.get(keyOf(onto, replay)) ?? replayWork(scene, onto, replay);
    },
  };
}

/** The works that the target has already under other ids, and the commit that has each. */
async function findArrivals(
  { world, root, known }: Scene,
  target: string,
  replays: readonly Replay[],
): Promise<Map<Replay, string>> {
  const patches = replays.flatMap((replay) => {
    const { steps, base } = stepsOf(replay.work, known);
    const isLinear = steps.every(({ parents }) => parents.length === 1);
    if (base === undefined || base === target || steps.length === 0 || !isLinear) return [];
    return [{ replay, base, to: replay.work.to, steps: steps.map(({ sha }) => sha) }];
  });
  const found = await findArrived(world, root, target, patches);
  return new Map(patches.flatMap(({ replay }, index) => (found[index] ? [[replay, found[index]]] : [])));
}

const keyOf = (onto: Tip, { work }: Replay) => `${onto.commit} ${work.from} ${work.to}`;

/** The most single-commit works replayed in one shell: more would not fit on its command line. */
const MAX_BATCH = 50;
const MAX_MESSAGE = 8_000;

/** Takes five arguments per work: its commit, author name, email and date, and message. Stops at the first conflict. */
const REPLAY_AHEAD = `
tip=$1 tree=$2; shift 2
while [ $# -ge 5 ]; do
  new=$(git merge-tree --write-tree --allow-unrelated-histories "$tip" "$1" 2>/dev/null) || exit 0
  if [ "$new" != "$tree" ]; then
    tip=$(printf %s "$5" | GIT_AUTHOR_NAME=$2 GIT_AUTHOR_EMAIL=$3 GIT_AUTHOR_DATE=$4 \
      git -c i18n.commitEncoding=UTF-8 commit-tree --no-gpg-sign "$new" -p "$tip" 2>/dev/null) || exit 0
  fi
  tree=$new
  echo "$tip $tree"
  shift 5
done`;

/**
 * Replays works of a single commit in one shell as far as they merge cleanly, and caches the results: starting a
 * program costs more than the merge. What is not cached is replayed step by step.
 */
async function replayAhead(
  scene: Scene,
  onto: Tip,
  replays: readonly Replay[],
  found: Map<string, Replayed>,
): Promise<void> {
  const simple: { replay: Replay; words: string[] }[] = [];
  for (const replay of replays.slice(0, MAX_BATCH)) {
    const words = singleStep(replay, scene.known);
    if (words === undefined) break;
    simple.push({ replay, words });
  }
  if (simple.length < 2) return;
  const args = [onto.commit, onto.tree, ...simple.flatMap(({ words }) => words)];
  const printed = (await runGits(scene.world, scene.root, REPLAY_AHEAD, args)) ?? "";
  let before = onto;
  for (const [index, line] of printed.trimEnd().split("\n").entries()) {
    const [commit = "", tree = ""] = line.split(" ");
    const replay = simple[index]?.replay;
    if (replay === undefined || tree === "") return;
    const tip = { commit, tree };
    found.set(keyOf(before, replay), { outcome: "replayed", tip, commits: commit === before.commit ? 0 : 1 });
    before = tip;
  }
}

/** The shell arguments for a work of one commit on a base that the target has; undefined for any other. */
function singleStep({ work, trailers }: Replay, known: Scene["known"]): string[] | undefined {
  const { steps, base } = stepsOf(work, known);
  const [step] = steps;
  if (step === undefined || steps.length > 1 || base === undefined || known.has(base)) return undefined;
  const message = withTrailers(step.message, trailers);
  if (message.length > MAX_MESSAGE || step.author.name.trim() === "") return undefined;
  return [step.sha, step.author.name, step.author.email, `@${step.author.date}`, message];
}

interface Scene {
  world: VcsWorld;
  root: string;
  known: ReadonlyMap<string, Step>;
}

const FORMAT = ["%H", "%P", "%T", "%an", "%ae", "%ad", "%B"].join("%n");

/** All commits of the works that the target lacks, by id. */
async function commitsBeyond(
  world: VcsWorld,
  root: string,
  target: string,
  works: readonly CommitRange[],
): Promise<Map<string, Step>> {
  const tips = [...new Set(works.flatMap(({ from, to }) => [from, to]))];
  const args = ["--date=raw", "--encoding=UTF-8", "--no-show-signature", "--no-color", "-z", `--format=${FORMAT}`];
  const { stdout } = await runGit(world, root, ["log", ...args, "--stdin"], {
    input: [`^${target}`, ...tips, ""].join("\n"),
  });
  const commits = stdout.split("\0").filter((text) => text !== "");
  return new Map(commits.map(parseCommit).map((commit) => [commit.sha, commit]));
}

function parseCommit(text: string): Step {
  const [sha = "", parents = "", tree = "", name = "", email = "", date = "", ...message] = text.split("\n");
  return {
    sha,
    parents: parents.split(" ").filter((parent) => parent !== ""),
    tree,
    author: { name, email, date },
    message: message.join("\n"),
  };
}

/** The work's steps, oldest first, and the parent of the first one. */
function stepsOf({ from, to }: CommitRange, known: Scene["known"]): { steps: Step[]; base: string | undefined } {
  const before = reachable(walkOf(known), [from]);
  const steps: Step[] = [];
  let at: string | undefined = to;
  for (let commit = known.get(to); commit !== undefined; commit = at === undefined ? undefined : known.get(at)) {
    if (before.has(commit.sha)) break;
    steps.unshift(commit);
    at = commit.parents[0];
  }
  return { steps, base: at };
}

async function replayWork(scene: Scene, onto: Tip, replay: Replay): Promise<Replayed> {
  const { steps, base } = stepsOf(replay.work, scene.known);
  const last = steps.at(-1);
  if (last === undefined) return { outcome: "replayed", tip: onto, commits: 0 };

  const side = await mergeSideOf(scene, onto, base);
  const whole = await mergedTree(scene, side, last);
  if (!whole.isClean) {
    const merged = (await mergedAsItIs(scene, onto, replay)) ?? (await mergedWithAttributes(scene, onto, side, last));
    if (!merged?.isClean) {
      await requireHistory(scene.world, scene.root, side.commit, last.sha);
      const conflict = await gitConflict(scene, whole, replay.names);
      return { outcome: "conflict", ...conflict, under: commitsUnder(scene, replay) };
    }
    const trees = [...steps.slice(0, -1).map(() => whole), merged];
    return commitSteps(scene, onto, { steps, trees, trailers: replay.trailers });
  }
  const before = await Promise.all(steps.slice(0, -1).map((step) => mergedTree(scene, side, step)));
  return commitSteps(scene, onto, { steps, trees: [...before, whole], trailers: replay.trailers });
}

/** What the steps are merged into: the tip, or the tip's tree on the steps' own base if the target lacks that base. */
interface MergeSide {
  commit: string;
  /** True if the steps are based on the tip itself. */
  isBase: boolean;
}

async function mergeSideOf({ world, root, known }: Scene, onto: Tip, base: string | undefined): Promise<MergeSide> {
  if (base === undefined || !known.has(base)) return { commit: onto.commit, isBase: base === onto.commit };
  const who = { GIT_AUTHOR_NAME: "mu", GIT_AUTHOR_EMAIL: "mu", GIT_COMMITTER_NAME: "mu", GIT_COMMITTER_EMAIL: "mu" };
  const args = ["commit-tree", "--no-gpg-sign", onto.tree, "-p", base, "-m", "a base for a merge"];
  return { commit: await gitLine(world, root, args, { env: who }), isBase: false };
}

/**
 * What `git merge` makes of the tip and the work with its real ancestors, which may include merges of the target. Only
 * if the tip has all else that it would bring.
 */
async function mergedAsItIs(scene: Scene, onto: Tip, { work, beneath }: Replay): Promise<Merge | undefined> {
  const walk = walkOf(scene.known);
  const expected = landedIn(walk, [...beneath, work]);
  if ([...reachable(walk, [work.to])].some((commit) => !expected.has(commit))) return undefined;
  const merged = await mergeTrees(scene.world, scene.root, [onto.commit, work.to]);
  return merged.isClean ? merged : undefined;
}

function commitsUnder({ known }: Scene, { work, beneath }: Replay): BareCommit[] {
  const walk = walkOf(known);
  const present = landedIn(walk, beneath);
  const under = [...reachable(walk, [work.from])].filter((sha) => !present.has(sha));
  return under.map((sha) => ({ sha, subject: known.get(sha)?.message.split("\n", 1)[0] ?? "" }));
}

const walkOf = (known: Scene["known"]): Walk => new Map([...known].map(([sha, { parents }]) => [sha, parents]));

/** The merge with the attributes of the tip, which git does not read in a bare repository or on another branch. */
function mergedWithAttributes(scene: Scene, onto: Tip, side: MergeSide, step: Step): Promise<Merge | undefined> {
  const options = ["-c", "merge.renormalize=true"];
  return withAttributes(scene, onto.commit, ({ folder, env }) =>
    mergeTrees(scene.world, folder, [side.commit, step.sha], { options, env }),
  );
}

async function mergedTree({ world, root }: Scene, side: MergeSide, step: Step): Promise<Merge> {
  if (side.isBase) return { isClean: true, tree: step.tree, files: [], messages: [] };
  return mergeTrees(world, root, [side.commit, step.sha]);
}

interface Steps {
  steps: readonly Step[];
  /** The merge of each step with the tip. */
  trees: readonly Merge[];
  trailers: readonly string[];
}

/** Commits each step that changes something. A step that conflicts, while the whole work does not, is folded into the next. */
async function commitSteps(scene: Scene, onto: Tip, { steps, trees, trailers }: Steps): Promise<Replayed> {
  const kept = keptSteps(steps, trees, onto.tree);
  let tip = onto;
  for (const [index, { step, tree, message }] of kept.entries()) {
    const isLast = index === kept.length - 1;
    const commit = await commitTree(scene, {
      tree,
      parent: tip.commit,
      author: step.author,
      message: isLast ? withTrailers(message, trailers) : message,
    });
    tip = { commit, tree };
  }
  return { outcome: "replayed", tip, commits: kept.length };
}

function keptSteps(steps: readonly Step[], trees: readonly Merge[], start: string) {
  const kept: { step: Step; tree: string; message: string }[] = [];
  let [before, folded] = [start, ""];
  for (const [index, step] of steps.entries()) {
    const merged = trees[index];
    if (!merged?.isClean) {
      folded += `\n\n${step.message.trim()}`;
      continue;
    }
    if (merged.tree !== before) {
      kept.push({
        step,
        tree: merged.tree,
        message: folded === "" ? step.message : `${step.message.trimEnd()}${folded}\n`,
      });
      folded = "";
    }
    before = merged.tree;
  }
  return kept;
}

interface NewCommit {
  tree: string;
  parent: string;
  author: Step["author"];
  message: string;
}

/** Commits a tree under its author, who is also the committer if git has no identity. */
async function commitTree({ world, root }: Scene, { tree, parent, author, message }: NewCommit): Promise<string> {
  const args = ["-c", "i18n.commitEncoding=UTF-8", "commit-tree", "--no-gpg-sign", tree, "-p", parent];
  const env = {
    GIT_AUTHOR_NAME: author.name.trim() || "unknown",
    GIT_AUTHOR_EMAIL: author.email,
    GIT_AUTHOR_DATE: `@${author.date}`,
  };
  const made = await runGit(world, root, args, { env, input: message, okCodes: [128] });
  if (made.code === 0) return made.stdout.trim();
  if (!/ident|who you are|auto-detect/.test(made.stderr)) throw gitFault(root, args, made);
  const committer = { GIT_COMMITTER_NAME: env.GIT_AUTHOR_NAME, GIT_COMMITTER_EMAIL: env.GIT_AUTHOR_EMAIL };
  return (await runGit(world, root, args, { env: { ...env, ...committer }, input: message })).stdout.trim();
}

const TRAILER = /^(?:[A-Za-z0-9][\w-]*: |\s)/;

/** The message with the trailers appended, to its trailer block if it has one. */
function withTrailers(message: string, trailers: readonly string[]): string {
  if (trailers.length === 0) return message;
  const text = message.trimEnd();
  const paragraphs = text.split(/\n\s*\n/);
  const hasBlock = paragraphs.length > 1 && (paragraphs.at(-1) ?? "").split("\n").every((line) => TRAILER.test(line));
  return `${text}${hasBlock ? "\n" : "\n\n"}${trailers.join("\n")}\n`;
}

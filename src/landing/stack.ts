import type { Crew } from "../agents/crew.js";
import { auditHead } from "../audit.js";
import { qualifiedName } from "../names.js";
import type { Lander, LandingTarget, Replayer, Tip } from "../vcs/lander.js";
import type { Candidate } from "./choose.js";
import type { Link } from "./order.js";
import type { Place } from "./place.js";

/** A task's work as it would be on the branch. */
export interface Step {
  candidate: Candidate;
  tip: Tip;
  /** New commits; 0 when the branch has it all. */
  commits: number;
}

/** A task's work that does not go onto what is below it. */
export interface Clash {
  candidate: Candidate;
  /** Tasks of the same batch below it, so that it may go onto the bare target all the same. */
  below: string[];
  files: string[];
  words: string[];
  hunk: string;
}

/** A batch on its target: what goes on it, one on the other, and what does not. */
export interface Stack {
  target: LandingTarget;
  steps: Step[];
  clashes: Clash[];
}

/** Puts the works one on the other; those that clash, and whatever waits for them, are left out. No branch and no checkout is touched. */
export async function stackTasks(
  crew: Crew,
  { lander, root, branch }: Place,
  candidates: readonly Candidate[],
  edges: readonly Link[],
): Promise<Stack> {
  const target = await lander.target(crew, root, branch);
  const replayer = await replayerFor(crew, { lander, root }, target, candidates);
  const head = await headOf(crew, candidates[0]);
  const stack: Stack = { target, steps: [], clashes: [] };
  let tip: Tip = target;
  const out = new Set<number>();
  for (const candidate of candidates) {
    const { id } = candidate.row;
    if (edges.some((edge) => edge.blocked_id === id && out.has(edge.blocker_id))) {
      out.add(id);
      continue;
    }
    const step = await putOn(tip, candidate, { replayer, branch, head });
    if ("files" in step) {
      out.add(id);
      stack.clashes.push({ ...step, below: stack.steps.filter((one) => one.commits > 0).map(nameOf) });
      continue;
    }
    stack.steps.push(step);
    tip = step.tip;
  }
  return stack;
}

async function replayerFor(
  crew: Crew,
  { lander, root }: { lander: Lander; root: string },
  target: LandingTarget,
  candidates: readonly Candidate[],
): Promise<Replayer | undefined> {
  const works = candidates.flatMap(({ work }) => (work === null ? [] : [work]));
  return works.length === 0 ? undefined : lander.replayer(crew, root, target, works);
}

/** What the chain of the workstream says now, for the trailer that anchors it. */
async function headOf(crew: Crew, candidate: Candidate | undefined): Promise<string | undefined> {
  if (candidate === undefined) return undefined;
  const head = (await auditHead(crew.context.store.db, candidate.row.workstream))[0];
  return head && `${head.scope} ${head.n} ${head.head}`;
}

async function putOn(
  tip: Tip,
  candidate: Candidate,
  { replayer, branch, head }: { replayer: Replayer | undefined; branch: string; head: string | undefined },
): Promise<Step | Omit<Clash, "below">> {
  if (candidate.work === null || replayer === undefined) return { candidate, tip, commits: 0 };
  const name = qualifiedName(candidate.row);
  const replayed = await replayer.replay(tip, {
    work: candidate.work,
    trailers: [`Mu-Task: ${name}`, ...(head === undefined ? [] : [`Mu-Audit: ${head}`])],
    names: { ours: branch, theirs: candidate.row.name },
  });
  if (replayed.outcome === "conflict") return { candidate, ...replayed };
  return { candidate, tip: { commit: replayed.tip.commit, tree: replayed.tip.tree }, commits: replayed.commits };
}

const nameOf = ({ candidate }: Step) => candidate.row.name;

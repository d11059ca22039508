import type { TmuxHost } from "../agents/crew.js";
import { auditHead } from "../journal/audit.js";
import { qualifiedName } from "../names.js";
import type { LandingTarget, Replay, Replayed, Tip } from "../vcs/lander.js";
import type { Candidate, Link } from "./choose.js";
import type { Place } from "./place.js";

/** A task's work as it would be on the branch. */
export interface Step {
  candidate: Candidate;
  tip: Tip;
  /** New commits; 0 when the branch has it all. */
  commits: number;
}

/** A task's work that conflicts with what is below it. */
export interface Clash {
  candidate: Candidate;
  /** Tasks of the same batch below it; without them it may still apply to the target. */
  below: string[];
  files: string[];
  words: string[];
  hunk: string;
}

/** A batch on its target: what applies, in order, and what conflicts. */
export interface Stack {
  target: LandingTarget;
  steps: Step[];
  clashes: Clash[];
}

/** Replays the tasks on top of each other, without those that conflict and those that wait for them. Touches no branch and no checkout. */
export async function stackTasks(
  crew: TmuxHost,
  { lander, root, branch }: Place,
  candidates: readonly Candidate[],
  edges: readonly Link[],
): Promise<Stack> {
  const target = await lander.target(crew, root, branch);
  const replays = replaysOf(candidates, { branch, head: await headOf(crew, candidates[0]) });
  const replayer = replays.size === 0 ? undefined : await lander.replayer(crew, root, target, [...replays.values()]);
  const stack: Stack = { target, steps: [], clashes: [] };
  let tip: Tip = target;
  const out = new Set<number>();
  for (const candidate of candidates) {
    const { id } = candidate.row;
    if (edges.some((edge) => edge.blocked_id === id && out.has(edge.blocker_id))) {
      out.add(id);
      continue;
    }
    const replay = replays.get(candidate);
    const step = await putOn(tip, candidate, replay && replayer && (() => replayer.replay(tip, replay)));
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

/** What the chain of the workstream says now, for the trailer that anchors it. */
async function headOf(crew: TmuxHost, candidate: Candidate | undefined): Promise<string | undefined> {
  if (candidate === undefined) return undefined;
  const head = (await auditHead(crew.context.store.db, candidate.row.workstream))[0];
  return head && `${head.scope} ${head.n} ${head.head}`;
}

function replaysOf(
  candidates: readonly Candidate[],
  { branch, head }: { branch: string; head: string | undefined },
): Map<Candidate, Replay> {
  const anchor = head === undefined ? [] : [`Mu-Audit: ${head}`];
  return new Map(
    candidates.flatMap((candidate): [Candidate, Replay][] => {
      const { row, work } = candidate;
      const trailers = [`Mu-Task: ${qualifiedName(row)}`, ...anchor];
      return work === null ? [] : [[candidate, { work, trailers, names: { ours: branch, theirs: row.name } }]];
    }),
  );
}

async function putOn(
  tip: Tip,
  candidate: Candidate,
  replay: (() => Promise<Replayed>) | undefined,
): Promise<Step | Omit<Clash, "below">> {
  if (replay === undefined) return { candidate, tip, commits: 0 };
  const replayed = await replay();
  if (replayed.outcome === "conflict") return { candidate, ...replayed };
  return { candidate, tip: { commit: replayed.tip.commit, tree: replayed.tip.tree }, commits: replayed.commits };
}

const nameOf = ({ candidate }: Step) => candidate.row.name;

import type { TmuxHost } from "../agents/crew.js";
import { auditHead } from "../journal/audit.js";
import { qualifiedName } from "../names.js";
import type { LandingTarget, Replay, Tip } from "../vcs/lander.js";
import type { BareCommit, CommitRange } from "../vcs/vcs.js";
import { landedOn } from "../workspaces/target.js";
import type { Candidate, Link } from "./choose.js";
import type { Place } from "./place.js";

/** A task's work as it would be on the branch. */
export interface Step {
  candidate: Candidate;
  tip: Tip;
  /** New commits; 0 when the branch has it all. */
  commits: number;
  /** The commit of the branch that has it, if that is not the tip. */
  as?: string | undefined;
}

/** A task's work that conflicts with what is below it. */
export interface Clash {
  candidate: Candidate;
  /** Tasks of the same batch below it; without them it may still apply to the target. */
  below: string[];
  files: string[];
  words: string[];
  hunk: string;
  /** The commits that the work is on and that the target lacks, newest first. */
  under: readonly BareCommit[];
}

/** A batch on its target: what applies, in order, and what conflicts. */
export interface Stack {
  target: LandingTarget;
  steps: Step[];
  clashes: Clash[];
}

/** Replays the tasks on top of each other, without those that conflict and their dependents; on the branch, if not `on` something else. Touches no branch and no checkout. */
export async function stackTasks(
  crew: TmuxHost,
  { lander, root, branch }: Place,
  candidates: readonly Candidate[],
  edges: readonly Link[],
  on?: LandingTarget,
): Promise<Stack> {
  const target = on ?? (await lander.target(crew, root, branch));
  const beneath: CommitRange[] = [];
  if (candidates.some(({ work }) => work !== null)) {
    beneath.push(...(await landedOn(crew, crew.context.store.db, { backend: "git", root, commit: target.commit })));
  }
  const trailers = await auditTrailers(crew, candidates[0]?.row.workstream);
  const replays = new Map(
    candidates.flatMap(({ row, work }): [number, Replay][] => {
      if (work === null) return [];
      const names = { ours: branch, theirs: row.name };
      return [[row.id, { work, beneath, trailers: [`Mu-Task: ${qualifiedName(row)}`, ...trailers], names }]];
    }),
  );
  const replayer = replays.size === 0 ? undefined : await lander.replayer(crew, root, target, [...replays.values()]);
  const stack: Stack = { target, steps: [], clashes: [] };
  let tip: Tip = target;
  const out = new Set<number>();
  for (const candidate of candidates) {
    const { id } = candidate.row;
    const replay = replays.get(id);
    const waits = edges.some((edge) => edge.blocked_id === id && out.has(edge.blocker_id));
    const replayed = waits || replay === undefined ? undefined : await replayer?.replay(tip, replay);
    if (waits) out.add(id);
    else if (replayed?.outcome === "conflict") {
      out.add(id);
      const below = stack.steps.filter((one) => one.commits > 0).map((one) => one.candidate.row.name);
      stack.clashes.push({ ...replayed, candidate, below });
    } else {
      if (candidate.work !== null) beneath.push(candidate.work);
      if (replayed !== undefined) tip = { commit: replayed.tip.commit, tree: replayed.tip.tree };
      const as = typeof candidate.said === "object" ? candidate.said.as : replayed?.as;
      stack.steps.push({ candidate, tip, commits: replayed?.commits ?? 0, as });
    }
  }
  return stack;
}

/** The trailer that anchors the workstream's chain of events in the commits. */
export async function auditTrailers(crew: TmuxHost, workstream: string | undefined): Promise<string[]> {
  if (workstream === undefined) return [];
  const [head] = await auditHead(crew.context.store.db, workstream);
  return head === undefined ? [] : [`Mu-Audit: ${head.scope} ${head.n} ${head.head}`];
}

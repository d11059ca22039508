import { type Limits, STEPS, type StepName } from "../../src/flow/steps.js";

/**
 * The most tasks that a step comes to by itself: a router, the drafts at once with what merges them, and one maker with its
 * judges for each round.
 */
export function mostNodes(step: StepName, { revisions, branches, tests, reviewers }: Limits): number {
  const { loop } = STEPS[step];
  const begins = 1 + (step === "plan" && branches > 1 ? branches + 1 : 0);
  if (loop === null) return begins + 1;
  return loop.kind === "review" ? begins + (revisions + 1) * (1 + reviewers) : begins + Math.max(1, tests) * 2;
}

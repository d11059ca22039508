import { counted, enumerate } from "../names.js";

/** What was found out about finished work and its author. Every number counts something bad. */
export interface RiskFacts {
  /** Lines added and removed. */
  lines: number;
  files: number;
  /** Changed files that the task's `touches` do not cover; none if it declares nothing. */
  outside: readonly string[];
  /** True if it changes code, and no tests. */
  untested: boolean;
  /** How many lines of tests it removes beyond those that it adds. */
  testLinesLost: number;
  /** The newest check: on this very commit, on another one, or red. */
  check: "passed" | "stale" | "none" | "failed";
  /** What its runs cost, in USD. */
  costUsd: number;
  /** Of its author: red checks, landed tasks that were reverted, calls for a person. */
  redChecks: number;
  reverts: number;
  escalations: number;
  /** Why its changes could not be read. */
  unread?: string | undefined;
}

export interface Risk {
  /** 0 for none; the sum of what each reason counts. */
  score: number;
  /** In words, the weightiest first. */
  reasons: string[];
}

const CHECKS: Readonly<Record<RiskFacts["check"], readonly [points: number, words: string]>> = {
  passed: [0, ""],
  stale: [8, "its check passed on another commit"],
  none: [12, "no check was run"],
  failed: [30, "its last check failed"],
};

/** Doubles of `unit` that `amount` is beyond 0, weighed and bounded. */
const doubling = (amount: number, unit: number, weight: number, most: number) =>
  Math.min(most, Math.round(weight * Math.log2(1 + amount / unit)));

/** How risky it is to land this without a look, and why. More of a bad thing never lowers the score. */
export function riskOf(facts: RiskFacts): Risk {
  const { lines, files, outside, untested, testLinesLost, check, costUsd, redChecks, reverts, escalations } = facts;
  const author = (count: number, words: string) => `${words} ${counted(count, "time")}`;
  const found: [points: number, words: string][] = [
    [facts.unread === undefined ? 0 : 40, `its changes cannot be read: ${facts.unread}`],
    [
      doubling(lines, 40, 6, 40) + Math.min(10, Math.floor(files / 4)),
      `${counted(lines, "line")} in ${counted(files, "file")}`,
    ],
    [
      outside.length === 0 ? 0 : Math.min(30, 12 + 3 * outside.length),
      `changes ${enumerate(outside, 3)}, outside its scope`,
    ],
    [untested ? 10 : 0, "changes code but no tests"],
    [Math.min(20, Math.ceil(testLinesLost / 2)), `takes away ${counted(testLinesLost, "line")} of tests`],
    CHECKS[check] as [number, string],
    [doubling(costUsd, 1, 3, 12), `cost $${costUsd.toFixed(2)}`],
    [Math.min(8, redChecks), author(redChecks, "its author's checks failed")],
    [Math.min(24, 8 * reverts), author(reverts, "its author's work was reverted")],
    [Math.min(9, 3 * escalations), author(escalations, "its author asked for a person")],
  ];
  const reasons = found.filter(([points]) => points > 0).sort(([a], [b]) => b - a);
  return { score: reasons.reduce((sum, [points]) => sum + points, 0), reasons: reasons.map(([, words]) => words) };
}

const TEST = /(^|\/)(tests?|__tests__|specs?)\/|(^|\/)test_[^/]*$|[._-](test|spec)s?\.[^/]+$/i;
const PROSE = /\.(md|txt|rst|adoc)$|(^|\/)docs\//i;

/** Whether a path is a test's, by the usual names. */
export const isTest = (path: string) => TEST.test(path);
/** Whether a path is code that tests could cover. */
export const isCode = (path: string) => !isTest(path) && !PROSE.test(path);

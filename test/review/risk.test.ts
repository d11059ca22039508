import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isCode, isTest, type RiskFacts, riskOf } from "../../src/review/risk.js";

const count = fc.nat({ max: 5000 });
const facts: fc.Arbitrary<RiskFacts> = fc.record({
  lines: count,
  files: count,
  outside: fc.array(fc.string({ minLength: 1 }), { maxLength: 30 }),
  untested: fc.boolean(),
  testLinesLost: count,
  check: fc.constantFrom("passed", "stale", "none", "failed"),
  costUsd: fc.float({ min: 0, max: 500, noNaN: true }),
  redChecks: fc.nat({ max: 50 }),
  reverts: fc.nat({ max: 50 }),
  escalations: fc.nat({ max: 50 }),
  unread: fc.option(fc.constant("gone"), { nil: undefined }),
});

const CLEAN: RiskFacts = {
  ...{ lines: 0, files: 0, outside: [], untested: false, testLinesLost: 0, check: "passed" },
  ...{ costUsd: 0, redChecks: 0, reverts: 0, escalations: 0 },
};
const CHECKS = ["passed", "stale", "none", "failed"] as const;

/** Facts that are worse in one way. */
const worse = (before: RiskFacts): RiskFacts[] => [
  ...(["lines", "files", "testLinesLost", "costUsd", "redChecks", "reverts", "escalations"] as const).flatMap((one) =>
    [1, 7, 400].map((more) => ({ ...before, [one]: before[one] + more })),
  ),
  { ...before, outside: [...before.outside, "more.ts"] },
  { ...before, untested: true },
  { ...before, unread: "gone" },
  ...CHECKS.slice(CHECKS.indexOf(before.check)).map((check) => ({ ...before, check })),
];

describe("the risk of finished work", () => {
  it("never falls when something gets worse, and has a reason wherever it is not 0", () => {
    fc.assert(
      fc.property(facts, (before) => {
        const { score, reasons } = riskOf(before);
        expect(Number.isInteger(score)).toBe(true);
        expect(reasons.length > 0).toBe(score > 0);
        for (const after of worse(before)) expect(riskOf(after).score).toBeGreaterThanOrEqual(score);
      }),
    );
  });

  it("is 0 for nothing, and says the weightiest reason first", () => {
    expect(riskOf(CLEAN)).toEqual({ score: 0, reasons: [] });
    const { reasons } = riskOf({ ...CLEAN, lines: 40, files: 2, check: "failed", reverts: 1, untested: true });
    expect(reasons).toEqual([
      "its last check failed",
      "changes code but no tests",
      "its author's work was reverted 1 time",
      "40 lines in 2 files",
    ]);
    expect(riskOf({ ...CLEAN, outside: ["a", "b", "c", "d"] }).reasons[0]).toMatch(/^changes a, b, c and 1 more/);
  });

  it.each([
    ["src/a.test.ts", "test"],
    ["tests/unit/a.py", "test"],
    ["pkg/a_test.go", "test"],
    ["test_a.py", "test"],
    ["spec/a_spec.rb", "test"],
    ["src/contest.ts", "code"],
    ["src/latest/a.ts", "code"],
    ["README.md", "prose"],
    ["docs/a.html", "prose"],
  ])("takes %s for %s", (path, what) => {
    expect(isTest(path) ? "test" : isCode(path) ? "code" : "prose").toBe(what);
  });
});

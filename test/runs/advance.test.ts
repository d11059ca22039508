import { describe, expect, it } from "vitest";
import type { Report } from "../../src/agents/clis/headless.js";
import { advance, limitUntil, type Outcome } from "../../src/runs/advance.js";
import { judge } from "../../src/runs/judge.js";
import { legalVerdicts, verdictOf } from "../../src/runs/verdict.js";

const now = "2026-11-30T12:00:00.000Z";
const outcome = (given: Partial<Outcome>): Outcome => ({
  ...{ state: "failed", failure: "crash", reason: null, retryAt: null, verdict: null },
  ...given,
});
const step = (given: Partial<Outcome>, attempts = 0, patience?: number) =>
  advance({ attempts, maxRetries: 3 }, outcome(given), { now, ...(patience !== undefined && { patience }) });

describe("what becomes of a task when its run ends", () => {
  it("closes what is done and gives back what was cancelled", () => {
    expect(step({ state: "done", failure: null })).toEqual({ do: "close" });
    expect(step({ state: "cancelled", failure: null }, 3)).toEqual({ do: "leave" });
  });

  it("retries at once, then after 30 s, then after 2 min, and then holds", () => {
    expect(step({}, 0)).toEqual({ do: "retry", notBefore: null });
    expect(step({}, 1)).toEqual({ do: "retry", notBefore: "2026-11-30T12:00:30.000Z" });
    expect(step({}, 2)).toEqual({ do: "retry", notBefore: "2026-11-30T12:02:00.000Z" });
    expect(step({}, 3)).toEqual({ do: "hold", word: "escalated", reason: "4 attempts failed, the last: crash" });
    expect(step({}, 2, 0)).toEqual({ do: "retry", notBefore: null });
  });

  it("waits for the end of a provider's limit", () => {
    const retryAt = "2026-11-30T15:00:00.000Z";
    expect(step({ failure: "rate_limit", retryAt })).toEqual({ do: "retry", notBefore: retryAt });
  });

  it("lets a provider rest that does not say when its limit ends, longer each time", () => {
    const until = (given: Partial<Outcome>, attempts = 0, patience?: number) =>
      limitUntil(outcome(given), { attempts, now, patience });
    const limit = { failure: "rate_limit" } as const;
    expect([0, 1, 2, 9].map((attempts) => until(limit, attempts))).toEqual([
      "2026-11-30T12:01:00.000Z",
      "2026-11-30T12:05:00.000Z",
      "2026-11-30T12:15:00.000Z",
      "2026-11-30T12:15:00.000Z",
    ]);
    expect(until(limit, 0, 0)).toBe(now);
    expect(until({ ...limit, retryAt: "2026-11-30T15:00:00.000Z" }, 3)).toBe("2026-11-30T15:00:00.000Z");
    expect(until({ failure: "crash" })).toBeNull();
  });

  it.each(["auth", "config", "permission_denied"] as const)("holds at once on %s", (failure) => {
    expect(step({ failure, reason: "no key" })).toEqual({ do: "hold", word: "failed", reason: `${failure}: no key` });
  });

  it("never retries what is blocked", () => {
    expect(step({ state: "done", failure: null, verdict: "blocked", reason: "which?" })).toEqual({
      ...{ do: "hold", word: "blocked", reason: "which?" },
    });
  });
});

describe("a verdict", () => {
  it.each([
    ["All good.\n\n### DONE\n", "task", "done"],
    ['{"verdict":"blocked","reason":"no key"}', "task", "blocked"],
    ["### PASS", "review", "pass"],
    ["### pass.", "test", "pass"],
  ])("is the last line: %j of a %s", (text, kind, verdict) => {
    expect(verdictOf(text, kind)?.verdict).toBe(verdict);
  });

  it.each([
    ["End with ### DONE or ### BLOCKED", "task"],
    ["### DONE\nand then I went on", "task"],
    ["### PASS", "task"],
    ["### DONE", "review"],
    ['{"verdict":7}', "task"],
    ["", "task"],
  ])("is not %j of a %s", (text, kind) => {
    expect(verdictOf(text, kind)).toBeUndefined();
  });

  it("has a word for every kind", () => expect(legalVerdicts("anything")).toEqual(["done", "blocked"]));
});

describe("a turn", () => {
  const report: Report = {
    ...{ text: "ok", sessionRef: null, usage: [], costUsd: null, counts: "run" as const, productive: true },
    ...{ failure: null, reason: null, retryAt: null },
  };
  const ended = { exitCode: 0, timedOut: false, interrupted: false };

  it("is done when it said something, and failed when it did nothing", () => {
    expect(judge(report, ended, "task").state).toBe("done");
    expect(judge({ ...report, productive: false }, ended, "task").failure).toBe("no_output");
    expect(judge(report, { ...ended, exitCode: 3 }, "task").failure).toBe("crash");
    const silent = { ...report, text: null, productive: false };
    expect(judge(silent, { ...ended, exitCode: 127 }, "task").failure).toBe("config");
    expect(judge(report, { ...ended, timedOut: true }, "task").failure).toBe("timeout");
    expect(judge(report, { ...ended, interrupted: true }, "task").state).toBe("cancelled");
    expect(judge(report, { ...ended, notStarted: "ENOENT" }, "task").failure).toBe("config");
  });

  it("of which nobody saw the end counts only with an explicit verdict", () => {
    expect(judge(report, undefined, "task").state).toBe("lost");
    expect(judge({ ...report, text: "### DONE" }, undefined, "task").state).toBe("done");
  });

  it("of a review must say how it ended", () => {
    expect(judge(report, ended, "review")).toMatchObject({ failure: "no_verdict", unsaid: true });
    expect(judge({ ...report, text: "### FAIL" }, ended, "review")).toMatchObject({ state: "done", verdict: "fail" });
  });
});

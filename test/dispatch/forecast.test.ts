import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Ahead, forecast, oneMore, planGoals } from "../../src/dispatch/forecast.js";
import { learnedOf, likest, type Sample, scoreOf } from "../../src/runs/learned.js";

const sample = (given: Partial<Sample> = {}): Sample => ({
  ...{ role: "code", kind: "task", seconds: 60, usd: 0.5, finishedAt: "2026-11-30T10:00:00.000Z" },
  ...given,
});
const task = (name: string, after: number[] = [], given: Partial<Ahead> = {}): Ahead => ({
  ...{ name, role: "code", kind: "task", impact: 50, stuck: false, after },
  ...given,
});
const crowd = (agents: number, roles: Record<string, number> = {}) => ({
  agents,
  roles: new Map(Object.entries(roles)),
});

describe("a forecast", () => {
  const even = [sample()];

  it("is the sum for one agent, and the longest task for enough of them", () => {
    const tasks = ["a", "b", "c"].map((name) => task(name));
    expect(forecast(tasks, even, crowd(1))).toEqual({ p50Seconds: 180, p90Seconds: 180 });
    expect(forecast(tasks, even, crowd(3))).toEqual({ p50Seconds: 60, p90Seconds: 60 });
    expect(oneMore(tasks, even, crowd(1))).toEqual({ role: "code", savesSeconds: 60 });
  });

  it("says that one more agent saves nothing in a chain", () => {
    const tasks = [task("a"), task("b", [0]), task("c", [1])];
    expect(forecast(tasks, even, crowd(1)).p50Seconds).toBe(180);
    expect(oneMore(tasks, even, crowd(1))).toBeNull();
  });

  it("finds the role that holds up the others", () => {
    const tasks = [task("a"), ...["q", "r", "s"].map((name) => task(name, [0], { role: "qa" }))];
    expect(oneMore(tasks, even, crowd(4, { code: 3, qa: 1 }))).toEqual({ role: "qa", savesSeconds: 60 });
  });

  it("leaves out what waits for a person, and takes no time for a container", () => {
    const tasks = [task("a", [], { stuck: true }), task("b"), task("j", [1], { kind: "job" })];
    expect(forecast(tasks, even, crowd(2)).p50Seconds).toBe(60);
  });

  it("is never shorter than the longest chain or a fair share of the work, and never longer than all of it", () => {
    const graph = fc
      .array(fc.array(fc.nat(30), { maxLength: 3 }), { minLength: 1, maxLength: 30 })
      .map((all) => all.map((after, at) => task(`t${at}`, [...new Set(after.filter((one) => one < at))])));
    fc.assert(
      fc.property(graph, fc.integer({ min: 1, max: 5 }), (tasks, agents) => {
        const chain: number[] = [];
        for (const { after } of tasks) chain.push(60 + Math.max(0, ...after.map((one) => chain[one] ?? 0)));
        const { p50Seconds } = forecast(tasks, even, crowd(agents));
        expect(p50Seconds).toBeGreaterThanOrEqual(Math.max(...chain, (60 * tasks.length) / agents));
        expect(p50Seconds).toBeLessThanOrEqual(60 * tasks.length);
      }),
      { numRuns: 30 },
    );
  });
});

describe("what was learned", () => {
  it("is of the role and kind, else of the role, else of all, where there are five", () => {
    const five = (given: Partial<Sample>) => Array.from({ length: 5 }, () => sample(given));
    const all = [
      ...five({ role: "code", seconds: 10 }),
      ...five({ role: "qa", seconds: 20 }),
      sample({ kind: "test" }),
    ];
    expect(likest(all, { role: "qa", kind: "test" })).toHaveLength(5);
    expect(likest(all, { role: "code", kind: "task" }).every(({ seconds }) => seconds === 10)).toBe(true);
    expect(likest(all, { role: "ops", kind: "task" })).toHaveLength(11);
    expect(learnedOf([sample({ seconds: 5 }), sample({ seconds: 50, usd: null })])).toEqual([
      { role: "code", kind: "task", samples: 2, p50Seconds: 5, p90Seconds: 50, p50Usd: 0.5, p90Usd: 0.5 },
    ]);
  });

  it("is scored by forecasts from before each task", () => {
    const steady = Array.from({ length: 25 }, () => sample());
    expect(scoreOf(steady)).toEqual({ tasks: 20, withinP90: 1, medianRatio: 1 });
    const ever = Array.from({ length: 10 }, (_, at) => sample({ seconds: 2 ** at }));
    expect(scoreOf(ever)).toMatchObject({ tasks: 5, withinP90: 0 });
    expect(scoreOf([sample()])).toEqual({ tasks: 0, withinP90: null, medianRatio: null });
  });
});

describe("a plan for a budget", () => {
  it("buys goals by impact for their cost, and pays once for what they share", () => {
    const tasks = [
      task("base"),
      task("big", [0], { impact: 90 }),
      task("small", [0], { impact: 10 }),
      task("own", [], { impact: 20 }),
    ];
    const plan = (budget: number) => planGoals(tasks, [sample()], budget)?.map(({ goal, fits }) => [goal, fits]);
    expect(planGoals(tasks, [sample()], 5)).toMatchObject([
      { goal: "big", tasks: 2, p50Usd: 1, fits: true },
      { goal: "own", tasks: 1, p50Usd: 0.5, fits: true },
      { goal: "small", tasks: 1, p50Usd: 0.5, fits: true },
    ]);
    expect(plan(1)).toEqual([
      ["big", true],
      ["own", false],
      ["small", false],
    ]);
    expect(plan(0)?.every(([, fits]) => fits === false)).toBe(true);
    expect(planGoals(tasks, [sample({ usd: null })], 5)).toBeNull();
  });

  it("leaves goals that wait for a person to the end, and buys none", () => {
    const tasks = [task("held", [], { stuck: true, impact: 100 }), task("free", [], { impact: 1 })];
    expect(planGoals(tasks, [sample()], 5)?.map(({ goal, fits }) => [goal, fits])).toEqual([
      ["free", true],
      ["held", false],
    ]);
  });
});

import fc from "fast-check";
import { expect, it } from "vitest";
import { judge } from "../../src/landing/checker.js";
import { landingOrder } from "../../src/landing/choose.js";

/** A batch in which some tasks are red by themselves, from the first of them on. */
async function judged(count: number, red: ReadonlySet<number>) {
  const asked: number[] = [];
  const judgement = await judge(count, async (tasks) => {
    asked.push(tasks);
    return { green: ![...red].some((task) => task < tasks) };
  });
  return { judgement, asked };
}

it("finds the first red task in about log2 runs of the check", async () => {
  const batch = fc.integer({ min: 1, max: 200 });
  const reds = fc.array(fc.integer({ min: 0, max: 199 }), { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(batch, reds, async (count, found) => {
      const red = new Set(found.filter((task) => task < count));
      const { judgement, asked } = await judged(count, red);
      if (red.size === 0) {
        expect([judgement.outcome, asked]).toEqual(["green", [count]]);
        return;
      }
      expect(judgement).toMatchObject({ outcome: "culprit", good: Math.min(...red) });
      expect(asked.length).toBeLessThanOrEqual(4 + Math.ceil(Math.log2(count)));
    }),
  );
});

it("terminates with any flaky check, and blames only a task that failed twice with it and passed without it", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 20 }), fc.infiniteStream(fc.boolean()), async (count, coins) => {
      const asked: { tasks: number; green: boolean }[] = [];
      const judgement = await judge(count, async (tasks) => {
        const green = coins.next().value === true;
        asked.push({ tasks, green });
        return { green };
      });
      if (judgement.outcome !== "culprit") return;
      const { good } = judgement;
      expect(asked.filter((one) => one.tasks === good + 1 && !one.green).length).toBeGreaterThanOrEqual(2);
      expect(asked.some((one) => one.tasks === good && one.green)).toBe(true);
    }),
  );
});

it("reports that the branch itself is red", async () => {
  expect(await judge(3, async () => ({ green: false }))).toMatchObject({ outcome: "target_red" });
});

it("orders by edges, then by age", () => {
  const task = fc.record({ closed_at: fc.constantFrom("1", "2", "3", null) });
  const graph = fc.tuple(
    fc.array(task, { maxLength: 12 }),
    fc.array(fc.tuple(fc.nat(11), fc.nat(11)), { maxLength: 20 }),
  );
  fc.assert(
    fc.property(graph, ([found, pairs]) => {
      const tasks = found.map((one, id) => ({ ...one, id }));
      const edges = pairs
        .filter(([a, b]) => a < b)
        .map(([a, b]) => ({ blocker_id: a, blocked_id: b }))
        .filter((edge) => edge.blocked_id < tasks.length);
      const order = landingOrder(tasks, edges).map(({ id }) => id);
      expect([...order].sort((a, b) => a - b)).toEqual(tasks.map(({ id }) => id));
      for (const { blocker_id, blocked_id } of edges)
        expect(order.indexOf(blocker_id)).toBeLessThan(order.indexOf(blocked_id));
    }),
  );
});

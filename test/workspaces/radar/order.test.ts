import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Collides, suggestOrder, whoResolves } from "../../../src/workspaces/radar/order.js";

/** Names and collisions among them: `n` of them, each pair and each with the target colliding or not. */
const crowd = (most: number) =>
  fc.integer({ min: 0, max: most }).chain((n) => {
    const names = Array.from({ length: n }, (_, at) => `w${String(at).padStart(2, "0")}`);
    const pairs = names.flatMap((a, at) => [null, ...names.slice(at + 1)].map((b): Collides => ({ a, b })));
    return fc.subarray(pairs).map((collisions) => ({ names, collisions }));
  });

function* permutations(names: readonly string[]): Generator<string[]> {
  if (names.length === 0) yield [];
  for (const [at, name] of names.entries()) {
    for (const rest of permutations(names.toSpliced(at, 1))) yield [name, ...rest];
  }
}

describe("the suggested order", () => {
  it("puts those first that collide with nobody who is before them", () => {
    const collisions = [
      { a: "ann", b: "bob" },
      { a: "bob", b: "cyd" },
      { a: "bob", b: "dan" },
      { a: "eve", b: null },
    ];
    const order = suggestOrder(["eve", "bob", "ann", "dan", "cyd"], collisions);
    expect(order).toEqual(["ann", "cyd", "dan", "bob", "eve"]);
    expect(whoResolves(order, collisions)).toEqual(["bob", "eve"]);
    expect(suggestOrder([], collisions)).toEqual([]);
  });

  it("is a best one of all orders", () => {
    fc.assert(
      fc.property(crowd(7), ({ names, collisions }) => {
        const mine = whoResolves(suggestOrder(names, collisions), collisions).length;
        let best = names.length;
        for (const order of permutations(names)) best = Math.min(best, whoResolves(order, collisions).length);
        expect(mine).toBe(best);
      }),
      { numRuns: 60 },
    );
  });

  it("holds every name once, and is the same however they came in", () => {
    fc.assert(
      fc.property(crowd(40), fc.infiniteStream(fc.nat()), ({ names, collisions }, keys) => {
        const order = suggestOrder(names, collisions);
        expect([...order].sort()).toEqual(names);
        const shuffled = names
          .map((name) => ({ name, key: keys.next().value ?? 0 }))
          .sort((x, y) => x.key - y.key)
          .map(({ name }) => name);
        const turned = collisions.map(({ a, b }) => (b === null ? { a, b } : { a: b, b: a })).reverse();
        expect(suggestOrder(shuffled, turned)).toEqual(order);
      }),
      { numRuns: 60 },
    );
  });

  it("leaves no one that could go before without a conflict, however many there are", () => {
    fc.assert(
      fc.property(crowd(40), ({ names, collisions }) => {
        const order = suggestOrder(names, collisions);
        const resolve = new Set(whoResolves(order, collisions));
        for (const name of resolve) {
          const first = [name, ...order.filter((other) => other !== name)];
          expect(whoResolves(first, collisions).length).toBeGreaterThanOrEqual(resolve.size);
        }
      }),
      { numRuns: 30 },
    );
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Call, firstUnexplained, type Step } from "../support/legal-order.js";

/** A register: writes a number, or reads the one it should have. */
type Op = { write: number } | { read: number };

const EMPTY = { value: 0 };

const step: Step<{ value: number }, Op> = (state, op) => {
  if ("write" in op) return [{ value: op.write }];
  return op.read === state.value ? [state] : [];
};

const call = (op: Op, from: number, to?: number): Call<Op> => ({
  op,
  from: BigInt(from),
  ...(to !== undefined && { to: BigInt(to) }),
});

describe("a history of one register", () => {
  it.each<[string, Call<Op>[]]>([
    ["one after the other", [call({ write: 1 }, 0, 1), call({ read: 1 }, 2, 3)]],
    [
      "a read beside a write may see it or not",
      [call({ write: 1 }, 0, 9), call({ read: 0 }, 1, 2), call({ read: 1 }, 3, 4)],
    ],
    [
      "a write without an answer may be seen late",
      [call({ write: 1 }, 0), call({ read: 0 }, 1, 2), call({ read: 1 }, 8, 9)],
    ],
    ["or never", [call({ write: 1 }, 0), call({ read: 0 }, 8, 9)]],
  ])("has an order: %s", (_, calls) => {
    expect(firstUnexplained(calls, EMPTY, step)).toBeUndefined();
  });

  it.each<[string, Call<Op>[], number]>([
    ["a read of what was overwritten", [call({ write: 1 }, 0, 1), call({ read: 0 }, 2, 3)], 1],
    [
      "two reads that see a write and then not",
      [call({ write: 1 }, 0, 9), call({ read: 1 }, 1, 2), call({ read: 0 }, 3, 4)],
      2,
    ],
    ["a read before its write began", [call({ read: 1 }, 0, 1), call({ write: 1 }, 2, 3)], 0],
  ])("has none: %s", (_, calls, at) => {
    expect(firstUnexplained(calls, EMPTY, step)).toBe(calls[at]);
  });

  it("has an order if it was made from one, and none once a read in it is forged", () => {
    const ops = fc.array(fc.record({ write: fc.option(fc.nat(3)), before: fc.nat(3), behind: fc.nat(3) }), {
      minLength: 1,
      maxLength: 12,
    });
    fc.assert(
      fc.property(ops, fc.nat(), (drawn, which) => {
        let state = 0;
        const calls = drawn.map(({ write, before, behind }, n) => {
          if (write !== null) state = write;
          return call(write === null ? { read: state } : { write }, n * 4 - before * 4, n * 4 + 1 + behind * 4);
        });
        expect(firstUnexplained(calls, EMPTY, step)).toBeUndefined();
        const reads = calls.filter(({ op }) => "read" in op);
        const forged = reads[which % Math.max(1, reads.length)];
        if (forged === undefined) return;
        const without = calls.map((one) => (one === forged ? { ...one, op: { read: 9 } } : one));
        expect(firstUnexplained(without, EMPTY, step)?.op).toEqual({ read: 9 });
      }),
    );
  });
});

import fc from "fast-check";
import type { KeptTask } from "../../src/tasks/kept.js";

const MOMENT = fc
  .date({ min: new Date("2020-01-01"), max: new Date("2030-01-01"), noInvalidDate: true })
  .map((date) => date.toISOString());
const TEXT = fc.string({ minLength: 1, unit: "grapheme" }).filter((text) => text.trim() !== "" && !text.includes("\0"));
const OR_NULL = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null });

const NOTE = fc.record({
  author: TEXT,
  kind: fc.constantFrom("note" as const, "decision" as const, "evidence" as const),
  text: TEXT,
  rationale: OR_NULL(TEXT),
  createdAt: MOMENT,
  round: OR_NULL(fc.nat(9)),
  file: OR_NULL(TEXT),
  line: OR_NULL(fc.nat(999)),
  handledAt: OR_NULL(MOMENT),
  handledBy: OR_NULL(TEXT),
});

/** Tasks in which each waits only for earlier ones. */
export const KEPT_TASKS: fc.Arbitrary<Partial<KeptTask>[]> = fc
  .array(
    fc.record({
      title: TEXT.map((text) => text.trim().slice(0, 100)),
      description: OR_NULL(TEXT),
      status: fc.constantFrom("OPEN" as const, "CLOSED" as const, "REJECTED" as const, "DEFERRED" as const),
      owner: OR_NULL(TEXT),
      payload: OR_NULL(fc.jsonValue().filter((value) => value !== null)),
      tags: fc.uniqueArray(fc.stringMatching(/^[a-z]{1,8}$/), { maxLength: 3 }),
      notes: fc.array(NOTE, { maxLength: 3 }),
      createdAt: MOMENT,
      updatedAt: MOMENT,
      blockers: fc.array(fc.tuple(fc.nat(), fc.constantFrom("", "@landed", "@verified")), { maxLength: 3 }),
      root: OR_NULL(fc.nat()),
    }),
    { maxLength: 12 },
  )
  .map((tasks) =>
    tasks.map(({ blockers, root, ...task }, index) => ({
      ...task,
      name: `t${String(index).padStart(2, "0")}`,
      payload: task.payload === null ? null : JSON.parse(JSON.stringify(task.payload)),
      root: root === null || index === 0 ? null : `t${String(root % index).padStart(2, "0")}`,
      blockedBy: [
        ...new Map(
          blockers.flatMap(([of, level]): [number, string][] =>
            index === 0 ? [] : [[of % index, `t${String(of % index).padStart(2, "0")}${level}`]],
          ),
        ).values(),
      ].sort(),
    })),
  );

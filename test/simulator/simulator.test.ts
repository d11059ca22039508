import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundleChild, type Planted, runChild } from "../support/child.js";
import { temporaryFolder } from "../support/database.js";
import { fewOf, sample, seed } from "../support/sample.js";
import type { Story } from "./simulate.js";

/** Enough seeds that every fault planted below is found; a few of them are, as a rule. */
const MOST_SEEDS = 150;

let folder: ReturnType<typeof temporaryFolder>;
beforeAll(() => {
  folder = temporaryFolder();
});
afterAll(() => folder.remove());

async function play(program: string, first: number, seeds: number, tasks: number): Promise<Story[]> {
  const said = await runChild(program, [first, first + seeds - 1, 1, tasks, "stop"].map(String));
  return said.split("\n").map((line) => JSON.parse(line) as Story);
}

const problems = (stories: readonly Story[]) =>
  stories.flatMap((story) => (story.problem === undefined ? [] : [`seed ${story.seed}: ${story.problem}`]));

describe("a night of a crew on a virtual clock", () => {
  it("ends with every task closed and every cent booked, whatever goes wrong", async () => {
    const program = await bundleChild(folder.path, "simulate-child");
    const first = fewOf(1 + (seed % 100_000), 1);
    const stories = await play(program, first, fewOf(10, 1_000), fewOf(30, 60));
    expect(problems(stories)).toEqual([]);
    expect(stories.some(({ kills }) => kills > 0)).toBe(true);
    expect(stories.some(({ parts }) => parts > 0)).toBe(true);
  });

  it("is the same for the same seed", async () => {
    const program = await bundleChild(folder.path, "simulate-child");
    const [once, again] = await Promise.all([play(program, 11, 2, 40), play(program, 11, 2, 40)]);
    expect(again).toEqual(once);
    expect(once[0]?.digest).not.toBe(once[1]?.digest);
  });
});

/** Faults that were made or could be: the simulator is worth something only if it finds them. */
const PLANTED: Record<string, Planted & { found: RegExp }> = {
  "a cap may be exceeded by a cent": {
    ...{ file: "dispatch/decide.ts", text: "ofRole + reserve > cap", instead: "ofRole + reserve > cap + 10_000" },
    found: /its cap is/,
  },
  "the ceiling counts no reservations": {
    ...{ file: "runs/spend.ts", text: "then 0 else coalesce(cost", instead: "then 0 else 0 * coalesce(cost" },
    found: /the ceiling is|its cap is/,
  },
  "a run is settled twice": {
    ...{ file: "runs/settle.ts", text: "|| run.finished_at !== null || run.state !== seen", instead: "" },
    found: /ended twice|attempts|settled twice|while its program goes on|two runs at once/,
  },
  "a run is settled by who has not seen its runner": {
    ...{ file: "runs/settle.ts", text: "|| run.state !== seen", instead: "" },
    found: /while its program goes on|two runs at once/,
  },
  "the brake is not looked at": {
    ...{ file: "dispatch/decide.ts", text: "facts.halted !== null", instead: "false" },
    found: /although the brake was on/,
  },
  "one more run of a role than it may have": {
    ...{ file: "dispatch/decide.ts", text: ">= role.concurrency", instead: "> role.concurrency" },
    found: /runs of \w+ at once/,
  },
  "two runs write to one checkout": {
    ...{ file: "dispatch/decide.ts", text: "if (writer !== undefined) {", instead: "if (false) {" },
    found: /of the writer/,
  },
  "programs of a dead runner are left": {
    ...{ file: "runs/reap.ts", text: "await endPrograms(crew, dead);", instead: "" },
    found: /while its program goes on|of the program/,
  },
  "a run that died stays": {
    ...{ file: "runs/reap.ts", text: "dead.push(run);", instead: "{}" },
    found: /starved|dispatch/,
  },
  "what a dead runner had kept is not read": {
    ...{ file: "runs/reap.ts", text: "reports.push(", instead: "void (" },
    found: /was lost|booked as/,
  },
  "the limit of a provider is forgotten": {
    ...{ file: "dispatch/decide.ts", text: "if (until !== undefined) return", instead: "if (false) return" },
    found: /before the limit/,
  },
  "the budget of a task counts for nothing": {
    ...{ file: "dispatch/decide.ts", text: "own.used + reserve > own.most", instead: "false" },
    found: /its budget is/,
  },
  "two tasks change the same files": {
    ...{ file: "dispatch/decide.ts", text: "mayOverlap(touches, declared)", instead: "false" },
    found: /may change files of/,
  },
  "a run adds as many tasks as it likes": {
    ...{ file: "tasks/lineage.ts", text: "has + count > mostChildren", instead: "false" },
    found: /added \d tasks/,
  },
  "tasks of tasks go on for ever": {
    ...{ file: "tasks/lineage.ts", text: "depth > mostDepth", instead: "false" },
    found: /of depth/,
  },
  "a run that is over may write": {
    ...{
      file: "agents/identity.ts",
      text: ")).length === 0) throw runIsOver(run, name)",
      instead: ")).length === 0) return",
    },
    found: /which was over/,
  },
  "a step goes round for ever": {
    ...{ file: "flow/advance.ts", text: "return round - at.base < rounds;", instead: "return true;" },
    found: /parts, of/,
  },
  "a step does not wait for all of its reviewers": {
    ...{
      file: "flow/advance.ts",
      text: 'if (nodes.some(({ state }) => state === "open")) return NOTHING;',
      instead: "",
    },
    found: /is not done|parts, of|and should be/,
  },
  "a refused plan counts as a good one": {
    ...{ file: "flow/advance.ts", text: 'kept.every(({ verdict }) => verdict !== "fail")', instead: "true" },
    found: /and should be/,
  },
  "a step stays where its last part was given up": {
    ...{
      file: "tasks/flow/go-on.ts",
      text: "dropped: node.name });\n  await goOnIn(tx, node);",
      instead: "dropped: node.name });",
    },
    found: /none of its parts/,
  },
  "a job can be claimed": {
    ...{ file: "tasks/claim.ts", text: "if (CONTAINER_KINDS.includes(row.kind)) throw", instead: "if (false) throw" },
    found: /was claimed/,
  },
  "a decision is not made anew where it is written": {
    ...{ file: "dispatch/dispatch.ts", text: "await readFacts(tx.db, scene, tx.now, task)", instead: "facts" },
    found: /./,
  },
};

describe("the simulator finds a fault that was planted", () => {
  it.concurrent.each(sample(Object.entries(PLANTED), 3))("%s", async (what, { found, ...planted }) => {
    const own = temporaryFolder();
    try {
      const program = await bundleChild(own.path, "simulate-child", planted);
      const last = (await play(program, 1, MOST_SEEDS, 30)).at(-1);
      process.stderr.write(`seed ${last?.seed} finds that ${what}\n`);
      expect(last?.problem).toMatch(found);
    } finally {
      own.remove();
    }
  });
});

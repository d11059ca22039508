import fc from "fast-check";
import { expect, it } from "vitest";
import {
  advanceStep,
  beginStep,
  type FlowNode,
  type FlowStep,
  type Move,
  mayDrop,
  type NewNode,
  resumeStep,
} from "../../src/flow/advance.js";
import { type Limits, STEP_NAMES, STEPS, type StepName } from "../../src/flow/steps.js";
import { mostNodes } from "../support/jobs.js";

const limits: fc.Arbitrary<Limits> = fc.record({
  revisions: fc.nat(3),
  branches: fc.integer({ min: 1, max: 4 }),
  tests: fc.nat(3),
  reviewers: fc.integer({ min: 1, max: 3 }),
});
const step = fc.constantFrom(...STEP_NAMES);
/** Which of the ready tasks ends next, and how; when these are used up, the first one, and well. */
const choices = fc.array(fc.record({ which: fc.nat(20), how: fc.constantFrom("good", "bad", "lost") }));
type Choice = { which: number; how: "good" | "bad" | "lost" };

/** A step whose tasks end one after the other, kept as the store keeps it. */
class Walk {
  nodes: FlowNode[] = [];
  /** What each task waits for. */
  readonly after = new Map<string, readonly string[]>();
  base = 0;
  end: Move | undefined;
  readonly #choices: Choice[];

  constructor(
    readonly step: StepName,
    readonly limits: Limits,
    given: readonly Choice[],
  ) {
    this.#choices = [...given];
  }

  get at(): FlowStep {
    const { step: name, limits: most, base, nodes } = this;
    return { step: name, limits: most, base, nodes };
  }

  add(added: readonly NewNode[]): string[] {
    return added.map(({ kind, round, index, after }) => {
      const name = `${kind} ${round}.${index}`;
      expect(this.after.has(name), `${name} is there twice`).toBe(false);
      // What it waits for was there before it: nothing goes in a circle.
      for (const one of after) expect(this.after.has(one), `${name} waits for ${one}, which is not there`).toBe(true);
      this.after.set(name, after);
      this.nodes = [...this.nodes, { name, kind, round, index, state: "open", verdict: null }];
      return name;
    });
  }

  /** Ends tasks until none is ready. */
  run(): void {
    this.end = undefined;
    for (let turns = 0; turns < 200; turns++) {
      const isOver = (name: string) => this.nodes.some((one) => one.name === name && one.state !== "open");
      const ready = this.nodes.filter(
        ({ name, state }) => state === "open" && (this.after.get(name) ?? []).every(isOver),
      );
      const choice = this.#choices.shift() ?? { which: 0, how: "good" };
      const node = ready[choice.which % ready.length];
      if (node === undefined) return;
      expect(this.end, "the step had ended already").toBeUndefined();
      this.#ends(node, choice.how);
    }
    throw new Error("it never ends");
  }

  #ends(node: FlowNode, how: Choice["how"]): void {
    const isJudge = node.kind === "review" || node.kind === "test";
    const isDropped = how === "lost" && mayDrop(this.at, node);
    // A task that is lost and cannot be spared waits for a person, who has it done.
    const state = isDropped && node.kind !== "route" ? "dropped" : "done";
    const verdict = isDropped ? "failed" : isJudge ? (how === "bad" ? "fail" : "pass") : "done";
    this.nodes = this.nodes.map((one) => (one.name === node.name ? { ...one, state, verdict } : one));
    const move = advanceStep(this.at, node);
    this.add(move.add);
    if (move.close !== undefined || move.hold !== undefined) this.end = move;
  }
}

const walks = fc
  .record({ name: step, most: limits, given: choices, routes: fc.boolean() })
  .map(({ name, most, given, routes }) => {
    const walk = new Walk(name, most, given);
    const [router] = walk.add(routes ? [{ kind: "route", round: 0, index: 1, after: [] }] : []);
    walk.add(beginStep(name, most, router === undefined ? [] : [router]));
    return walk;
  });

/** Runs the walk, and says what must be true of it whichever way it went. */
function runWell(walk: Walk, most: number): void {
  walk.run();
  expect(walk.nodes.filter(({ state }) => state === "open")).toEqual([]);
  const { close, hold, add } = walk.end ?? { add: [] };
  expect([close, hold?.outcome].filter((one) => one !== undefined)).toHaveLength(1);
  expect(add).toEqual([]);
  expect(walk.nodes.length).toBeLessThanOrEqual(most);
  const { loop } = STEPS[walk.step];
  const lastRound = Math.max(...walk.nodes.map(({ round }) => round));
  const judges = walk.nodes.filter(({ kind, round }) => kind === loop?.kind && round === lastRound);
  const isRefused = judges.some(({ verdict }) => verdict === "fail");
  const spent = loop?.kind === "test" ? "tests_failing" : "unreviewed";
  expect(close ?? hold?.outcome).toBe(isRefused ? spent : "done");
}

it("ends a step closed or held, with as many tasks as its limits allow, whatever its tasks say", () => {
  fc.assert(fc.property(walks, (walk) => runWell(walk, mostNodes(walk.step, walk.limits))));
});

it("counts anew where a person has it go on, from its maker or from its judges", () => {
  fc.assert(
    fc.property(walks, fc.array(fc.constantFrom("make" as const, "judge" as const), { maxLength: 3 }), (walk, more) => {
      walk.run();
      for (const from of more) {
        if (from === "judge" && STEPS[walk.step].loop === null) continue;
        const before = walk.nodes.length;
        const { base, add } = resumeStep(walk.at, from);
        walk.base = base;
        expect(add.length).toBeGreaterThan(0);
        walk.add(add);
        // What was asked for comes on top of a whole new count, without branches and router.
        runWell(walk, before + add.length + mostNodes(walk.step, { ...walk.limits, branches: 1 }));
      }
    }),
  );
});

it("gives up a router and all drafts but one, and nothing else", () => {
  fc.assert(
    fc.property(walks, fc.nat(20), (walk, which) => {
      walk.run();
      const node = walk.nodes[which % walk.nodes.length] as FlowNode;
      const drafts = walk.nodes.filter(({ kind, round }) => kind === "draft" && round === 0);
      const isSpare =
        drafts.includes(node) && drafts.some(({ name, state }) => name !== node.name && state !== "dropped");
      expect(mayDrop(walk.at, node)).toBe(node.kind === "route" || isSpare);
      if (drafts.length > 0) expect(drafts.some(({ state }) => state === "done")).toBe(true);
    }),
  );
});

it("waits for the other tasks of a stage, and merges only drafts that are there", () => {
  const open = (index: number): FlowNode => ({
    ...{ name: `d${index}`, kind: "draft", round: 0, index, state: "open", verdict: null },
  });
  const most = { revisions: 1, branches: 3, tests: 1, reviewers: 2 };
  const at = (...nodes: FlowNode[]): FlowStep => ({ step: "plan", limits: most, base: 0, nodes });
  const done = (index: number): FlowNode => ({ ...open(index), state: "done", verdict: "done" });
  const dropped = (index: number): FlowNode => ({ ...open(index), state: "dropped", verdict: "failed" });
  const ended = { kind: "draft", round: 0 } as const;
  expect(advanceStep(at(done(1), open(2), done(3)), ended)).toEqual({ add: [] });
  expect(advanceStep(at(done(1), dropped(2), done(3)), ended).add).toEqual([
    { kind: "merge", round: 0, index: 1, after: ["d1", "d3"] },
  ]);
  expect(advanceStep(at(done(1), dropped(2), dropped(3)), ended).add).toEqual([
    { kind: "draft", round: 1, index: 1, after: ["d1"] },
  ]);
  expect(advanceStep(at(done(1)), { kind: "build", round: 1 })).toEqual({ add: [] });
});

import { type Limits, type NodeKind, STEPS, type StepName } from "./steps.js";

/** A task of a step, as far as the step's way on depends on it. */
export interface FlowNode {
  name: string;
  kind: NodeKind;
  /** 0 for what comes before the first draft that counts, then 1, 2 … */
  round: number;
  /** Tells apart those of one kind and round: 1, 2 … */
  index: number;
  /** `dropped`: given up, and the step goes on without it. */
  state: "open" | "done" | "dropped";
  verdict: string | null;
}

/** A step and all that happened in it. */
export interface FlowStep {
  step: StepName;
  limits: Limits;
  /** The last round before a person had it go on: limits count from there. */
  base: number;
  nodes: readonly FlowNode[];
}

/** A task to add; it waits for the tasks in `after`. */
export interface NewNode {
  kind: NodeKind;
  round: number;
  index: number;
  after: readonly string[];
}

/** How a step goes on. */
export interface Move {
  add: readonly NewNode[];
  /** Closes the step with this outcome. */
  close?: "done" | "unreviewed";
  /** Holds the step for a person. */
  hold?: { outcome: "tests_failing"; reason: string };
}

type Ended = "branches" | "merge" | "make" | "loop";
type When = "several left" | "one left" | "unjudged" | "passed" | "rounds left" | "rounds spent" | "always";
type Next = "merge" | "make" | "judge" | "close" | "accept or hold";

/** What follows what. The first row that fits counts. */
export const TRANSITIONS: readonly { ended: Ended; when: When; next: Next }[] = [
  { ended: "branches", when: "several left", next: "merge" },
  { ended: "branches", when: "one left", next: "make" },
  { ended: "merge", when: "always", next: "make" },
  { ended: "make", when: "unjudged", next: "close" },
  { ended: "make", when: "always", next: "judge" },
  { ended: "loop", when: "passed", next: "close" },
  { ended: "loop", when: "rounds left", next: "make" },
  { ended: "loop", when: "rounds spent", next: "accept or hold" },
];

const NOTHING: Move = { add: [] };

/** The first tasks of a step, which wait for those in `after`. */
export function beginStep(step: StepName, { branches }: Pick<Limits, "branches">, after: readonly string[]): NewNode[] {
  const { make } = STEPS[step];
  if (step !== "plan" || branches < 2) return [{ kind: make, round: 1, index: 1, after }];
  return Array.from({ length: branches }, (_, at) => ({ kind: make, round: 0, index: at + 1, after }));
}

/** How a step goes on now that one of its tasks has ended. Other tasks of the same stage may still be open. */
export function advanceStep(at: FlowStep, ended: Pick<FlowNode, "kind" | "round">): Move {
  const stage = stageOf(at, ended);
  if (stage === undefined) return NOTHING;
  const { nodes } = stage;
  if (nodes.some(({ state }) => state === "open")) return NOTHING;
  const row = TRANSITIONS.find((one) => one.ended === stage.ended && holds(one.when, at, stage));
  return row === undefined ? NOTHING : movesTo(row.next, at, stage);
}

/**
 * Whether the step can go on without a task that failed for good: the router's work is a help, and one draft of several is
 * enough.
 */
export function mayDrop(
  { nodes }: FlowStep,
  { name, kind, round }: Pick<FlowNode, "name" | "kind" | "round">,
): boolean {
  if (kind === "route") return true;
  const others = nodes.filter((one) => one.kind === kind && one.round === round && one.name !== name);
  return round === 0 && kind !== "merge" && others.some(({ state }) => state !== "dropped");
}

/** Another round for a step that a person has go on: of its maker, or of its judges alone. */
export function resumeStep(at: FlowStep, from: "make" | "judge"): { base: number; add: NewNode[] } {
  const base = Math.max(0, ...at.nodes.map(({ round }) => round));
  const round = base + 1;
  return {
    base,
    add: from === "judge" ? judges(at, round, []) : [{ kind: STEPS[at.step].make, round, index: 1, after: [] }],
  };
}

interface Stage {
  ended: Ended;
  round: number;
  /** All tasks of the stage. */
  nodes: readonly FlowNode[];
}

function stageOf({ step, nodes }: FlowStep, { kind, round }: Pick<FlowNode, "kind" | "round">): Stage | undefined {
  if (kind === "route") return undefined;
  const { make, loop } = STEPS[step];
  const ended = kind === "merge" ? "merge" : kind === loop?.kind ? "loop" : round === 0 ? "branches" : "make";
  if (ended === "make" && kind !== make) return undefined;
  return { ended, round, nodes: nodes.filter((node) => node.kind === kind && node.round === round) };
}

function holds(when: When, at: FlowStep, { round, nodes }: Stage): boolean {
  const { loop } = STEPS[at.step];
  const most = loop === null ? 0 : at.limits[loop.rounds];
  const kept = nodes.filter(({ state }) => state === "done");
  // Two revisions are three rounds, five rounds of tests are five.
  const rounds = loop?.kind === "review" ? most + 1 : most;
  switch (when) {
    case "several left":
      return kept.length > 1;
    case "one left":
      return kept.length === 1;
    case "unjudged":
      return loop === null || most === 0;
    case "passed":
      return kept.every(({ verdict }) => verdict !== "fail");
    case "rounds left":
      return round - at.base < rounds;
    case "rounds spent":
    case "always":
      return true;
  }
}

function movesTo(next: Next, at: FlowStep, { round, nodes }: Stage): Move {
  const { make, loop } = STEPS[at.step];
  const after = nodes.filter(({ state }) => state === "done").map(({ name }) => name);
  switch (next) {
    case "merge":
      return { add: [{ kind: "merge", round: 0, index: 1, after }] };
    case "make":
      return { add: [{ kind: make, round: round + 1, index: 1, after }] };
    case "judge":
      return { add: judges(at, round, after) };
    case "close":
      return { add: [], close: "done" };
    case "accept or hold":
      if (loop?.spent !== "hold") return { add: [], close: "unreviewed" };
      return {
        add: [],
        hold: { outcome: "tests_failing", reason: `The tests still fail after ${round - at.base} rounds.` },
      };
  }
}

function judges({ step, limits }: FlowStep, round: number, after: readonly string[]): NewNode[] {
  const { loop } = STEPS[step];
  if (loop === null) return [];
  const count = loop.kind === "review" ? Math.max(1, limits.reviewers) : 1;
  return Array.from({ length: count }, (_, at) => ({ kind: loop.kind, round, index: at + 1, after }));
}

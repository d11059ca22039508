import type { FlowNode } from "./advance.js";
import type { Limits, NodeKind } from "./steps.js";

/** What somebody hands in: something to find out first, something to take apart, something to do. */
export const INTAKE_KINDS = ["probe", "idea", "task"] as const;
export type IntakeKind = (typeof INTAKE_KINDS)[number];
export const isIntakeKind = (kind: unknown): kind is IntakeKind => INTAKE_KINDS.includes(kind as IntakeKind);

/** The step of the tasks that an intake consists of. */
export const INTAKE_STEP = "intake";

/** An intake and all that happened in it. */
export interface IntakeFlow {
  kind: IntakeKind;
  limits: Pick<Limits, "tests">;
  base: number;
  nodes: readonly FlowNode[];
}

/** How an intake goes on. */
export interface IntakeMove {
  add: readonly { kind: NodeKind; round: number; index: number; after: readonly string[] }[];
  /** Files what was found out as an intake of its own. */
  followUp?: true;
  /** Makes the tasks that the agent filed a part of the intake; without any, one is added to build it. */
  adopt?: true;
  close?: "verified";
  hold?: { outcome: "tests_failing" | "not_verified"; reason: string };
}

type Ended = "recon" | "decompose" | "build" | "test" | "verify";
type When = "dropped" | "passed" | "rounds left" | "tested" | "always";
type Next = "follow up" | "adopt" | "build" | "test" | "verify" | "close" | "hold";

/** What follows what. The first row that fits counts. */
export const INTAKE_TRANSITIONS: readonly { ended: Ended; when: When; next: Next }[] = [
  { ended: "recon", when: "always", next: "follow up" },
  { ended: "decompose", when: "always", next: "adopt" },
  { ended: "build", when: "tested", next: "test" },
  { ended: "build", when: "always", next: "verify" },
  { ended: "test", when: "passed", next: "verify" },
  { ended: "verify", when: "dropped", next: "hold" },
  { ended: "verify", when: "passed", next: "close" },
  { ended: "test", when: "rounds left", next: "build" },
  { ended: "verify", when: "rounds left", next: "build" },
  { ended: "test", when: "always", next: "hold" },
  { ended: "verify", when: "always", next: "hold" },
];

const NOTHING: IntakeMove = { add: [] };

/** What an intake begins with. */
export const beginIntake = (kind: IntakeKind): IntakeMove["add"][number] => ({
  ...{ kind: { probe: "recon", idea: "decompose", task: "build" }[kind] as NodeKind, round: 1, index: 1, after: [] },
});

/** How an intake goes on now that one of its tasks has ended; others of its round may still be open. */
export function advanceIntake(at: IntakeFlow, ended: Pick<FlowNode, "kind" | "round">): IntakeMove {
  const { kind, round } = ended;
  const stage = at.nodes.filter((node) => node.kind === kind && node.round === round);
  if (stage.some(({ state }) => state === "open")) return NOTHING;
  const row = INTAKE_TRANSITIONS.find((one) => one.ended === kind && holds(one.when, at, round, stage));
  const after = stage.filter(({ state }) => state === "done").map(({ name }) => name);
  const add = (next: NodeKind, of: number): IntakeMove => ({ add: [{ kind: next, round: of, index: 1, after }] });
  switch (row?.next) {
    case "follow up":
      return { add: [], followUp: true };
    case "adopt":
      return { add: [], adopt: true };
    case "build":
      return add("build", round + 1);
    case "test":
    case "verify":
      return add(row.next, round);
    case "close":
      return { add: [], close: "verified" };
    case "hold":
      return { add: [], hold: heldFor(kind, round - at.base) };
    default:
      return NOTHING;
  }
}

const heldFor = (kind: NodeKind, rounds: number): NonNullable<IntakeMove["hold"]> =>
  kind === "test"
    ? { outcome: "tests_failing", reason: `The tests still fail after ${rounds} rounds.` }
    : { outcome: "not_verified", reason: `What was asked for is not done after ${rounds} rounds.` };

function holds(when: When, { kind, limits, base }: IntakeFlow, round: number, stage: readonly FlowNode[]): boolean {
  switch (when) {
    case "dropped":
      return stage.every(({ state }) => state === "dropped");
    case "passed":
      return stage.every(({ verdict }) => verdict !== "fail");
    case "rounds left":
      return round - base < Math.max(1, limits.tests);
    case "tested":
      // The tasks of an idea are tested by those who verify the whole; what mends it is tested first.
      return limits.tests > 0 && (kind === "task" || round > 1);
    case "always":
      return true;
  }
}

/** Texts by which one tells what somebody hands in; the first group that matches decides. */
const SIGNS: Readonly<Record<IntakeKind, readonly [sign: string, pattern: RegExp][]>> = {
  probe: [
    [
      "a large code base that is there already",
      /\b(?:large|legacy|existing|pre-?existing|monorepo)\b.*\b(?:code ?base|repo(?:sitory)?|project|system)\b/i,
    ],
    [
      "it is not known what is affected",
      /\b(?:uncertain|unclear|unknown|not sure|affected (?:files|modules|areas)|which files|where (?:it|this|the))\b/i,
    ],
    [
      "to be understood before it is changed",
      /\b(?:investigate|understand|find out|figure out|explore|analy[sz]e|root cause|diagnose|before (?:changing|any change))\b/i,
    ],
    ["a migration or a refactoring", /\b(?:migrat\w*|refactor\w*|rewrite|port(?:ing)? to|upgrad\w+)\b/i],
    [
      "it reaches across modules",
      /\b(?:compatib\w+|regression|cross-module|repo-?wide|across (?:the|all|every)|everywhere)\b/i,
    ],
  ],
  idea: [
    [
      "something new is wanted",
      /\b(?:build|add|create|introduce|design|new)\b.*\b(?:a|an|new)?\b.*\b(?:feature|capability|dashboard|workflow|tool|command|page|view|service|integration|mode)\b/i,
    ],
    [
      "users or operators will see it",
      /\b(?:user-facing|operator-visible|user-visible|dashboard|capability|tool behaviou?r)\b/i,
    ],
  ],
  task: [
    [
      "a file and a local mend are named",
      /\b(?:fix|rename|typo|correct|bump|remove|delete|change|update|replace|adjust)\b/i,
    ],
  ],
};

const FILE =
  /\b[\w./-]+\.(?:[cm]?[jt]sx?|py|rs|go|rb|java|kt|c|cc|cpp|h|hpp|cs|php|sh|md|ya?ml|json|toml|css|html?|sql)\b/i;
const TEST = /\b(?:tests?|spec|pytest|vitest|jest|cargo test|npm test)\b/i;

export interface IntakeChoice {
  kind: IntakeKind;
  confidence: "high" | "medium" | "low";
  signals: string[];
}

/**
 * What a text is, by fixed rules: a file with its test is a task; signs of something to find out make it a probe, before
 * those of an idea; a file with a local mend is a task; everything else is a probe. `forced` and `decided` go first.
 */
export function chooseIntake(
  text: string,
  { forced, decided }: { forced?: IntakeKind | undefined; decided?: IntakeKind | undefined } = {},
): IntakeChoice {
  if (forced !== undefined) return { kind: forced, confidence: "high", signals: [`asked for as ${forced}`] };
  if (decided !== undefined) return { kind: decided, confidence: "medium", signals: ["decided by the agent"] };
  const signsOf = (kind: IntakeKind) => SIGNS[kind].flatMap(([sign, pattern]) => (pattern.test(text) ? [sign] : []));
  if (FILE.test(text) && TEST.test(text)) {
    return { kind: "task", confidence: "high", signals: ["a file and its test are named"] };
  }
  for (const kind of ["probe", "idea"] as const) {
    const signals = signsOf(kind);
    if (signals.length > 0) return { kind, confidence: signals.length > 1 ? "high" : "medium", signals };
  }
  const local = signsOf("task");
  if (FILE.test(text) && local.length > 0) return { kind: "task", confidence: "medium", signals: local };
  return { kind: "probe", confidence: "low", signals: ["uncertain delegated repo work"] };
}

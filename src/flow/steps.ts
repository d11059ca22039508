/** What the parts of a job's step do, then those that only an intake has. */
export const NODE_KINDS = [
  ...(["route", "draft", "build", "merge", "review", "test"] as const),
  ...(["recon", "decompose", "verify"] as const),
] as const;
export type NodeKind = (typeof NODE_KINDS)[number];

/** Who does it; a project's settings may name another role. */
export const ROLE_OF: Readonly<Record<NodeKind, NodeRole>> = {
  route: "router",
  draft: "builder",
  build: "builder",
  merge: "merger",
  review: "reviewer",
  test: "tester",
  recon: "reviewer",
  decompose: "builder",
  verify: "tester",
};
export const NODE_ROLES = ["builder", "reviewer", "tester", "router", "merger"] as const;
export type NodeRole = (typeof NODE_ROLES)[number];

interface Step {
  /** Artifacts that it goes by, the most important first; the others of the job come after them. */
  reads: readonly string[];
  artifact: string;
  make: "draft" | "build";
  /** Who judges what was made, and what becomes of it when all rounds are used up. */
  loop: { kind: "review" | "test"; rounds: "revisions" | "tests"; spent: "accept" | "hold" } | null;
  /** What its maker may change beside the artifact; null for nothing. */
  writes: "code" | "docs" | "rules" | null;
  about: string;
}

/** The six steps of a job, in order. */
export const STEPS = {
  task: {
    ...{ reads: [], artifact: "task.md", make: "draft", loop: null, writes: null },
    about: "says what is wanted, from your instructions",
  },
  plan: {
    ...{ reads: ["task"], artifact: "plan.md", make: "draft", writes: null },
    loop: { kind: "review", rounds: "revisions", spent: "accept" },
    about: "says how; reviewers check it and the builder revises it",
  },
  work: {
    ...{ reads: ["plan", "task"], artifact: "work.md", make: "build", writes: "code" },
    loop: { kind: "test", rounds: "tests", spent: "hold" },
    about: "does it; a tester checks it and the builder mends it",
  },
  update: {
    ...{ reads: ["work", "plan", "task"], artifact: "update.md", make: "draft", loop: null, writes: "docs" },
    about: "brings the modules' documents up to date",
  },
  upgrade: {
    ...{ reads: ["work"], artifact: "upgrade.md", make: "draft", loop: null, writes: "rules" },
    about: "learns rules from the logs of the job",
  },
  report: {
    ...{ reads: ["work", "task", "plan"], artifact: "report.md", make: "draft", loop: null, writes: null },
    about: "sums the job up as a commit message",
  },
} as const satisfies Record<string, Step>;

export type StepName = keyof typeof STEPS;
export const STEP_NAMES = Object.keys(STEPS) as StepName[];
export const isStepName = (name: unknown): name is StepName => STEP_NAMES.includes(name as StepName);

/** How often a step goes round. */
export interface Limits {
  /** Most revisions after a refused review; 0: no review. */
  revisions: number;
  /** How many builders draft at once, before one of them writes the plan. */
  branches: number;
  /** Most rounds of tests; 0: none. */
  tests: number;
  reviewers: number;
}

export const DEFAULT_LIMITS: Limits = { revisions: 2, branches: 1, tests: 5, reviewers: 1 };

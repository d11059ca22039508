import type { Access, AgentCliKey } from "../agents/clis/cli.js";
import { DEFAULT_LIMITS, type NODE_ROLES, STEP_NAMES, STEPS } from "../flow/steps.js";
import { type Keys, standardsOf, type ValuesOf } from "./keys.js";

/** The CLIs that can work without a terminal; `command` runs the role's own command. */
const RUN_CLIS = ["claude", "codex", "gemini", "opencode", "pi", "command"] as const satisfies readonly AgentCliKey[];
export type RunCli = (typeof RUN_CLIS)[number];

const keys = <const K extends Keys>(keys: K): K => keys;
const MOST_USD = 1_000_000;

/** The settings of a role. */
export const ROLE_KEYS = keys({
  prompt: {
    kind: "path",
    nullable: true,
    standard: null,
    about: "File of its standing instructions, relative to the project folder",
  },
  cli: { kind: RUN_CLIS, standard: "claude", about: "Agent CLI of its runs; command runs the role's own command" },
  command: {
    kind: "text",
    nullable: true,
    standard: null,
    about: "Program and first arguments instead of the CLI's own; what the CLI command runs",
  },
  model: { kind: "line", nullable: true, standard: null, about: "Model of its runs" },
  liteModel: { kind: "line", nullable: true, standard: null, about: "Model of runs that may be cheap" },
  dailyCapUsd: {
    ...{ kind: "number", nullable: true, least: 0, most: MOST_USD, standard: null },
    about: "What its runs may cost in one UTC day, in USD; null for no cap, 0 for never",
  },
  reservationUsd: {
    ...{ kind: "number", least: 0, most: MOST_USD, standard: 0.05 },
    about: "What a run reserves before it starts, in USD",
  },
  concurrency: {
    ...{ kind: "whole", least: 1, most: 100, standard: 1 },
    about: "How many of its runs may be under way",
  },
  allowedTools: {
    ...{ kind: "texts", nullable: true, standard: null },
    about: "Names of the tools that it may use, as its CLI calls them; null for all",
  },
  access: {
    kind: ["full", "read-only"] satisfies readonly Access[],
    standard: "full",
    about: "Whether its runs may change files; read-only runs read and report",
  },
  timeoutSeconds: {
    ...{ kind: "whole", least: 1, most: 604_800, standard: 3600 },
    about: "Seconds after which a run is ended",
  },
  workspace: { kind: "boolean", standard: true, about: "Whether each of its runs works in a checkout of its own" },
});

const MOST_ROUNDS = 50;

/** Who does a part of a step, where that is not as for every job. */
const PART_KEYS = keys({
  role: { kind: "line", nullable: true, standard: null, about: "Role of its runs" },
  cli: { kind: [...RUN_CLIS, ""], standard: "", about: "Agent CLI of its runs; empty for the role's" },
  model: { kind: "line", nullable: true, standard: null, about: "Model of its runs" },
  prompt: { kind: "path", nullable: true, standard: null, about: "File of its instructions instead of mu's own" },
});

const parts = Object.fromEntries(
  STEP_NAMES.map((step) => {
    const { loop } = STEPS[step];
    const judge = loop === null ? [] : [loop.kind === "review" ? "reviewer" : "tester"];
    const others = step === "plan" ? ["merger"] : [];
    return [step, Object.fromEntries(["builder", ...judge, ...others].map((part) => [part, PART_KEYS]))];
  }),
) as Record<string, Record<string, typeof PART_KEYS>>;

/** How jobs are run. */
const JOB_KEYS = keys({
  cli: { kind: RUN_CLIS, standard: "claude", about: "Agent CLI of roles of jobs that the settings do not describe" },
  maxRevisions: {
    ...{ kind: "whole", least: 0, most: MOST_ROUNDS, standard: DEFAULT_LIMITS.revisions },
    about: "How often a plan is revised after a review; 0 for no review",
  },
  branches: {
    ...{ kind: "whole", least: 1, most: 20, standard: DEFAULT_LIMITS.branches },
    about: "How many builders draft a plan at once",
  },
  maxTests: {
    ...{ kind: "whole", least: 0, most: MOST_ROUNDS, standard: DEFAULT_LIMITS.tests },
    about: "How often work is tested; 0 for no tests",
  },
  reviewers: {
    ...{ kind: "whole", least: 1, most: 20, standard: DEFAULT_LIMITS.reviewers },
    about: "How many reviewers check a plan",
  },
  testCommand: {
    ...{ kind: "text", nullable: true, standard: null },
    about: "Command whose exit code decides a test, whatever the tester says; without it, the workstream's check",
  },
  maxPromptKb: {
    ...{ kind: "whole", least: 8, most: 4096, standard: 256 },
    about: "Most KiB of a prompt; documents beyond are left out and listed",
  },
  steps: parts,
});

/** The settings of a project, without its roles. */
export const PROJECT_KEYS = keys({
  projectName: { kind: "line", standard: "", about: "Name of the project in prompts and reports" },
  landRequires: {
    ...{ kind: ["nothing", "review"], standard: "nothing" },
    about: "What finished work needs before it lands; review: somebody has approved its commits",
  },
  workspaces: {
    kind: ["auto", "off"],
    standard: "auto",
    about: "Whether an agent that is spawned in a repository gets a checkout of its own; off: only with --workspace",
  },
  budget: {
    projectCeilingUsd: {
      ...{ kind: "number", nullable: true, least: 0, most: MOST_USD, standard: null },
      about: "What all runs may cost in one UTC day, in USD; null for no ceiling",
    },
    softCapRatio: {
      ...{ kind: "number", least: 0, most: 1, standard: 0.8 },
      about: "The part of a cap from which on mu warns",
    },
  },
  dispatch: {
    pollSeconds: {
      ...{ kind: "number", least: 0.05, most: 3600, standard: 10 },
      about: "Seconds between two looks for work",
    },
    idleThresholdPolls: {
      ...{ kind: "whole", least: 1, most: 100_000, standard: 12 },
      about: "How many looks in a row must find no work before mu sends a notice",
    },
    landing: {
      kind: ["auto", "manual"],
      standard: "auto",
      about: "Whether finished work lands by itself while runs are dispatched",
    },
    maxChildrenPerRun: {
      ...{ kind: "whole", least: 0, most: 1000, standard: 20 },
      about: "How many tasks a run may add",
    },
    maxDepth: { kind: "whole", least: 0, most: 100, standard: 5, about: "How deep runs may add tasks of tasks" },
    maxChecks: {
      ...{ kind: "whole", least: 0, most: 100, standard: 3 },
      about: "How often a failed check is handed back to the agent",
    },
    reportHours: {
      ...{ kind: "number", least: 0, most: 168, standard: 6 },
      about: "Hours between two morning reports of the dispatcher; 0 for none",
    },
  },
  notifications: {
    ntfyTopic: { kind: "topic", standard: "", about: "ntfy topic; who knows it can read all notices; empty for none" },
    ntfyUrl: { kind: "url", standard: "https://ntfy.sh", about: "ntfy server" },
    subjectPrefix: { kind: "line", standard: "", about: "First words of each notice's title" },
    desktop: { kind: "boolean", standard: false, about: "Whether notices are shown on the desktop" },
    bell: { kind: "boolean", standard: false, about: "Whether a notice rings the bell of the dispatcher's terminal" },
  },
  ui: {
    publicUrl: {
      ...{ kind: "origin", standard: "" },
      about:
        "Address by which a tunnel of yours leads to mu ui, such as https://laptop.tail1234.ts.net; empty for none",
    },
  },
  auth: {
    mode: {
      kind: ["auto", "api", "subscription", "inherit"],
      standard: "auto",
      about: "How agent CLIs sign in: with an API key, with a subscription, or with your own configuration",
    },
  },
  jobs: JOB_KEYS,
  linear: {
    teamPrefix: { kind: "line", standard: "", about: "Letters before the numbers of your team's issues, such as ENG" },
    teamId: { kind: "line", standard: "", about: "Id of your Linear team" },
  },
  paths: {
    killSwitch: { kind: "path", standard: ".mu/kill_switch", about: "File that stops all dispatch while it exists" },
    escalations: { kind: "path", standard: ".mu/escalations", about: "Folder of the files about escalated tasks" },
    reports: { kind: "path", standard: ".mu", about: "Folder of the reports" },
    needsAttention: { kind: "path", standard: ".mu/needs-attention.md", about: "File that asks for a person" },
  },
});

/** A specialist: how runs of its tasks are started, and what they may spend. */
export type Role = { name: string } & ValuesOf<typeof ROLE_KEYS>;

/** What `.mu/settings.json` says, with the default for what it leaves out. */
export type ProjectSettings = ValuesOf<typeof PROJECT_KEYS> & { roles: Readonly<Record<string, Role>> };

/** The settings of a project that has no such file; it has no roles. Tasks name roles: no name is there by itself. */
export const DEFAULT_SETTINGS: ProjectSettings = { ...standardsOf(PROJECT_KEYS), roles: Object.create(null) };

/** What a role has that its settings leave out. */
export const DEFAULT_ROLE: Omit<Role, "name"> = standardsOf(ROLE_KEYS);

/** Roles that the steps of jobs have where the settings describe none of that name. */
const JOB_ROLES: Readonly<Record<string, Partial<Role>>> = {
  builder: { concurrency: 4 },
  tester: { concurrency: 2 },
  reviewer: { concurrency: 4, access: "read-only" },
  router: { concurrency: 2, access: "read-only" },
  merger: { concurrency: 2, access: "read-only" },
} satisfies Record<(typeof NODE_ROLES)[number], Partial<Role>>;

/** The role of a task; `isNode`: it is a part of a job's step. Undefined if there is none. */
export function roleOf(
  { roles, jobs }: Pick<ProjectSettings, "roles" | "jobs">,
  name: string,
  isNode: boolean,
): Role | undefined {
  const known = roles[name];
  if (known !== undefined || !isNode || !Object.hasOwn(JOB_ROLES, name)) return known;
  return { ...DEFAULT_ROLE, cli: jobs.cli, ...JOB_ROLES[name], name, workspace: false };
}

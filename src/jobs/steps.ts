import { createHash } from "node:crypto";
import { overrideName } from "../agents/clis/programs.js";
import { AGENT_CLIS } from "../agents/clis/table.js";
import type { Context } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { write } from "../db/write.js";
import { Fault } from "../errors.js";
import type { RunWish, StepPlan } from "../flow/payload.js";
import { type Limits, type NodeKind, ROLE_OF, STEP_NAMES, STEPS, type StepName } from "../flow/steps.js";
import { qualifiedName } from "../names.js";
import { isInstalled } from "../project/roles.js";
import type { ProjectSettings } from "../project/settings.js";
import { FEW, samplesOf } from "../runs/learned.js";
import { addStepIn, readStep, reopenJobIn, resumeStepIn, type StepState } from "../tasks/flow/steps.js";
import { selectTasks, type TaskRow, taskRow } from "../tasks/task.js";
import { readArtifacts } from "./folder.js";
import { isArchived, type JobRow, requireNoPush } from "./job.js";

/** The agent CLIs that a step can be given to. */
export const PROVIDERS = ["claude", "codex", "gemini", "pi", "opencode"] as const;
export type Provider = (typeof PROVIDERS)[number];

export interface StepWishes {
  instructions?: string | undefined;
  lite?: boolean | undefined;
  provider?: Provider | undefined;
  limits?: { [K in keyof Limits]?: number | undefined } | undefined;
}

/** One of the CLIs that are installed: of one seed and step always the same. Faults `job.no_provider`. */
export async function anyProvider(
  { env, root, seed }: { env: Readonly<Record<string, string | undefined>>; root: string; seed?: string | undefined },
  about: string,
): Promise<Provider> {
  const found: Provider[] = [];
  for (const cli of PROVIDERS) {
    const program = env[overrideName(cli)]?.split(" ")[0] ?? AGENT_CLIS[cli].command;
    if (await isInstalled(program, env, root)) found.push(cli);
  }
  const at =
    seed === undefined
      ? Math.random()
      : createHash("sha256").update(`${seed} ${about}`).digest().readUInt32BE() / 2 ** 32;
  const one = found[Math.floor(at * found.length)];
  if (one !== undefined) return one;
  throw new Fault("unavailable", "job.no_provider", `None of the agent CLIs is installed: ${PROVIDERS.join(", ")}.`, [
    { intent: "See what is missing", command: "mu doctor" },
  ]);
}

/** What a step is run by: the settings of the project, and what the caller wants over them. */
export function planStep(
  step: StepName,
  { jobs, roles }: ProjectSettings,
  { row, plan: job }: JobRow,
  { instructions, lite = false, provider, limits = {} }: StepWishes,
): StepPlan {
  const { make, loop } = STEPS[step];
  const kinds: NodeKind[] = [
    "route",
    make,
    ...(loop ? [loop.kind] : []),
    ...(step === "plan" ? (["merge"] as const) : []),
  ];
  const nodes = kinds.map((kind) => {
    const part = jobs.steps[step]?.[ROLE_OF[kind]];
    const role = part?.role ?? ROLE_OF[kind];
    const cli = provider ?? (part?.cli || undefined) ?? (roles[role] === undefined ? jobs.cli : undefined);
    const isReader = kind !== "build" && kind !== "test" && (kind !== make || STEPS[step].writes === null);
    const run: RunWish = {
      ...(cli !== undefined && { cli }),
      ...(part?.model && provider === undefined && { model: part.model }),
      ...(lite && { lite }),
      ...(isReader && { access: "read-only" as const }),
      ...(job.workspace ? { workspace: row.name } : { here: true }),
    };
    return [kind, { role, run }];
  });
  const given = {
    revisions: jobs.maxRevisions,
    branches: jobs.branches,
    tests: jobs.maxTests,
    reviewers: jobs.reviewers,
  };
  const asked = Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
  return {
    instructions: instructions ?? null,
    limits: { ...given, ...asked },
    base: 0,
    nodes: Object.fromEntries(nodes),
  };
}

const selectOpenSteps = (db: Reader, job: number) =>
  selectTasks(db)
    .where("t.root_id", "=", job)
    .where("t.kind", "=", "step")
    .where("t.status", "=", "OPEN")
    .orderBy("t.id")
    .execute();

/**
 * Queues steps of a job behind those that are open, in this order. `router`: the modules of the job are to be chosen first.
 * Faults `job.archived`, `job.nothing_to_go_by`, `job.pushing`.
 */
export async function queueSteps(
  context: Context,
  job: JobRow,
  plans: readonly { step: StepName; plan: StepPlan }[],
  { router }: { router: boolean },
): Promise<{ steps: string[]; behind: string | null }> {
  await requireSomething(job, plans[0]?.plan.instructions ?? null);
  const { workstream, name } = job.row;
  const ref = { workstream, name };
  const spec = { op: "job.run", scope: workstream, subject: qualifiedName(ref) };
  return write(context, spec, async (tx) => {
    const now = await taskRow(tx.db, ref);
    requireNoPush(now);
    const row = await reopenJobIn(tx, now);
    const open = await selectOpenSteps(tx.db, row.id);
    const behind = open.at(-1)?.name ?? null;
    const steps: string[] = [];
    let after = behind;
    for (const [at, { step, plan }] of plans.entries()) {
      const routes = router && at === 0 && open.length === 0;
      const added = await addStepIn(tx, row, { step, plan, after: after === null ? [] : [after], routes });
      steps.push(added.step.name);
      after = added.step.name;
    }
    tx.addPayload({ steps: plans.map(({ step }) => step) });
    return { steps, behind };
  });
}

/** Refuses a step that has neither an artifact nor instructions to go by. */
async function requireSomething({ row, root, folder }: JobRow, instructions: string | null): Promise<void> {
  const { workstream, name } = row;
  if (isArchived({ folder })) {
    throw new Fault("conflict", "job.archived", `${name} is archived: its files are in ${folder}.`, [
      { intent: "Make a new job", command: `mu job new <name> -w ${workstream}` },
    ]);
  }
  if (instructions !== null || (await readArtifacts(root, folder)).length > 0) return;
  throw new Fault("usage", "job.nothing_to_go_by", `${name} has no artifact yet: say what is wanted.`, [
    { intent: "Say it", command: `mu job run ${name} task -i '…' -w ${workstream}` },
  ]);
}

/** The newest step of that name. Faults `job.no_such_step`. */
export async function newestStep(db: Reader, { row }: JobRow, step: StepName): Promise<StepState> {
  const found = await selectTasks(db)
    .where("t.root_id", "=", row.id)
    .where("t.kind", "=", "step")
    .where("t.step", "=", step)
    .orderBy("t.id", "desc")
    .limit(1)
    .executeTakeFirst();
  const state = found && (await readStep(db, found));
  if (state !== undefined) return state;
  throw new Fault("missing", "job.no_such_step", `${row.name} has run no step ${step} yet.`, [
    { intent: "Run it", command: `mu job run ${row.name} ${step} -w ${row.workstream}` },
  ]);
}

/**
 * Has the newest step of that name go on, with its maker or with its judges; counting begins anew, and `more` is added to
 * what was asked for. Faults `job.running`, `job.no_such_step`.
 */
export async function resumeStep(
  context: Context,
  job: JobRow,
  step: StepName,
  from: "make" | "judge",
  more?: string | undefined,
): Promise<{ step: string; added: string[] }> {
  const { workstream, name } = job.row;
  const spec = { op: "job.resume", scope: workstream, subject: qualifiedName(job.row) };
  return write(context, spec, async (tx) => {
    const now = await taskRow(tx.db, { workstream, name });
    requireNoPush(now);
    const row = await reopenJobIn(tx, now);
    const state = await newestStep(tx.db, { ...job, row }, step);
    const open = state.flow.nodes.filter((node) => node.state === "open");
    if (open[0] !== undefined) throw stillOpen(job.row, open[0].name);
    tx.addPayload({ step: state.row.name, from });
    return { step: state.row.name, added: await resumeStepIn(tx, state, from, more) };
  });
}

function stillOpen({ name, workstream }: TaskRow, node: string): Fault {
  return new Fault("conflict", "job.running", `${node} is still to be done: the step goes on from there.`, [
    { intent: "Have it tried again", command: `mu task requeue ${node} -w ${workstream}` },
    { intent: "Look at the job", command: `mu job show ${name} -w ${workstream}` },
  ]);
}

/** What steps took in the past: their tasks without another round. Null where there are too few to say. */
export async function estimateSteps(
  db: Reader,
  { workstream_id }: Pick<TaskRow, "workstream_id">,
  plans: readonly { step: StepName; plan: StepPlan }[],
): Promise<{ seconds: number; usd: number | null } | null> {
  const samples = await samplesOf(db, workstream_id);
  let seconds = 0;
  let usd: number | null = 0;
  for (const { step, plan } of plans) {
    const { make, loop } = STEPS[step];
    const { branches, reviewers } = plan.limits;
    const isJudged = loop !== null && plan.limits[loop.rounds] > 0;
    const several = step === "plan" && branches > 1;
    const wanted: [NodeKind, number][] = [
      [make, several ? branches + 1 : 1],
      ...(several ? ([["merge", 1]] as [NodeKind, number][]) : []),
      ...(isJudged ? ([[loop.kind, loop.kind === "review" ? reviewers : 1]] as [NodeKind, number][]) : []),
    ];
    for (const [kind, count] of wanted) {
      const known = samples.filter((one) => one.kind === kind).slice(-50);
      if (known.length < FEW) return null;
      const costs = known.flatMap((one) => one.usd ?? []);
      seconds += count * median(known.map((one) => one.seconds));
      usd = usd === null || costs.length < FEW ? null : usd + count * median(costs);
    }
  }
  return { seconds, usd };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** The steps that words name: `all`, or their names. */
export const stepsNamed = (words: readonly (StepName | "all")[]): StepName[] =>
  words.flatMap((word) => (word === "all" ? STEP_NAMES : [word]));

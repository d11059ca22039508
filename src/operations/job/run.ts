import * as z from "zod";
import { pollUntil } from "../../clock.js";
import { wakingClock } from "../../db/context.js";
import { write } from "../../db/write.js";
import { livingDispatcher } from "../../dispatch/lease.js";
import { drainHere } from "../../dispatch/once.js";
import { Fault } from "../../errors.js";
import type { StepPlan } from "../../flow/payload.js";
import { NODE_KINDS, ROLE_OF, STEP_NAMES, STEPS, type StepName } from "../../flow/steps.js";
import { assemblePrompt } from "../../jobs/assemble.js";
import { endPartsIn, getJob, JOB, type Job, type JobRow, jobRow, lookAtTree, partsOf } from "../../jobs/job.js";
import { scanModules } from "../../jobs/modules.js";
import { special } from "../../jobs/once.js";
import { keepAll } from "../../jobs/special.js";
import {
  anyProvider,
  estimateSteps,
  PROVIDERS,
  planStep,
  queueSteps,
  resumeStep,
  stepsNamed,
} from "../../jobs/steps.js";
import { runsOfJob, traceLog } from "../../jobs/trace.js";
import { counted, duration, enumerate, qualifiedName } from "../../names.js";
import { type ProjectSettings, roleOf } from "../../project/settings.js";
import { cancelRun } from "../../runs/cancel.js";
import { activeRuns } from "../../runs/run.js";
import { type App, defineJobVerb, type Paint, step, WARNINGS, warningLines } from "../define.js";
import { sceneOf } from "../dispatch/world.js";
import { field, flag, optionalText, textField } from "../fields.js";
import { followJob } from "./follow.js";

const stepField = () => field(z.enum(STEP_NAMES as [StepName, ...StepName[]]), "Step");
const rounds = (about: string) => field(z.number().int().min(0).max(50).optional(), about, { value: "n" });

export const jobRun = defineJobVerb({
  name: "job.run",
  aliases: ["session run"],
  summary: "Run steps of a job",
  description:
    "task, plan, work, update, upgrade, report, or all of them in this order. A step begins behind those that are open already. A step whose artifact is there revises it. The dispatcher runs them; with --wait or --follow this process does if no dispatcher runs, and mu exits 1 if a step then waits for a person. --from has the newest step of that name go on, with its builder or with its reviewers or tester alone; rounds are counted anew.",
  effect: "write",
  acts: ["runs"],
  endsLate: true,
  input: () => ({
    steps: field(z.array(z.enum(["all", ...STEP_NAMES] as ["all", ...StepName[]])).min(1), "Steps, in their order", {
      value: "step",
    }),
    instructions: field(textField().optional(), "What is wanted; @file reads a file, @- standard input", {
      ...{ short: "i", lines: true },
    }),
    lite: flag("Use the roles' cheaper models"),
    provider: field(
      z.enum([...PROVIDERS, "random"]).optional(),
      "Agent CLI instead of the roles'; random: one that is installed",
    ),
    maxRevisions: rounds("Most revisions of a plan; 0: no review"),
    branches: field(z.number().int().min(1).max(20).optional(), "Builders that draft a plan at once", { value: "n" }),
    maxTests: rounds("Most rounds of tests; 0: none"),
    reviewers: field(z.number().int().min(1).max(20).optional(), "Reviewers of a plan", { value: "n" }),
    from: field(z.enum(["builder", "reviewer", "tester"]).optional(), "Have the step go on from here"),
    clean: flag("Refuse if files of the project are not committed"),
    wait: flag("Wait until the steps have ended"),
    follow: flag("Wait, and say what happens"),
  }),
  output: {
    job: JOB,
    /** The tasks of the steps that run, and the tasks that were added. */
    steps: "string[]",
    queued: "string[]",
    /** The step that they wait for. */
    behind: "string | null",
    estimate: [{ seconds: "number", usd: "number | null" }, null],
    waited: "boolean",
    warnings: WARNINGS,
  },
  positional: ["steps"],
  examples: [
    { command: "mu job run theme plan work report -i 'Add a dark mode'", shows: "three steps, one after the other" },
    { command: "mu job run theme nothing", shows: "no such step", fault: "usage.invalid_input" },
    { command: "mu job run nothing task -i 'Add it'", shows: "an unknown job", fault: "job.not_found" },
  ],
  async run(app, ref, input) {
    const crew = await app.crew();
    const { db } = crew.context.store;
    const scene = await sceneOf(app, ref.workstream);
    const job = await jobRow(db, ref);
    const steps = stepsNamed(input.steps);
    const warnings = job.plan.workspace ? [] : await lookAtTree(crew, job.root, input);
    let done: { steps: string[]; queued: string[]; behind: string | null };
    let estimate: { seconds: number; usd: number | null } | null = null;
    if (input.from !== undefined) {
      const [only, ...more] = steps;
      if (only === undefined || more.length > 0) throw new Fault("usage", "job.one_step", "--from is about one step.");
      requirePart(only, input.from);
      const from = input.from === "builder" ? "make" : "judge";
      const { step: resumed, added } = await resumeStep(crew.context, job, only, from, input.instructions);
      done = { steps: [resumed], queued: added, behind: null };
    } else {
      const { lite, instructions, maxRevisions, branches, maxTests, reviewers } = input;
      const limits = { revisions: maxRevisions, branches, tests: maxTests, reviewers };
      const plans = [];
      for (const one of steps) {
        const env = crew.env;
        const at = { env, root: job.root, seed: env["MU_SEED"] };
        const provider = input.provider === "random" ? await anyProvider(at, `${ref.name} ${one}`) : input.provider;
        plans.push({ step: one, plan: planStep(one, scene.settings, job, { instructions, lite, provider, limits }) });
      }
      if (lite) warnings.push(...withoutLite(scene.settings, plans));
      estimate = await estimateSteps(db, job.row, plans);
      const { modules } = job.plan.modules === null ? await scanModules(crew, job.root) : { modules: [] };
      const queued = await queueSteps(crew.context, job, plans, { router: modules.length > 0 });
      done = { steps: queued.steps, queued: queued.steps, behind: queued.behind };
    }
    const waits = input.wait || input.follow;
    if (waits) await waitForJob(app, job, { follow: input.follow });
    const now = await getJob(db, ref);
    if (waits) warnings.push(...(await routersFailed(app, job, done.steps)));
    for (const one of now.steps.filter(({ task }) => waits && done.steps.includes(task))) {
      if (one.outcome === "unreviewed") {
        const message = `${one.step} was never approved by its reviewers: read it yourself.`;
        warnings.push({ code: "unreviewed", message });
      }
      if (one.status !== "CLOSED" || now.artifacts.includes(one.step)) continue;
      const message = `${one.step} ended without ${STEPS[one.step].artifact}: its builder wrote and said nothing.`;
      warnings.push({ code: "no_artifact", message });
    }
    return { job: now, ...done, estimate, waited: waits, warnings };
  },
  next: ({ job: { name, workstream, steps, hold }, steps: asked, waited }) => {
    if (hold !== null && waited)
      return [step("Have it mended", `mu job run ${name} work --from builder -w ${workstream}`)];
    const held = steps.find(({ heldTask }) => heldTask !== null);
    if (held !== undefined) return [step("See what it waits for", `mu job show ${name} -w ${workstream}`)];
    const isStuck = waited && steps.some(({ task, status }) => asked.includes(task) && status === "OPEN");
    if (isStuck) return [step("See what keeps it waiting", `mu dispatch --explain -w ${workstream}`)];
    return waited
      ? [step("Look at it", `mu job show ${name} -w ${workstream}`)]
      : [
          step("Run it", `mu dispatch --once -w ${workstream}`),
          step("Wait for it", `mu job show ${name} -w ${workstream}`),
        ];
  },
  render: ({ job, steps, queued, behind, estimate, waited, warnings }, paint) => [
    waited ? drawEnd(job, steps, paint) : `Queued ${queued.join(", ")}${behind === null ? "" : ` behind ${behind}`}`,
    !waited &&
      (estimate === null ? "  how long it takes and what it costs is not known yet" : `  about ${about(estimate)}`),
    warningLines(warnings),
  ],
  exitCode: ({ job, steps, waited }) =>
    waited && (job.hold !== null || job.steps.some(({ task, status }) => steps.includes(task) && status !== "CLOSED"))
      ? 1
      : 0,
});

async function routersFailed({ context }: App, { row }: JobRow, steps: readonly string[]) {
  const routers = (await partsOf(context.store.db, row)).filter(
    ({ kind, outcome }) => kind === "route" && outcome === "failed",
  );
  const own = routers.filter(({ name }) => steps.some((one) => name.startsWith(`${one}-route-`)));
  return own.map(({ name }) => ({
    code: "router_failed",
    message: `${name} failed: the agents get the documents of all modules. Choose with mu job modules ${row.name}.`,
  }));
}

/** Refuses to go on with somebody whom the step does not have. Faults `job.no_such_part`. */
function requirePart(name: StepName, from: string): void {
  const { loop } = STEPS[name];
  const parts = ["builder", ...(loop === null ? [] : [ROLE_OF[loop.kind]])];
  if (parts.includes(from)) return;
  throw new Fault("usage", "job.no_such_part", `The step ${name} has no ${from}: it has a ${parts.join(" and a ")}.`);
}

/** Says which roles have no cheaper model, as nobody else chooses one. */
function withoutLite(settings: ProjectSettings, plans: readonly { plan: StepPlan }[]) {
  const roles = new Set(plans.flatMap(({ plan }) => Object.values(plan.nodes).map(({ role }) => role)));
  const lacking = [...roles].filter((name) => roleOf(settings, name, true)?.liteModel == null);
  if (lacking.length === 0) return [];
  const message = `--lite changes nothing for ${enumerate(lacking)}: set roles.<role>.liteModel.`;
  return [{ code: "no_lite_model", message }];
}

const about = ({ seconds, usd }: { seconds: number; usd: number | null }) =>
  `${duration(seconds * 1000)}${usd === null ? "" : `, $${usd.toFixed(2)}`} without another round`;

function drawEnd(job: Job, ran: readonly string[], paint: Paint): string[] {
  const steps = job.steps.filter(({ task }) => ran.includes(task));
  const lines = steps.map(({ step: name, status, outcome, hold, holdReason, runs }) => {
    const how = status === "CLOSED" ? (outcome ?? "done") : (hold ?? status);
    const why = holdReason === null ? "" : `: ${holdReason}`;
    return `${status === "CLOSED" ? "✓" : "!"} ${paint.bold(name)} ${how} after ${counted(runs, "run")}${why}`;
  });
  return job.hold === null
    ? lines
    : [...lines, `! ${paint.bold(job.name)} waits for you: ${job.holdReason ?? job.hold}`];
}

/** Waits until nothing of the job can go on; without a living dispatcher this process runs it. */
async function waitForJob(app: App, job: JobRow, { follow }: { follow: boolean }): Promise<void> {
  const crew = await app.crew();
  const { db } = crew.context.store;
  const { signal } = app.request;
  const follower = follow ? followJob(app, job) : { say: () => {}, end: async () => {} };
  try {
    await runOrWatch(app, job, { signal, say: follower.say });
  } finally {
    await follower.end();
  }
  await keepAll(crew, await jobRow(db, job.row));
}

async function runOrWatch(
  app: App,
  job: JobRow,
  { signal, say }: { signal: AbortSignal; say(text: string): void },
): Promise<void> {
  const crew = await app.crew();
  const { db } = crew.context.store;
  const scene = { ...(await sceneOf(app, job.row.workstream)), job: job.row.id };
  if ((await livingDispatcher(crew, scene.workstream)) === undefined) {
    await drainHere(crew, scene, { signal, say, special });
  } else {
    const clock = wakingClock(crew.context);
    const said = new Set<number>();
    try {
      await pollUntil(
        clock,
        async () => {
          for (const run of await runsOfJob(db, job)) {
            if (!said.has(run.id)) say(`${run.agent} ${run.verdict ?? run.state} ${run.task}`);
            said.add(run.id);
          }
          const steps = (await getJob(db, job.row)).steps.filter(({ status }) => status === "OPEN");
          const isUnderWay = (await partsOf(db, job.row)).some(({ status }) => status === "IN_PROGRESS");
          return steps.length === 0 || (steps[0]?.hold !== null && !isUnderWay) || undefined;
        },
        { everyMs: 1_000, timeoutMs: Number.POSITIVE_INFINITY, signal },
      );
    } finally {
      clock.end();
    }
  }
}

export const jobCancel = defineJobVerb({
  name: "job.cancel",
  aliases: ["session cancel"],
  summary: "Cancel what is queued in a job, and stop its agents",
  effect: "write",
  acts: ["ends"],
  repeatable: true,
  input: () => ({ queued: flag("Only what nobody works on yet") }),
  output: { cancelled: "string[]", stopped: "number[]" },
  examples: [
    { command: "mu job cancel theme", shows: "nothing of it runs on" },
    { command: "mu job cancel nothing", shows: "an unknown job", fault: "job.not_found" },
  ],
  async run(app, ref, { queued }) {
    const crew = await app.crew();
    const { db } = crew.context.store;
    const { row } = await jobRow(db, ref);
    const cancelled: string[] = [];
    const stopped = new Set<number>();
    const spec = { op: "job.cancel", scope: ref.workstream, subject: qualifiedName(ref) };
    // What an agent is stopped at becomes open again: it is cancelled in the next round.
    for (let round = 0; round < 10; round++) {
      cancelled.push(...(await write(crew.context, spec, (tx) => endPartsIn(tx, row))));
      const parts = new Set((await partsOf(db, row)).map(({ id }) => id));
      const running = (await activeRuns(db, row.workstream_id)).filter((run) => parts.has(run.task_id));
      if (queued || running.length === 0) break;
      for (const run of running) {
        stopped.add(run.id);
        await cancelRun(crew, run);
      }
      await crew.context.clock.sleep(200, app.request.signal);
    }
    return { cancelled, stopped: [...stopped] };
  },
  next: (_, at) => [step("Look at the job", `mu job show ${at}`)],
  render: ({ cancelled, stopped }) => [
    cancelled.length === 0 ? "Nothing was queued." : `Cancelled ${cancelled.join(", ")}`,
    stopped.length > 0 && `Stopped ${counted(stopped.length, "run")}`,
  ],
});

export const jobPrompt = defineJobVerb({
  name: "job.prompt",
  aliases: ["session prompt"],
  summary: "Show what an agent of a step would be told",
  effect: "read",
  input: () => ({
    step: stepField(),
    node: field(z.enum(NODE_KINDS).optional(), "Which part of the step (default: its builder)"),
    instructions: optionalText("What is wanted", { short: "i" }),
    sizes: flag("Only what goes into it, with sizes"),
  }),
  output: {
    prompt: "string",
    parts: [{ what: "string", path: "string | null", bytes: "number", included: "boolean" }],
  },
  positional: ["step"],
  examples: [
    { command: "mu job prompt theme plan", shows: "the builder's prompt" },
    { command: "mu job prompt theme nothing", shows: "no such step", fault: "usage.invalid_input" },
  ],
  async run(app, ref, { step: name, node, instructions, sizes }) {
    const crew = await app.crew();
    const { db } = crew.context.store;
    const { settings } = await sceneOf(app, ref.workstream);
    const job = await jobRow(db, ref);
    const kind = node ?? STEPS[name].make;
    const plan = planStep(name, settings, job, { instructions });
    const about = { world: crew, db, settings, job, step: name, kind, plan, cwd: job.root };
    const { text, parts } = await assemblePrompt(about);
    return { prompt: sizes ? "" : text, parts };
  },
  render: ({ prompt, parts }, paint) => [
    prompt.trimEnd(),
    prompt === "" &&
      paint.table(parts, [
        { head: "what", text: ({ what }) => what },
        { head: "bytes", text: ({ bytes }) => String(bytes), align: "right" },
        { head: "", text: ({ included }) => (included ? "" : "left out") },
        { head: "path", text: ({ path }) => path ?? "" },
      ]),
  ],
});

export const jobTrace = defineJobVerb({
  name: "job.trace",
  aliases: ["session trace"],
  summary: "Show every call of an agent for a job",
  effect: "read",
  output: { lines: "string[]" },
  examples: [
    { command: "mu job trace theme", shows: "when, what, how it ended, tokens, cost, time" },
    { command: "mu job trace nothing", shows: "an unknown job", fault: "job.not_found" },
  ],
  async run({ context }, ref) {
    const { db } = context.store;
    return { lines: (await traceLog(db, await jobRow(db, ref))).trimEnd().split("\n").filter(Boolean) };
  },
  render: ({ lines }) => (lines.length === 0 ? "No agent was called yet." : lines),
});

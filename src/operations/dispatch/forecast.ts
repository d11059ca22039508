import * as z from "zod";
import { RUN_CLI } from "../../agents/agent.js";
import type { Reader } from "../../db/schema.js";
import type { Scene } from "../../dispatch/facts.js";
import { forecast, oneMore, planGoals, tasksAhead } from "../../dispatch/forecast.js";
import { Fault } from "../../errors.js";
import { counted, duration } from "../../names.js";
import { FEW, LEARNED, learnedOf, type Sample, SCORE, samplesOf, scoreOf } from "../../runs/learned.js";
import { defineOperation, type Paint, step } from "../define.js";
import { field, flag, workstreamField } from "../fields.js";
import { sceneOf } from "./world.js";

const agentsField = () =>
  field(z.number().int().min(1).max(1000).optional(), "Agents at work at the same time (default: those there are)");

async function learned(db: Reader, { workstream: { id, name } }: Scene): Promise<Sample[]> {
  const samples = await samplesOf(db, id);
  if (samples.length > 0) return samples;
  throw new Fault("negative", "forecast.nothing_learned", `No task of ${name} was finished by a run yet.`, [
    step("See what is ahead", `mu track list -w ${name}`),
  ]);
}

/** Who is there to work: the open agents; without any, the slots of the roles. */
async function crowdOf(db: Reader, { workstream, settings }: Scene, agents: number | undefined) {
  const roles = new Map(Object.entries(settings.roles).map(([name, { concurrency }]) => [name, concurrency]));
  const open = await db
    .selectFrom("agents")
    .select("id")
    .where("workstream_id", "=", workstream.id)
    .where("closed_at", "is", null)
    .where("pane", "is not", null)
    .where("cli", "<>", RUN_CLI)
    .execute();
  const slots = [...roles.values()].reduce((sum, count) => sum + count, 0);
  return { agents: agents ?? Math.max(1, open.length, slots), roles };
}

export const forecastOperation = defineOperation({
  name: "forecast",
  summary: "Say when the open tasks will be done",
  description:
    "Learned from what runs and panes took for tasks of the same role and kind, over 200 trials: half were done by the first figure, nine in ten by the second. Fewer than five samples say little. --score tells how well this would have told the past.",
  effect: "read",
  input: () => ({ workstream: workstreamField(), agents: agentsField(), score: flag("Test it on the past") }),
  output: {
    tasks: "number",
    /** Tasks that wait for a person, or for such a task; they are not counted. */
    stuck: "number",
    agents: "number",
    p50Seconds: "number",
    p90Seconds: "number",
    oneMore: [{ role: "string", savesSeconds: "number" }, null],
    learned: [LEARNED],
    score: [SCORE, null],
  },
  examples: [
    { command: "mu forecast", shows: "when all is done" },
    { command: "mu forecast --agents 8", shows: "with eight agents" },
    { command: "mu forecast --score", shows: "how good it is" },
    { command: "mu forecast -w other", shows: "nothing was learned", fault: "forecast.nothing_learned" },
  ],
  async run(app, { workstream, agents, score }) {
    const { db } = app.context.store;
    const scene = await sceneOf(app, workstream);
    const samples = await learned(db, scene);
    const tasks = await tasksAhead(db, scene.workstream.id);
    const crowd = await crowdOf(db, scene, agents);
    return {
      ...{ tasks: tasks.length, stuck: tasks.filter(({ stuck }) => stuck).length, agents: crowd.agents },
      ...forecast(tasks, samples, crowd),
      oneMore: oneMore(tasks, samples, crowd),
      learned: learnedOf(samples),
      score: score ? scoreOf(samples) : null,
    };
  },
  render: ({ tasks, stuck, agents, p50Seconds, p90Seconds, oneMore: more, learned: past, score }, paint) => [
    tasks === stuck
      ? "Nothing is ahead that agents can do."
      : `${counted(tasks - stuck, "task")} with ${counted(agents, "agent")}: done in ${time(p50Seconds)}, nine times in ten within ${time(p90Seconds)}.`,
    stuck > 0 && `${counted(stuck, "task")} wait for a person and are not in it.`,
    tasks > stuck &&
      (more === null
        ? "One more agent saves nothing worth it: what is left is a chain, or there is too little of it."
        : `One more agent${more.role === "" ? "" : ` for ${more.role}`} saves ${time(more.savesSeconds)}.`),
    "",
    learnedTable(past, paint),
    score !== null && scoreLine(score),
  ],
});

const time = (seconds: number) => (seconds < 1 ? "under 1 s" : duration(Math.round(seconds) * 1000));

const learnedTable = (past: ReturnType<typeof learnedOf>, paint: Paint) =>
  paint.table(past, [
    { head: "role", text: ({ role }) => role || "no role", max: 16 },
    { head: "kind", text: ({ kind }) => kind, max: 12 },
    { head: "samples", text: ({ samples }) => `${samples}${samples < FEW ? " (few)" : ""}`, align: "right" },
    { head: "half", text: ({ p50Seconds }) => time(p50Seconds), align: "right" },
    { head: "9 in 10", text: ({ p90Seconds }) => time(p90Seconds), align: "right" },
    { head: "cost", text: ({ p50Usd }) => (p50Usd === null ? "?" : `$${p50Usd.toFixed(2)}`), align: "right" },
  ]);

function scoreLine({ tasks, withinP90, medianRatio }: ReturnType<typeof scoreOf>): string {
  if (withinP90 === null || medianRatio === null) return `Too few finished tasks to score: it takes more than ${FEW}.`;
  const share = `${Math.round(withinP90 * 100)} % of ${counted(tasks, "task")} took no longer than "9 in 10" said (90 % is right)`;
  return `${share}; in the median they took ${medianRatio.toFixed(2)} × of "half" (1 is right).`;
}

export const plan = defineOperation({
  name: "plan",
  summary: "Say which goals can be reached for a budget",
  description:
    "By what tasks of the same role and kind have cost. Goals with most impact for their cost come first; a task that two goals share is paid once. A goal fits if nine of ten trials stay within the budget.",
  effect: "read",
  input: () => ({
    budget: field(z.number().min(0).max(1_000_000), "What may be spent, in USD", { value: "USD" }),
    workstream: workstreamField(),
  }),
  output: {
    goals: [{ goal: "string", tasks: "number", p50Usd: "number", p90Usd: "number", fits: "boolean", stuck: "boolean" }],
    samples: "number",
  },
  examples: [
    { command: "mu plan --budget 5", shows: "what five dollars buy" },
    { command: "mu plan", shows: "no budget", fault: "usage.invalid_input" },
    { command: "mu plan --budget 5 -w other", shows: "nothing was learned", fault: "forecast.nothing_learned" },
  ],
  async run(app, { workstream, budget }) {
    const { db } = app.context.store;
    const scene = await sceneOf(app, workstream);
    const samples = await learned(db, scene);
    const goals = planGoals(await tasksAhead(db, scene.workstream.id), samples, budget);
    if (goals === null) {
      throw new Fault("negative", "forecast.nothing_learned", `No run of ${workstream} has a known cost yet.`, [
        step("List its runs", `mu runs list -w ${workstream}`),
      ]);
    }
    return { goals, samples: samples.length };
  },
  render: ({ goals, samples }, paint) => [
    paint.list(goals, "Nothing is ahead.", [
      { head: "goal", text: ({ goal }) => paint.bold(goal), max: 30 },
      { head: "adds", text: ({ tasks }) => counted(tasks, "task"), align: "right" },
      { head: "half", text: ({ p50Usd }) => `$${p50Usd.toFixed(2)}`, align: "right" },
      { head: "9 in 10", text: ({ p90Usd }) => `$${p90Usd.toFixed(2)}`, align: "right" },
      { head: "", text: ({ fits, stuck }) => (stuck ? "waits for a person" : fits ? "fits" : "does not fit") },
    ]),
    samples < FEW && `Learned from ${counted(samples, "task")} only, which says little.`,
  ],
});

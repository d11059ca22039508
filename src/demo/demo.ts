import type { Crew } from "../agents/crew.js";
import { listDeliveries } from "../agents/delivery/outbox.js";
import type { Clock } from "../clock.js";
import { timestamp } from "../db/context.js";
import { shape, type TypeOf } from "../shape.js";
import { readState, STATE } from "../state.js";
import { applyPlan } from "../tasks/plan.js";
import { drawTree, taskTree } from "../tasks/tree.js";
import { workspaceRows } from "../workspaces/workspace.js";
import { CAST, GOAL, PLAN } from "./cast.js";
import { direct, SCRIPT } from "./director.js";
import { JOB_PLAY, playJob } from "./job.js";
import { NIGHT, playNight } from "./night.js";
import {
  buildScaffold,
  clearStage,
  type DemoWorld,
  demoInterrupted,
  dismissAll,
  enter,
  MAIN_BRANCH,
  readMain,
  refOf,
  removeScaffold,
  type Scaffold,
  startRepository,
  WORKSTREAM,
} from "./stage.js";
import { AUDIT, auditAll, problemsOf, problemsOnMain, TASK_STORY, type TaskStory, taskStories } from "./verdict.js";

/** What happened in a demo. */
export const DEMO_OUTCOME = shape({
  /** Every task landed exactly once, the chain holds, and all was shown that there is to show. */
  ok: "boolean",
  /** What was not as it should be. */
  problems: "string[]",
  seconds: "number",
  /** The command line that showed the panes while it ran. */
  attach: "string",
  /** The folder with the repository, the transcripts and mu.db; null when they are gone. */
  kept: "string | null",
  tasks: [TASK_STORY],
  /** With each crash: who took the work over. */
  crashes: [{ ...SCRIPT.crashes[0], takenOverBy: "string[]" }],
  permissions: SCRIPT.permissions,
  /** What the radar saw coming, and what came back when it landed. */
  warnings: SCRIPT.warnings,
  returned: SCRIPT.returned,
  /** What a person finds on main. */
  main: MAIN_BRANCH,
  prompts: { sent: "number", proved: "number" },
  audit: AUDIT,
  /** The workstream when its work was done. */
  state: STATE,
  /** With --night; the rest is then about no agents in panes. */
  night: [NIGHT, null],
  /** With --job, likewise. */
  job: [JOB_PLAY, null],
});

export type DemoOutcome = TypeOf<typeof DEMO_OUTCOME>;

export interface DemoChoice {
  keep?: string | undefined;
  night?: boolean;
  job?: boolean;
}

/**
 * Plays the demo from an empty folder to the verdict, and leaves nothing behind but what is to be kept. Faults
 * `demo.*`, `tmux.*`, and `demo.interrupted` when the person ends it.
 */
export async function playDemo(
  world: DemoWorld,
  { keep, night = false, job = false }: DemoChoice,
): Promise<DemoOutcome> {
  const scaffold = await buildScaffold(world, keep);
  try {
    await startRepository(world.exec, scaffold);
    const { stage, database, env } = scaffold;
    const { crew, close } = await world.openCrew({ database, stateDir: stage, env });
    try {
      if (!night && !job) return await perform(world, crew, scaffold, keep ?? null);
      return await performUnattended(world, crew, { scaffold, kept: keep ?? null, play: night ? playNight : playJob });
    } finally {
      await dismissAll(crew).catch(() => {});
      await clearStage(crew, scaffold).finally(close);
    }
  } finally {
    await removeScaffold(scaffold);
  }
}

async function perform(world: DemoWorld, patient: Crew, scaffold: Scaffold, kept: string | null): Promise<DemoOutcome> {
  const start = world.clock.now().getTime();
  const seconds = () => (world.clock.now().getTime() - start) / 1000;
  const report = (who: string, what: string) =>
    world.report(`${seconds().toFixed(1).padStart(6)}s  ${who.padEnd(7)}${what}`);
  const crew = mortal(patient, world);
  const { context } = crew;
  await applyPlan(context, WORKSTREAM, { tasks: PLAN }, { init: { root: scaffold.repository } });
  const { db } = context.store;
  world.report(`Three scripted agents, ten tasks, no API key, no network:\n`);
  world.report(drawTree(await taskTree(db, refOf(GOAL))).join("\n"));
  await Promise.all(CAST.map((part) => enter(crew, scaffold, part, 0)));
  const attach = attachLine(world, scaffold);
  world.report(`\nTo watch them, run in another terminal:\n\n    ${attach}\n`);
  for (const { name } of CAST) report(name, "is ready in its pane");

  const script = await direct({ crew, scaffold, report });
  const state = await context.store.read((reader) =>
    readState(reader, WORKSTREAM, { events: 0, now: timestamp(context.clock) }),
  );
  await dismissAll(patient);

  const tasks = await taskStories(db, WORKSTREAM);
  const audit = await context.store.read(auditAll);
  const deliveries = await listDeliveries(db, { workstream: WORKSTREAM });
  const main = await readMain(world.exec, scaffold);
  const left = await workspaceRows(db, WORKSTREAM);
  const problems = [...problemsOf(script, tasks, audit), ...problemsOnMain(main, left)];
  const { permissions, warnings, returned } = script;
  return {
    ok: problems.length === 0,
    problems,
    seconds: Math.round(seconds() * 10) / 10,
    attach,
    kept,
    tasks,
    permissions,
    warnings,
    returned,
    crashes: script.crashes.map((crash) => ({ ...crash, takenOverBy: heirs(crash, tasks) })),
    main,
    prompts: { sent: deliveries.length, proved: deliveries.filter(({ state: at }) => at === "proved").length },
    audit,
    state,
    night: null,
    job: null,
  };
}

async function performUnattended(
  world: DemoWorld,
  patient: Crew,
  { scaffold, kept, play }: { scaffold: Scaffold; kept: string | null; play: typeof playNight | typeof playJob },
): Promise<DemoOutcome> {
  const start = world.clock.now().getTime();
  const crew = mortal(patient, world);
  const { store, clock } = crew.context;
  const { problems, ...played } = await play(world, crew, scaffold);
  const seconds = Math.round((clock.now().getTime() - start) / 100) / 10;
  return {
    ...{ ok: problems.length === 0, problems, seconds, attach: attachLine(world, scaffold), kept },
    ...{ night: null, job: null, ...played },
    ...{ tasks: await taskStories(store.db, WORKSTREAM), crashes: [], permissions: [], warnings: [], returned: [] },
    main: await readMain(world.exec, scaffold),
    ...{ prompts: { sent: 0, proved: 0 }, audit: await store.read(auditAll) },
    state: await store.read((reader) => readState(reader, WORKSTREAM, { events: 0, now: timestamp(clock) })),
  };
}

/** Inside tmux, $TMUX has to be unset to attach to another server. */
function attachLine({ env }: DemoWorld, { socket }: Scaffold): string {
  return `${env["TMUX"] ? "env -u TMUX " : ""}tmux -L ${socket} attach`;
}

/** Who closed the tasks of the agent that crashed. */
function heirs({ tasks }: { tasks: readonly string[] }, stories: readonly TaskStory[]): string[] {
  return stories.filter(({ name }) => tasks.includes(name)).flatMap(({ closings }) => closings);
}

/** The same crew, but every wait ends with `demo.interrupted` once the signal is aborted. */
function mortal(crew: Crew, { clock, signal }: DemoWorld): Crew {
  const ending: Clock = {
    now: () => clock.now(),
    async sleep(ms, own) {
      await clock.sleep(ms, own === undefined ? signal : AbortSignal.any([own, signal]));
      if (signal.aborted) throw demoInterrupted();
    },
  };
  return { ...crew, context: { ...crew.context, clock: ending } };
}
